"""Sink `prometheus`: an address that Prometheus scrapes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agent.api import Register, SinkContext, hookimpl, parse_listen

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sinks.prometheus]`"""

    listen: str = "127.0.0.1:9273"  # host:port
    stale_s: Annotated[float, Meta(gt=0)] = 60.0  # a series without a new value for so long is no longer shown

    def __post_init__(self) -> None:
        parse_listen(self.listen)


def make(config: Config, context: SinkContext) -> Any:
    """The sink; imported here so that checking a configuration does not need the client library."""
    from plugins.sinks.prometheus.sink import PrometheusSink

    return PrometheusSink(config, context)


@hookimpl
def rebellion_register_sinks(register: Register) -> None:
    register("prometheus", make, config=Config)
