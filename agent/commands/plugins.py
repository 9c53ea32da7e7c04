"""The commands of `rebellion plugins`: which there are, and what each may be told."""

from __future__ import annotations

import argparse
import os
import sys

from agent.builtin import BUILTIN
from agent.errors import ConfigError, RebellionError

__all__ = ["list_plugins", "show_plugin"]


def list_plugins(args: argparse.Namespace) -> int:
    """Print kind, name and origin of every plugin, and the entry points that are installed and not named."""
    from agent.config.load import load_plugins
    from agent.outsiders import installed_entry_points

    manager, problems = load_plugins(args.config, os.environ)
    found = [(kind, *plugin) for kind in BUILTIN for plugin in manager.available(kind)]
    found += manager.kindless()
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
    from importlib.resources import files

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


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
