"""Detector `zscore`: distance of a short mean from the mean of a longer history, in standard deviations."""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent.api import Detector, PluginContext, Register, hookimpl

__all__ = ["Config", "make", "rebellion_register_detectors"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[detectors.zscore]`"""

    history_count: Annotated[int, msgspec.Meta(ge=9, le=100_000)] = 120
    smoothing_count: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5
    threshold: Annotated[float, msgspec.Meta(gt=0)] = 3.0
    refractory_count: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 100


def make(config: Config, _context: PluginContext) -> Detector:
    """Build the detector."""
    from plugins.detectors.zscore.detector import ZScore

    return ZScore(config.history_count, config.smoothing_count, config.threshold, config.refractory_count)


@hookimpl
def rebellion_register_detectors(register: Register) -> None:
    register("zscore", make, Config)
