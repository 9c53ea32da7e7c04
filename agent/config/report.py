"""What is in force and where it comes from, and the schema of it all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from agent.builtin import BUILTIN
from agent.config.describe import toml_value
from agent.config.load import HOST_SECTION, CollectorInstance, LoadedConfig, SinkInstance
from agent.config.loaded import LoadedHubConfig
from agent.config.schema import AgentConfig, HubConfig
from agent.config.tree import KeyPath, Tree
from agent.config.wording import masked
from agent.plugin_manager import PluginManager

__all__ = ["agent_schema", "hub_schema", "show_agent", "show_hub"]

_SOURCE_COLUMN = 48


def show_agent(loaded: LoadedConfig) -> str:
    """The agent's configuration in force as TOML, each value with its source; secrets are masked."""
    config, tree = loaded.config, loaded.tree
    lines = [f"# read: {', '.join(map(str, loaded.sources)) or 'no file'}", f"# state: {loaded.state_dir}"]
    for name in ("agent", "log", "transformer"):
        lines += _section(f"[{name}]", tree, [((name,), getattr(config, name))])
    instances: tuple[CollectorInstance | SinkInstance, ...] = (*loaded.collectors, *loaded.sinks)
    for instance in instances:
        halves = [(instance.path, half) for half in (instance.section, instance.settings) if half is not None]
        lines += _section(_header(instance.path), tree, halves)
    for path in _disabled(loaded):
        lines += ["", _header(path), "enabled = false"]
    for kind, choices in (
        ("sampling", loaded.samplers),
        ("recovery", loaded.recoveries),
        ("detectors", loaded.detectors),
    ):
        for name, choice in choices.items():
            halves = [((kind, name), choice.settings)] if choice.settings is not None else []
            lines += _section(f"[{kind}.{name}]", tree, halves)
    for index, policy in enumerate(config.policies):
        lines += _section("[[policies]]", tree, [(("policies", index), policy)])
    return "\n".join(lines) + "\n"


def show_hub(loaded: LoadedHubConfig) -> str:
    """The hub's configuration in force, as `show_agent` does it."""
    lines = [f"# read: {', '.join(map(str, loaded.sources)) or 'no file'}", f"# state: {loaded.state_dir}"]
    for name in ("hub", "log"):
        lines += _section(f"[{name}]", loaded.tree, [((name,), getattr(loaded.config, name))])
    return "\n".join(lines) + "\n"


def agent_schema(manager: PluginManager) -> dict[str, Any]:
    """JSON Schema of `agent.toml`, with the section of every plugin that the manager can load."""
    kinds = {kind: _kind_struct(kind, manager) for kind in BUILTIN}
    fields: list[tuple[str, Any, Any]] = [
        (field.encode_name, kinds.get(field.encode_name, field.type), _default_of(field))
        for field in msgspec.structs.fields(AgentConfig)
    ]
    whole = msgspec.defstruct("AgentToml", fields, kw_only=True, forbid_unknown_fields=True)
    return _schema(whole, "agent.toml")


def hub_schema() -> dict[str, Any]:
    """JSON Schema of `hub.toml`."""
    return _schema(HubConfig, "hub.toml")


def _schema(struct: type[msgspec.Struct], title: str) -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **msgspec.json.schema(struct)}


def _kind_struct(kind: str, manager: PluginManager) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any, Any]] = []
    for name, origin in manager.available(kind):
        plugin: Any = _plugin_struct(kind, name, manager)
        described: Any = Annotated[plugin, msgspec.Meta(description=origin)]
        either = described | list.__class_getitem__(described) if kind in HOST_SECTION else described
        fields.append((name, either, msgspec.field(default_factory=dict)))
    return msgspec.defstruct(kind, fields, kw_only=True, forbid_unknown_fields=True)


def _plugin_struct(kind: str, name: str, manager: PluginManager) -> type[msgspec.Struct]:
    """One struct of the agent's own keys and the plugin's."""
    config: Any = manager.find(kind, name).config
    halves = [struct for struct in (HOST_SECTION.get(kind), config) if struct is not None]
    fields: list[tuple[str, Any, Any]] = [
        (field.encode_name, field.type, _default_of(field)) for half in halves for field in msgspec.structs.fields(half)
    ]
    return msgspec.defstruct(f"{kind}.{name}", fields, kw_only=True, forbid_unknown_fields=True)


def _default_of(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return msgspec.field() if field.default is msgspec.NODEFAULT else field.default


def _header(path: KeyPath) -> str:
    name = ".".join(part for part in path if isinstance(part, str))
    return f"[[{name}]]" if isinstance(path[-1], int) else f"[{name}]"


def _section(header: str, tree: Tree, halves: list[tuple[KeyPath, Any]]) -> list[str]:
    lines = ["", header]
    for path, struct in halves:
        for key, value in _flat(msgspec.structs.asdict(struct)):
            shown = toml_value(masked(str(key[-1]), msgspec.to_builtins(value)))
            source = tree.source_of((*path, *key)) if tree.is_set((*path, *key)) else "default"
            text = f"{'.'.join(key)} = {shown}" if value is not None else f"# {'.'.join(key)} is not set"
            lines.append(f"{text:<{_SOURCE_COLUMN}} # {source}")
    return lines


def _flat(table: dict[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Keys and values, nested structs spread out as dotted keys; tables a user fills in (labels) stay whole."""
    for key, value in table.items():
        if isinstance(value, msgspec.Struct):
            yield from _flat(msgspec.structs.asdict(value), (*at, key))
        else:
            yield (*at, key), value


def _disabled(loaded: LoadedConfig) -> Iterator[KeyPath]:
    for kind in HOST_SECTION:
        for plugin, value in getattr(loaded.config, kind).items():
            for index, table in enumerate(value if isinstance(value, list) else [value]):
                if table.get("enabled") is False:
                    yield (kind, plugin, index) if isinstance(value, list) else (kind, plugin)
