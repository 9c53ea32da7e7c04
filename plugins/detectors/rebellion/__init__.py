"""Detector `rebellion`, the default: alerts when a series leaves the range of its own past, in level or in surprise."""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent.api import Detector, PluginContext, Register, hookimpl

__all__ = ["Config", "make", "rebellion_register_detectors"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[detectors.rebellion]`"""

    tail_count: Annotated[int, msgspec.Meta(ge=10, le=1_000_000_000)] = 2000
    least_excess_ratio: Annotated[float, msgspec.Meta(ge=0)] = 0.05
    warm_up_count: Annotated[int, msgspec.Meta(ge=100, le=1_000_000)] = 200
    refractory_count: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 100


def make(config: Config, _context: PluginContext) -> Detector:
    """Build the detector."""
    from plugins.detectors.rebellion.detector import RangeDetector
    from plugins.detectors.rebellion.rule import Rule

    rule = Rule(config.tail_count, config.least_excess_ratio, config.warm_up_count, config.refractory_count)
    return RangeDetector(rule)


@hookimpl
def rebellion_register_detectors(register: Register) -> None:
    register("rebellion", make, Config)
