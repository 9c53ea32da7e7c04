"""Collector `disk`: what each block device reads and writes, and how busy it is."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.api import CollectorContext, Register, hookimpl

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.disk]`"""

    partitions: bool = False
    skip: tuple[str, ...] = ("loop", "ram", "zram", "fd", "sr")
    proc_dir: str = "/proc"


def make(config: Config, context: CollectorContext) -> Any:
    """The collector."""
    from plugins.collectors.disk.collector import Disk

    return Disk(config, context)


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("disk", make, config=Config)
