"""Detector `robust`: distance of the newest value from the median of its history, in median absolute deviations."""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent.api import Detector, PluginContext, Register, hookimpl

__all__ = ["Config", "make", "rebellion_register_detectors"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[detectors.robust]`"""

    history_count: Annotated[int, msgspec.Meta(ge=9, le=100_000)] = 120
    threshold: Annotated[float, msgspec.Meta(gt=0)] = 6.0
    refractory_count: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 100


def make(config: Config, _context: PluginContext) -> Detector:
    """Build the detector."""
    from plugins.detectors.robust.detector import Robust

    return Robust(config.history_count, config.threshold, config.refractory_count)


@hookimpl
def rebellion_register_detectors(register: Register) -> None:
    register("robust", make, Config)
