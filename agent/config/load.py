"""Loads `agent.toml`: files, drop-ins and environment in, checked settings of every plugin out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from agent.addresses import is_loopback, parse_listen
from agent.builtin import ASKED_FOR, BUILTIN
from agent.config.check import Checker
from agent.config.loaded import CollectorInstance, Instance, LoadedConfig, PluginChoice, SinkInstance
from agent.config.schema import AgentConfig, CollectorSection, PolicySection, SinkSection
from agent.config.state import state_folder
from agent.config.tree import KeyPath, Tree, read_tree
from agent.config.wording import did_you_mean, shown
from agent.errors import ConfigError, ConfigProblem, LoadError
from agent.plugin_manager import KIND_WORD, PluginManager

__all__ = [
    "HOST_SECTION",
    "CollectorInstance",
    "LoadedConfig",
    "PluginChoice",
    "SinkInstance",
    "load_agent_config",
    "load_plugins",
]

SectionType = TypeVar("SectionType", CollectorSection, SinkSection)

HOST_SECTION: dict[str, type[msgspec.Struct]] = {"collectors": CollectorSection, "sinks": SinkSection}
"""Kinds of plugin that may stand several times, and the keys that the agent itself reads in their sections."""


class _PluginTable(NamedTuple):
    """One section of a plugin as it stands: `[sinks.websocket]`, or one element of `[[sinks.websocket]]`."""

    plugin: str
    name: str
    path: KeyPath
    table: Any


def load_agent_config(paths: Sequence[str | Path] | None, environ: Mapping[str, str]) -> LoadedConfig:
    """Read, merge and check the agent's configuration.

    Args:
        paths: Files or folders to read instead of the usual places; None = the usual places, where having no file is right.
        environ: The process's environment.

    Raises:
        ConfigError: With every problem found.
        LoadError: The package `plugins` is not ours.
    """
    tree = read_tree("agent", paths, environ)
    return _AgentLoader(tree, environ).load()


def load_plugins(
    paths: Sequence[str | Path] | None, environ: Mapping[str, str]
) -> tuple[PluginManager, list[ConfigProblem]]:
    """The plugins that a configuration names, though other things in it may be wrong, and what could not be loaded.

    Raises:
        ConfigError: A file cannot be read.
        LoadError: The package `plugins` is not ours.
    """
    loader = _AgentLoader(read_tree("agent", paths, environ), environ)
    return loader.load_outsiders()


class _AgentLoader:
    def __init__(self, tree: Tree, environ: Mapping[str, str]) -> None:
        self._tree = tree
        self._environ = environ
        self._checker = Checker(tree, environ)
        self._manager = PluginManager()

    def load(self) -> LoadedConfig:
        config = self._checker.parse(AgentConfig, self._tree.values, ())
        self.load_outsiders()
        tables = {kind: self._tables(kind) for kind in BUILTIN}
        collectors = tuple(self._instances("collectors", CollectorSection, tables["collectors"]))
        sinks = tuple(self._instances("sinks", SinkSection, tables["sinks"]))
        samplers = self._choices("sampling", tables["sampling"], self._named_samplers(sinks))
        recoveries = self._choices("recovery", tables["recovery"], self._named_strategies())
        detectors = self._choices("detectors", tables["detectors"], self._named_detector(config))
        configured = config.agent.state_dir if config else self._get("agent", "state_dir", "")
        state_dir = state_folder(configured, self._environ, self._checker)
        if config is not None and config.status.listen:
            self._check_status_port(config.status.listen)
        if config is None or self._checker.problems:
            raise ConfigError(self._checker.problems)
        return LoadedConfig(
            config, collectors, sinks, samplers, recoveries, detectors, state_dir, self._manager, self._tree
        )

    def _check_status_port(self, listen: str) -> None:
        try:
            host, _ = parse_listen(listen)
        except ValueError as error:
            self._checker.report(("status", "listen"), str(error))
            return
        if not is_loopback(host):
            hint = "use 127.0.0.1:8764; from elsewhere, look at the hub, or come through ssh -L 8764:127.0.0.1:8764"
            self._checker.report(("status", "listen"), f"must be a loopback address (got {listen!r})", hint)

    def _get(self, section: str, key: str, default: Any) -> Any:
        """One of the agent's own values though others may be wrong; the default when this one is wrong too."""
        table = self._tree.values.get(section)
        value = table.get(key, default) if isinstance(table, dict) else default
        return value if isinstance(value, type(default)) else default

    def load_outsiders(self) -> tuple[PluginManager, list[ConfigProblem]]:
        """Load the outsiders that the configuration names, and nothing else."""
        named = [name for name in self._get("agent", "plugins", []) if isinstance(name, str)]
        for error in self._manager.load_outsiders(named):
            self._checker.report(("agent", "plugins"), str(error))
        folder = self._get("agent", "plugins_dir", "")
        if folder:
            folder = str((self._tree.folder_of(("agent", "plugins_dir")) / folder).absolute())
        for error in self._manager.load_outsiders((), folder):
            self._checker.report(("agent", "plugins_dir"), str(error))
        return self._manager, self._checker.problems

    def _tables(self, kind: str) -> list[_PluginTable]:
        """Every section of a kind, and one for each collector that runs unasked."""
        sections: Any = self._tree.values.get(kind, {})
        if not isinstance(sections, dict):
            return []
        found: list[_PluginTable] = []
        for plugin, value in sections.items():
            if isinstance(value, list) and kind in HOST_SECTION:
                for index, table in enumerate(value):
                    name = plugin if index == 0 else f"{plugin}:{index + 1}"
                    found.append(_PluginTable(plugin, name, (kind, plugin, index), table))
            else:
                found.append(_PluginTable(plugin, plugin, (kind, plugin), value))
        if kind == "collectors" and self._get("agent", "default_collectors", True):
            unasked = [name for name in BUILTIN[kind] if name not in ASKED_FOR and name not in sections]
            found += [_PluginTable(name, name, (kind, name), {}) for name in unasked]
        return found

    def _instances(
        self, kind: str, section: type[SectionType], tables: list[_PluginTable]
    ) -> Iterator[Instance[SectionType]]:
        host_keys = section.__struct_encode_fields__
        for plugin, name, path, table in tables:
            if not isinstance(table, dict):
                self._checker.report(path, f"must be a table (got {shown(plugin, table)})")
                continue
            host = self._checker.parse(section, {k: v for k, v in table.items() if k in host_keys}, path)
            own = {key: value for key, value in table.items() if key not in host_keys}
            if table.get("enabled") is False:
                self._check_exists(kind, plugin, path)
                continue
            choice = self._choice(kind, plugin, path, own, host_keys)
            if host is not None and choice is not None:
                yield Instance(name, plugin, choice.registration, host, choice.settings, path)

    def _named_detector(self, config: AgentConfig | None) -> dict[str, KeyPath]:
        named = config.transformer.detector if config is not None and config.transformer.enabled else ""
        return {named: ("transformer", "detector")} if named else {}

    def _choices(self, kind: str, tables: list[_PluginTable], named: Mapping[str, KeyPath]) -> dict[str, PluginChoice]:
        """The plugins that have a section, and with their defaults those that something names without one."""
        with_section = {table.plugin for table in tables}
        unasked = [_PluginTable(name, name, path, {}) for name, path in named.items() if name not in with_section]
        found = {}
        for plugin, _, path, table in (*tables, *unasked):
            choice = self._choice(kind, plugin, path, table)
            if choice is not None:
                found[plugin] = choice
        return found

    def _choice(
        self, kind: str, plugin: str, path: KeyPath, table: Any, host_keys: tuple[str, ...] = ()
    ) -> PluginChoice | None:
        if not self._check_exists(kind, plugin, path):
            return None
        try:
            registration = self._manager.find(kind, plugin)
        except LoadError as error:
            self._checker.report(path, str(error))
            return None
        config = registration.config or msgspec.defstruct("Nothing", [], forbid_unknown_fields=True)
        if not issubclass(config, msgspec.Struct):
            raise TypeError(f"{registration.origin}: config of {plugin!r} is no msgspec.Struct")
        clash = sorted(set(config.__struct_encode_fields__) & set(host_keys))
        if clash:
            self._checker.report(
                path, f"{registration.origin} declares {clash[0]!r}, which is the agent's own key here"
            )
            return None
        settings = self._checker.parse(config, table, path, also_known=host_keys)
        return None if settings is None else PluginChoice(registration, settings if registration.config else None)

    def _check_exists(self, kind: str, plugin: str, path: KeyPath) -> bool:
        names = [name for name, _ in self._manager.available(kind)]
        if plugin not in names:
            self._checker.report(path, f"there is no {KIND_WORD[kind]} {plugin!r}", did_you_mean(plugin, names))
        return plugin in names

    def _named_samplers(self, sinks: tuple[SinkInstance, ...]) -> dict[str, KeyPath]:
        return {sink.section.buffer.sampler: (*sink.path, "buffer", "sampler") for sink in sinks}

    def _named_strategies(self) -> dict[str, KeyPath]:
        policies = self._tree.values.get("policies")
        named: dict[str, KeyPath] = {}
        for index, policy in enumerate(policies if isinstance(policies, list) else ()):
            strategy = policy.get("strategy", PolicySection().strategy) if isinstance(policy, dict) else None
            if isinstance(strategy, str):
                named.setdefault(strategy, ("policies", index, "strategy"))
        return {name: ("recovery", name) for name in BUILTIN["recovery"]} | named
