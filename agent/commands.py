"""The commands that look and do not run anything: `config` and `plugins`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib.resources import files

from agent.builtin import BUILTIN
from agent.errors import ConfigError, RebellionError

__all__ = ["check_config", "list_plugins", "print_schema", "show_config", "show_plugin"]


def check_config(args: argparse.Namespace) -> int:
    """Say that the configuration is right, and what it comes to; a wrong one raises ConfigError."""
    if args.program == "hub":
        from agent.config.load_hub import load_hub_config

        hub = load_hub_config(args.config, os.environ)
        _say(f"hub: ok, listens on {hub.config.hub.listen}; read {_names(hub.sources)}")
        return 0
    from agent.config.load import load_agent_config

    agent = load_agent_config(args.config, os.environ)
    sinks = ", ".join(sink.name for sink in agent.sinks) or "none: nothing would be delivered"
    _say(f"agent: ok, {len(agent.collectors)} collectors, sinks: {sinks}; read {_names(agent.sources)}")
    return 0


def show_config(args: argparse.Namespace) -> int:
    """Print the configuration in force."""
    from agent.config.report import show_agent, show_hub

    if args.program == "hub":
        from agent.config.load_hub import load_hub_config

        sys.stdout.write(show_hub(load_hub_config(args.config, os.environ)))
    else:
        from agent.config.load import load_agent_config

        sys.stdout.write(show_agent(load_agent_config(args.config, os.environ)))
    return 0


def print_schema(args: argparse.Namespace) -> int:
    """Print the JSON Schema of agent.toml or hub.toml."""
    from agent.config.load import load_plugins
    from agent.config.report import agent_schema, hub_schema

    if args.program == "hub":
        schema = hub_schema()
    else:
        manager, problems = load_plugins(args.config, os.environ)
        if problems:
            raise ConfigError(problems)
        schema = agent_schema(manager)
    _say(json.dumps(schema, indent=2))
    return 0


def list_plugins(args: argparse.Namespace) -> int:
    """Print kind, name and origin of every plugin, and the entry points that are installed and not named."""
    from agent.config.load import load_plugins
    from agent.outsiders import installed_entry_points

    manager, problems = load_plugins(args.config, os.environ)
    found = [(kind, *plugin) for kind in BUILTIN for plugin in manager.available(kind)]
    for kind, name, origin in found:
        _say(f"{kind:<12}{name:<20}{origin}")
    loaded = {origin for _, _, origin in found}
    for name, module in installed_entry_points():
        if f"entry point {module}" not in loaded:
            _say(f"{'not loaded':<12}{name:<20}entry point {module}; add {name!r} to agent.plugins to load it")
    if problems:
        raise ConfigError(problems)
    return 0


def show_plugin(args: argparse.Namespace) -> int:
    """Print what a plugin is: kind, origin, keys with type and default, and the page that comes with a built-in one.

    Raises:
        RebellionError: There is none of that name.
    """
    from agent.config.load import load_plugins

    manager, _ = load_plugins(args.config, os.environ)
    kind, _, name = args.name.rpartition(".")
    places = [(k, n, origin) for k in BUILTIN for n, origin in manager.available(k) if n == name and kind in {"", k}]
    if not places:
        from agent.outsiders import suggestion

        known = sorted({name for kind in BUILTIN for name, _ in manager.available(kind)})
        raise RebellionError(f"there is no plugin {args.name!r}{suggestion(name, known)}")
    for found_kind, found_name, origin in places:
        _say(f"[{found_kind}.{found_name}]  ({origin})")
        registration = manager.find(found_kind, found_name)
        _say(_keys(found_kind, registration.config))
        page = files(origin) / "README.md" if origin.startswith("plugins.") else None
        if page is not None and page.is_file():
            _say(page.read_text("utf-8"))
    return 0


def _keys(kind: str, config: type | None) -> str:
    import msgspec

    from agent.config.describe import describe
    from agent.config.load import HOST_SECTION

    structs = [config, HOST_SECTION.get(kind)]
    keys = [key for struct in structs if struct and issubclass(struct, msgspec.Struct) for key in describe(struct)]
    return "\n".join(f"  {key.key:<32}{key.type:<36}{key.default or 'must be set'}" for key in keys) + "\n"


def _names(sources: tuple[object, ...]) -> str:
    return ", ".join(map(str, sources)) or "no file (everything is a default)"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
