"""`Novelty` of one series in plain Python: for one or a few, a call of NumPy costs more than what it computes."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from agent.numeric.asinh_bins import COARSE_BINS, COARSE_COUNT, EDGES, FINE_COUNT
from agent.numeric.novelty import (
    FIRST_COUNT,
    GRID_COUNT,
    LAG,
    LEAST_WIDTH,
    LEAST_WIDTH_RATIO,
    MEMORY_COUNT,
    MOST_COUNTED,
    OUTGROWN_RATIO,
    STEPS_A_LAG,
)

__all__ = ["SingleNovelty"]

_LAGS = ((1, 0), (LAG, STEPS_A_LAG))


class SingleNovelty:
    """The same rule as `Novelty`, with the same results to the last bit; its fields are called as the columns there."""

    __slots__ = ("age", "centre", "grid_centre", "grid_width", "recent", "seen", "steps", "total", "visits", "width")

    age: int
    total: float
    seen: list[int]
    visits: list[int]
    steps: list[int]
    recent: list[int]

    def __init__(self) -> None:
        self.centre = self.width = self.grid_centre = self.grid_width = 0.0
        self._start()

    def surprise(self, value: float) -> tuple[float, float]:
        """Surprise of a value and of the steps to it, in nats; 0 while it is too early to say. Learns it.

        Args:
            value: Finite, within +-1e150.
        """
        age = self.age
        if age < GRID_COUNT:
            self._lay_bins(value)
        half = bisect_right(EDGES, (value - self.grid_centre) / self.grid_width)
        of_steps = 0.5 * float(np.log(self._look_at_steps(COARSE_BINS[half], age)))
        of_value = float(np.log(self._look_at_value((half >> 1) + 1))) if age >= FIRST_COUNT else 0.0
        weight = 1.0 / MEMORY_COUNT if age >= MEMORY_COUNT else 1.0 / (age + 1.0)
        distance = value - self.centre
        self.width += weight * (abs(distance) - self.width)
        self.centre += weight * distance
        self.age = age + 1
        if not age & (GRID_COUNT - 1):
            self._keep_in_bounds()
        return of_value, of_steps

    def _lay_bins(self, value: float) -> None:
        if self.age == 0:
            self.centre = value
        self.grid_centre = self.centre
        self.grid_width = max(self.width, abs(self.centre) * LEAST_WIDTH_RATIO, LEAST_WIDTH)

    def _look_at_value(self, place: int) -> float:
        seen, total = self.seen, self.total
        own = seen[place]
        ratio = (total + 1.0) / (0.5 * (seen[place - 1] + seen[place + 1]) + own + 0.5)
        seen[place] = own + 1
        self.total = total + 1.0
        return ratio

    def _look_at_steps(self, place: int, age: int) -> float:
        recent, visits, steps, ratio = self.recent, self.visits, self.steps, 1.0
        for back, start in _LAGS:
            if age - back < FIRST_COUNT:
                break
            before = recent[(age - back) & (LAG - 1)]
            at = start + before * COARSE_COUNT + place
            taken = steps[at]
            steps[at] = taken + 1
            ratio *= (visits[before] + 4.0) / (taken + 0.5)
        if age >= FIRST_COUNT:
            visits[place] += 1
        recent[age & (LAG - 1)] = place
        return ratio

    def _keep_in_bounds(self) -> None:
        if self.total >= MOST_COUNTED:
            self.total //= 2
            self.seen, self.visits, self.steps = _halved(self.seen), _halved(self.visits), _halved(self.steps)
        width, laid = self.width, self.grid_width
        is_outgrown = width > OUTGROWN_RATIO * laid or 0 < width * OUTGROWN_RATIO < laid
        if self.age > 2 * GRID_COUNT and is_outgrown:
            self._start()

    def _start(self) -> None:
        self.age, self.total = 0, 0.0
        self.seen, self.visits = [0] * FINE_COUNT, [0] * COARSE_COUNT
        self.steps, self.recent = [0] * (2 * STEPS_A_LAG), [0] * LAG


def _halved(counts: list[int]) -> list[int]:
    return [count // 2 for count in counts]
