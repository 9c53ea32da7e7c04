"""Collector `statsd`: takes what programs send by the statsd protocol, over UDP."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agent.api import CollectorContext, Register, hookimpl, parse_listen

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.statsd]`"""

    listen: str = "127.0.0.1:8125"  # host:port
    max_names: Annotated[int, Meta(ge=1)] = 1000  # metrics between two ticks; what is beyond is counted and left out
    timer_samples: Annotated[int, Meta(ge=10, le=100_000)] = (
        1000  # of each timer between two ticks, for its percentiles
    )
    keep_gauges_s: Annotated[float, Meta(ge=0)] = 300.0  # a gauge that nobody set for so long is forgotten

    def __post_init__(self) -> None:
        parse_listen(self.listen)


def make(config: Config, context: CollectorContext) -> Any:
    """The collector; imported here so that checking a configuration does not."""
    from plugins.collectors.statsd.collector import Statsd

    return Statsd(config, context)


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("statsd", make, config=Config)
