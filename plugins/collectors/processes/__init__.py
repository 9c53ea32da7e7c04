"""Collector `processes`: how many there are in which state, and which use the most processor and memory."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from agent.api import CollectorContext, Register, hookimpl

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.processes]`"""

    top: Annotated[int, msgspec.Meta(ge=0, le=100)] = 5
    proc_dir: str = "/proc"


def make(config: Config, context: CollectorContext) -> Any:
    """The collector."""
    from plugins.collectors.processes.collector import Processes

    return Processes(config, context)


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("processes", make, config=Config)
