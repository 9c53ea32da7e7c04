"""Collector `cgroup`: limits and use of the control group that the agent runs in, where it is limited."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.api import CollectorContext, Register, hookimpl

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.cgroup]`"""

    cgroup_dir: str = "/sys/fs/cgroup"
    proc_dir: str = "/proc"


def make(config: Config, context: CollectorContext) -> Any:
    """The collector."""
    from plugins.collectors.cgroup.collector import Cgroup

    return Cgroup(config, context)


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("cgroup", make, config=Config)
