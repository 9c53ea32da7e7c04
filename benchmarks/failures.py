"""Generated series that run out, or look as if they would: what time to exhaustion is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIMIT", "STEP_S", "Case", "make_cases"]

FloatArray = NDArray[np.float64]

STEP_S = 60.0
LIMIT = 100.0
HOURS = 14
_COUNT = int(HOURS * 3600 / STEP_S)


@dataclass(frozen=True)
class Case:
    """One series.

    Attributes:
        kind: Which shape.
        values: One a minute.
        crosses_at: Position of the first value from which it stays at or above the limit; None: it never gets there.
    """

    kind: str
    values: FloatArray
    crosses_at: int | None


def _noise(random: np.random.Generator) -> FloatArray:
    """White or slowly wandering, 0.02 to 1 % of the limit."""
    white = random.standard_normal(_COUNT) * np.exp(random.uniform(np.log(0.02), np.log(1.0)))
    if random.random() < 0.5:
        return white
    for place in range(1, _COUNT):
        white[place] = 0.9 * white[place - 1] + 0.44 * white[place]
    return white


def _crossing(random: np.random.Generator) -> tuple[float, int, int]:
    """Level at the start, when the trouble begins and when it ends, both positions."""
    level = random.uniform(20, 60)
    end = int(random.uniform(0.8, 0.98) * _COUNT)
    taken = int(np.exp(random.uniform(np.log(4.2), np.log(HOURS * 0.75))) * 3600 / STEP_S)
    return level, max(end - taken, 0), end


def ramp(random: np.random.Generator) -> FloatArray:
    """Flat, then evenly to the limit."""
    level, start, end = _crossing(random)
    return level + np.maximum(np.arange(_COUNT) - start, 0) * (LIMIT - level) / (end - start) + _noise(random)


def leak(random: np.random.Generator) -> FloatArray:
    """To the limit with garbage collection on top, faster or slower as it goes."""
    level, start, end = _crossing(random)
    done = np.maximum(np.arange(_COUNT) - start, 0) / (end - start)
    period, height = random.uniform(10, 90), random.uniform(0.5, 8)
    teeth = height * ((np.arange(_COUNT) / period + random.random()) % 1.0)
    return level + (LIMIT - level) * done ** random.uniform(0.8, 1.4) - height + teeth + 0.3 * _noise(random)


def saw_tooth(random: np.random.Generator) -> FloatArray:
    """Rises and is cleared, again and again; never gets there."""
    period, bottom = random.uniform(15, 200), random.uniform(10, 40)
    top = random.uniform(bottom + 15, 90)
    phase = np.arange(_COUNT) / period + random.random()
    heights = random.uniform(0.9, 1.0, int(_COUNT / period) + 3)[phase.astype(int)]
    return bottom + (top - bottom) * heights * (phase % 1.0) + _noise(random)


def burst(random: np.random.Generator) -> FloatArray:
    """Jumps up for minutes to hours and comes back, up to five times."""
    made = random.uniform(20, 50) + _noise(random)
    for _ in range(random.integers(1, 6)):
        start, length = int(random.integers(0, _COUNT)), int(np.exp(random.uniform(np.log(5), np.log(120))))
        slope_count = int(random.integers(1, 6))
        shape = np.minimum(1.0, np.arange(1, length + 1) / slope_count)
        part = made[start : start + length]
        part += random.uniform(10, 40) * shape[: len(part)]
    return np.minimum(made, 97.0)


def step(random: np.random.Generator) -> FloatArray:
    """Goes to another level at once, one to three times, and stays below the limit."""
    made = np.full(_COUNT, random.uniform(20, 60)) + _noise(random)
    for _ in range(random.integers(1, 4)):
        made[int(random.integers(0, _COUNT)) :] += random.uniform(-10, 12)
    return np.minimum(made, 97.0)


SHAPES = (ramp, leak, saw_tooth, burst, step)
_CROSSING = (ramp, leak)


def make_cases(each: int, seed: int = 7) -> list[Case]:
    """`each` series of every shape."""
    random = np.random.default_rng(seed)
    return [_case(shape.__name__, shape(random), shape in _CROSSING) for shape in SHAPES for _ in range(each)]


def _case(kind: str, values: FloatArray, crosses: bool) -> Case:
    reached = np.flatnonzero(values >= LIMIT) if crosses else np.empty(0, dtype=np.int64)
    return Case(kind, values, int(reached[0]) if len(reached) else None)
