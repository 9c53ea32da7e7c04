"""What is in force and where it comes from, and the schema of it all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from agent.builtin import BUILTIN
from agent.config.in_force import Section, agent_sections, header, hub_sections
from agent.config.load import HOST_SECTION, LoadedConfig
from agent.config.loaded import LoadedHubConfig
from agent.config.schema import AgentConfig, HubConfig
from agent.plugin_manager import PluginManager

__all__ = ["agent_schema", "hub_schema", "show_agent", "show_hub"]

_SOURCE_COLUMN = 48


def show_agent(loaded: LoadedConfig) -> str:
    """The agent's configuration in force as TOML, each value with its source; secrets are masked."""
    return _shown(loaded, agent_sections(loaded))


def show_hub(loaded: LoadedHubConfig) -> str:
    """The hub's configuration in force, as `show_agent` does it."""
    return _shown(loaded, hub_sections(loaded))


def _shown(loaded: LoadedConfig | LoadedHubConfig, sections: Iterable[Section]) -> str:
    lines = [f"# read: {', '.join(map(str, loaded.sources)) or 'no file'}", f"# state: {loaded.state_dir}"]
    for section in sections:
        lines += ["", header(section.path)]
        lines += [f"{entry.text:<{_SOURCE_COLUMN}} # {entry.source}" for entry in section.entries]
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
