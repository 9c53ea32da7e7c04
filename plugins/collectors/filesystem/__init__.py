"""Collector `filesystem`: how full each mounted filesystem is; a dead mount costs itself only."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from agent.api import CollectorContext, Register, hookimpl

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.filesystem]`"""

    mount_deadline_s: Annotated[float, msgspec.Meta(gt=0)] = 0.5
    skip_types: tuple[str, ...] = ()
    include_types: tuple[str, ...] = ()
    skip_mounts: tuple[str, ...] = ("/run", "/snap", "/var/lib/docker", "/var/lib/containers")
    max_mounts: Annotated[int, msgspec.Meta(ge=1)] = 100
    proc_dir: str = "/proc"


def make(config: Config, context: CollectorContext) -> Any:
    """The collector."""
    from plugins.collectors.filesystem.collector import Filesystems

    return Filesystems(config, context)


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("filesystem", make, config=Config)
