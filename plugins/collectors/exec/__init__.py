"""Collector `exec`: runs a program and reads metrics from its standard output."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agent.api import CollectorContext, Register, hookimpl

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.exec]`"""

    command: tuple[str, ...]  # program and arguments; no shell
    format: Literal["json", "prometheus"] = "json"
    labels: dict[str, str] = {}  # put on every series; the series' own win
    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0  # then it and its children are killed
    max_bytes: Annotated[int, Meta(ge=1024)] = 1_048_576  # more output is an error

    def __post_init__(self) -> None:
        if not self.command or not self.command[0]:
            raise ValueError("command must name a program (got none)")


def make(config: Config, context: CollectorContext) -> Any:
    """The collector; imported here so that checking a configuration does not."""
    from plugins.collectors.exec.collector import Exec

    return Exec(config, context)


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("exec", make, config=Config)
