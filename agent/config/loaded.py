"""What a checked configuration is: every plugin exists and every value is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from agent.builtin import Registration
from agent.config.schema import AgentConfig, CollectorSection, HubConfig, SinkSection
from agent.config.tree import KeyPath, Tree
from agent.plugin_manager import PluginManager

__all__ = ["CollectorInstance", "Instance", "LoadedConfig", "LoadedHubConfig", "PluginChoice", "SinkInstance"]

SectionType = TypeVar("SectionType", CollectorSection, SinkSection)


@dataclass(frozen=True, slots=True)
class PluginChoice:
    """A plugin and its checked settings.

    Attributes:
        registration: What it registered.
        settings: Instance of `registration.config`; None when the plugin has nothing to configure.
    """

    registration: Registration
    settings: Any

    def make(self, context: Any) -> Any:
        """Call the plugin's factory."""
        return self.registration.factory(self.settings, context)


@dataclass(frozen=True, slots=True)
class Instance(Generic[SectionType]):
    """One collector or sink that shall run.

    Attributes:
        name: `cpu`; the second of an array of tables is `cpu:2`.
        plugin: Name of the plugin.
        registration: What the plugin registered.
        section: The agent's own keys of the section.
        settings: Instance of `registration.config`; None when the plugin has nothing to configure.
        path: Where the section stands: `("sinks", "websocket", 1)`.
    """

    name: str
    plugin: str
    registration: Registration
    section: SectionType
    settings: Any
    path: KeyPath = ()


CollectorInstance = Instance[CollectorSection]
SinkInstance = Instance[SinkSection]


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration in which every plugin exists and every value is right.

    Attributes:
        config: The tables as they stand, with defaults; plugin sections unparsed.
        collectors: Those that shall run, default ones included.
        sinks: Those that shall run.
        samplers: Name -> the samplers that have a section or that a sink's buffer names.
        recoveries: Name -> the built-in strategies, and others that have a section or that a policy names.
        detectors: Name -> the detectors that have a section.
        state_dir: Folder that outlives the process; it can be written, and exists or can be made.
        manager: The plugins behind all this.
        tree: Where each value came from.
    """

    config: AgentConfig
    collectors: tuple[CollectorInstance, ...]
    sinks: tuple[SinkInstance, ...]
    samplers: Mapping[str, PluginChoice]
    recoveries: Mapping[str, PluginChoice]
    detectors: Mapping[str, PluginChoice]
    state_dir: Path
    manager: PluginManager
    tree: Tree

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files that were read, in order; empty when everything is a default."""
        return tuple(self.tree.files)


@dataclass(frozen=True, slots=True)
class LoadedHubConfig:
    """The hub's configuration, checked.

    Attributes:
        config: The tables, with defaults.
        listen: Host and port to listen on; port 0 = any free one.
        state_dir: Folder that outlives the process; it can be written, and exists or can be made.
        tree: Where each value came from.
    """

    config: HubConfig
    listen: tuple[str, int]
    state_dir: Path
    tree: Tree

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files that were read, in order; empty when everything is a default."""
        return tuple(self.tree.files)
