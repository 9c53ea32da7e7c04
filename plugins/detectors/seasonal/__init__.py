"""Detector `seasonal`: distance of a short mean from what the series does at this time of its period."""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent.api import Detector, PluginContext, Register, hookimpl

__all__ = ["Config", "make", "rebellion_register_detectors"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[detectors.seasonal]`"""

    period_count: Annotated[int, msgspec.Meta(ge=8, le=100_000_000)] = 86_400
    smoothing_count: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 8
    threshold: Annotated[float, msgspec.Meta(gt=0)] = 6.0
    refractory_count: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 100


def make(config: Config, _context: PluginContext) -> Detector:
    """Build the detector."""
    from plugins.detectors.seasonal.detector import Seasonal

    return Seasonal(config.period_count, config.smoothing_count, config.threshold, config.refractory_count)


@hookimpl
def rebellion_register_detectors(register: Register) -> None:
    register("seasonal", make, Config)
