"""Sink `file`: one JSON object a record, in a file that is rotated by size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from agent.api import Register, SinkContext, hookimpl

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sinks.file]`"""

    path: str
    max_file_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 67_108_864
    keep_count: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 5
    fsync: bool = False

    def __post_init__(self) -> None:
        folder = Path(self.path).expanduser().parent
        if not Path(self.path).name:
            raise ValueError(f"path must name a file (got {self.path!r})")
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"path must lie in a folder; {str(folder)!r} is a file")


def make(config: Config, context: SinkContext) -> Any:
    """The sink; imported here so that checking a configuration does not."""
    from plugins.sinks.file.sink import FileSink

    return FileSink(config, context)


@hookimpl
def rebellion_register_sinks(register: Register) -> None:
    register("file", make, config=Config)
