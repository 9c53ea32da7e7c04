"""Every key that is in force, section by section: its value, its default, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from agent.config.describe import toml_value
from agent.config.load import HOST_SECTION, CollectorInstance, LoadedConfig, SinkInstance
from agent.config.loaded import LoadedHubConfig
from agent.config.schema import AgentConfig, HubConfig
from agent.config.tree import KeyPath, Tree
from agent.config.wording import masked

__all__ = ["Entry", "Section", "agent_sections", "header", "hub_sections"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key.

    Attributes:
        key: Dotted below its section: `breaker.open_s`.
        value: Plain; None = not set.
        default: Plain; `msgspec.NODEFAULT` when it must be set.
        source: The file or variable; "default" when neither set it.
    """

    key: str
    value: Any
    default: Any
    source: str

    @property
    def text(self) -> str:
        """`key = value` as TOML, secrets masked."""
        return self.as_text(self.value)

    def as_text(self, value: Any) -> str:
        """The same with another value."""
        if value is None:
            return f"# {self.key} is not set"
        return f"{self.key} = {toml_value(masked(self.key.rpartition('.')[2], value))}"


@dataclass(frozen=True, slots=True)
class Section:
    """One table.

    Attributes:
        path: `("sinks", "websocket", 1)` is the second of an array of tables.
        entries: Its keys, in the order of the code.
        source: The file or variable that it stands in; "default" when it is in force without.
        is_always: True for a table that there is whether or not it stands anywhere.
    """

    path: KeyPath
    entries: tuple[Entry, ...]
    source: str
    is_always: bool


def agent_sections(loaded: LoadedConfig) -> Iterator[Section]:
    """What is in force in an agent, in the order in which `config show` prints it."""
    config, tree = loaded.config, loaded.tree
    for field in AgentConfig.__struct_fields__:
        value = getattr(config, field)
        if isinstance(value, msgspec.Struct):
            yield _section((field,), [value], tree, is_always=True)
    instances: tuple[CollectorInstance | SinkInstance, ...] = (*loaded.collectors, *loaded.sinks)
    for instance in instances:
        is_default = not tree.is_set(instance.path)
        yield _section(instance.path, [instance.section, instance.settings], tree, is_always=is_default)
    for path in _disabled(loaded):
        yield Section(
            path, (Entry("enabled", False, True, tree.source_of((*path, "enabled"))),), tree.source_of(path), True
        )
    choices = {"sampling": loaded.samplers, "recovery": loaded.recoveries, "detectors": loaded.detectors}
    for kind, chosen in choices.items():
        for name, choice in chosen.items():
            yield _section((kind, name), [choice.settings], tree, is_always=not tree.is_set((kind, name)))
    for index, policy in enumerate(config.policies):
        yield _section(("policies", index), [policy], tree, is_always=False)


def hub_sections(loaded: LoadedHubConfig) -> Iterator[Section]:
    """What is in force in a hub."""
    for field in HubConfig.__struct_fields__:
        yield _section((field,), [getattr(loaded.config, field)], loaded.tree, is_always=True)


def header(path: KeyPath) -> str:
    """`[sinks.websocket]`, or `[[sinks.websocket]]` for one of an array of tables."""
    name = ".".join(part for part in path if isinstance(part, str))
    return f"[[{name}]]" if isinstance(path[-1], int) else f"[{name}]"


def _section(path: KeyPath, halves: list[Any], tree: Tree, *, is_always: bool) -> Section:
    entries = tuple(entry for half in halves if half is not None for entry in _entries(half, path, (), tree))
    return Section(path, entries, tree.source_of(path), is_always)


def _entries(struct: msgspec.Struct, path: KeyPath, at: tuple[str, ...], tree: Tree) -> Iterator[Entry]:
    """Nested structs are spread out as dotted keys; tables that a user fills in (labels) stay whole."""
    for field in msgspec.structs.fields(type(struct)):
        value, key = getattr(struct, field.name), (*at, field.encode_name)
        if isinstance(value, msgspec.Struct):
            yield from _entries(value, path, key, tree)
            continue
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        plain_default = default if default is msgspec.NODEFAULT else msgspec.to_builtins(default)
        source = tree.source_of((*path, *key)) if tree.is_set((*path, *key)) else "default"
        yield Entry(".".join(key), msgspec.to_builtins(value), plain_default, source)


def _disabled(loaded: LoadedConfig) -> Iterator[KeyPath]:
    for kind in HOST_SECTION:
        for plugin, value in getattr(loaded.config, kind).items():
            for index, table in enumerate(value if isinstance(value, list) else [value]):
                if table.get("enabled") is False:
                    yield (kind, plugin, index) if isinstance(value, list) else (kind, plugin)
