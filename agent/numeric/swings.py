"""Rises and falls of a series that stand out from its noise: what log rotation and garbage collection leave behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.median import median
from agent.numeric.scores import MAD_TO_SIGMA

if TYPE_CHECKING:
    from agent.model import FloatArray

__all__ = ["Swing", "noise_of", "swings_of"]

_FALL_RATIO = 0.4
_NOISE_SIGMAS = 6.0


@dataclass(frozen=True, slots=True)
class Swing:
    """A rise that was undone: from `bottom` up to `top` at position `peak`."""

    peak: int
    bottom: float
    top: float

    @property
    def height(self) -> float:
        return self.top - self.bottom


def noise_of(values: FloatArray) -> float:
    """Standard deviation of the noise, from the steps between neighbours; 0 when most steps are equal."""
    if len(values) < 3:
        return 0.0
    steps = np.diff(values)
    return median(np.abs(steps - median(steps))) / MAD_TO_SIGMA / 2**0.5


def swings_of(values: FloatArray, noise: float) -> tuple[Swing, ...]:
    """The rises of a series that were undone, oldest first.

    A rise counts when it is higher than six times the noise; it is over when at least 40 % of it, and six times the noise, is
    lost again.

    Args:
        values: Shape (n,), n >= 1, no NaN.
        noise: Standard deviation of the noise, same unit, >= 0.
    """
    least = _NOISE_SIGMAS * noise
    done: list[Swing] = []
    peak = 0
    bottom = top = float(values[0])
    for place, value in enumerate(values.tolist()):
        if value > top:
            peak, top = place, value
        elif top - value > max(least, _FALL_RATIO * (top - bottom)):
            if top - bottom > least:
                done.append(Swing(peak, bottom, top))
            peak = place
            bottom = top = value
        elif value < bottom:
            peak = place
            bottom = top = value
    return tuple(done)
