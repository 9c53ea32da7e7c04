"""A plugin's `sample.toml`, held against what its code has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import tomli

from agent.config.load import HOST_SECTION
from agent.testing.requirement import require

__all__ = ["check_sample"]

_COMMENTED = re.compile(r"^# ?(?=[\w.\[\"-]+)", re.MULTILINE)


def check_sample(path: Path, kind: str, name: str, config: type[msgspec.Struct] | None) -> None:
    """Hold a sample to its plugin's configuration: `##` is prose, `# key = value` a default, what must be set stands uncommented.

    Checked: every key of the configuration stands in the section, none that there is not, and each default is the code's.

    Args:
        path: The file.
        kind: `collectors`, `sinks`, `sampling`, `recovery` or `detectors`.
        name: What the plugin is registered as.
        config: Its struct; None when there is nothing to configure.

    Raises:
        AssertionError: Naming the key and what was wrong.
    """
    sample = path.read_text(encoding="utf-8")
    told = _section(_COMMENTED.sub("", sample), kind, name)
    in_force = _section(sample, kind, name)
    fields = {field.encode_name: field for field in msgspec.structs.fields(config)} if config else {}
    host = set(HOST_SECTION[kind].__struct_encode_fields__) if kind in HOST_SECTION else set()
    where = f"{path}: [{kind}.{name}]"
    require(not fields.keys() - told.keys(), f"{where} lacks {sorted(fields.keys() - told.keys())}")
    unknown = told.keys() - fields.keys() - host
    require(not unknown, f"{where} has what the code has not: {sorted(unknown)}")
    for key, field in fields.items():
        if field.required:
            require(key in in_force, f"{where}: {key} must be set and stands commented out")
        else:
            default = _plain(field)
            require(told[key] == default, f"{where}: {key} is {told[key]!r}, and its default is {default!r}")


def _section(text: str, kind: str, name: str) -> dict[str, Any]:
    section: Any = tomli.loads(text).get(kind, {}).get(name, {})
    keys: dict[str, Any] = section[0] if isinstance(section, list) else section
    return keys


def _plain(field: msgspec.structs.FieldInfo) -> Any:
    """A field's default as TOML would give it."""
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return list(default) if isinstance(default, tuple) else msgspec.to_builtins(default)
