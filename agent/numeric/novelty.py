"""How surprising a value is among those that its series has shown, and after those that came just before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.asinh_bins import COARSE_BINS, COARSE_COUNT, FINE_COUNT, half_bins
from agent.numeric.growing import grown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray
    from agent.numeric.row_table import Rows
    from agent.numeric.single_novelty import SingleNovelty

    Index = NDArray[np.int64]

__all__ = ["Novelty", "Places"]

LAG = 16
"""Steps are looked at from the value before and from the one so many before."""
FIRST_COUNT = 32
"""Values that only say where the series lives and how wide it is."""
GRID_COUNT = 256
"""Values after which the bins stay where they are."""
MEMORY_COUNT = 1024
"""Values over which centre and width are averaged."""
MOST_COUNTED = 60_000
"""Values at which all counts of a series are halved, within the next 256."""
OUTGROWN_RATIO = 16.0
"""Change of the width after which the bins are laid anew."""

_COARSE_ARRAY = np.array(COARSE_BINS)
STEPS_A_LAG = COARSE_COUNT**2
_BACK = np.array([[1], [LAG]])
_LAG_START = np.array([[0], [STEPS_A_LAG]])
_AROUND = np.array([[0], [1], [2]])
LEAST_WIDTH_RATIO = 1e-9
LEAST_WIDTH = 1e-150


@dataclass(frozen=True, slots=True)
class Places:
    """Where the counts of some rows begin; for who asks after the same rows again and again.

    Attributes:
        rows, index: The rows as they were given, and as numbers, shape (n,).
        seen: Before the first fine bin of each, shape (3, n): one to the left, on it, one to the right.
        ring: First of the recent bins, and of the visits.
        steps: First step from a bin, less what `ring` already counts, at each lag, shape (2, n).
    """

    rows: Rows
    index: Index
    seen: Index
    ring: Index
    steps: Index

    @classmethod
    def of(cls, rows: Rows) -> Places:
        """Where the counts of these rows begin."""
        index: Index = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        steps = index * STEPS_A_LAG + _LAG_START
        return cls(rows, index, index * FINE_COUNT + _AROUND, index * LAG, steps)


class Novelty:
    """Counts, for each series, which values and which steps between values it shows.

    Values fall into bins that are even in asinh((x - centre) / width): fine near the centre, wide in the tails. Surprise is
    -ln of the share that the bin (and half of each neighbour), or the steps from the bins 1 and 16 values ago, had so
    far. Centre and width (mean distance from the centre) are learnt over the first 256 values and then kept, so that a
    change is seen as one, until the width is 16 times another. About 1.5 KB a series.

    `SingleNovelty` is the same for one series.
    """

    def __init__(self) -> None:
        self._age = np.zeros(0, dtype=np.int64)
        self._total = np.zeros(0)
        self._centre, self._width = np.zeros(0), np.zeros(0)
        self._grid_centre, self._grid_width = np.zeros(0), np.zeros(0)
        self._seen = np.zeros((0, FINE_COUNT), dtype=np.uint16)
        self._visits = np.zeros((0, COARSE_COUNT), dtype=np.uint16)
        self._steps = np.zeros((0, 2, COARSE_COUNT, COARSE_COUNT), dtype=np.uint16)
        self._recent = np.zeros((0, LAG), dtype=np.int64)

    def nbytes(self) -> int:
        return sum(array.nbytes for array in vars(self).values())

    def reserve(self, row_count: int) -> None:
        """Have at least so many rows."""
        for name, array in vars(self).items():
            setattr(self, name, grown(array, row_count))

    def clear(self, rows: Index) -> None:
        """Forget everything of these rows."""
        for array in vars(self).values():
            array[rows] = 0

    def adopt(self, row: int, single: SingleNovelty) -> None:
        """Go on with a series that was looked at alone."""
        for name in single.__slots__:
            column = getattr(self, f"_{name}")
            column[row] = np.reshape(getattr(single, name), column.shape[1:])

    def surprise(self, places: Places, values: FloatArray) -> FloatArray:
        """Surprise of each value, and of the steps to it, in nats, shape (2, n); 0 while it is too early to say. Learns them.

        Args:
            places: Of distinct rows, as many as values.
            values: Finite, within +-1e150.
        """
        rows, age = places.rows, self._age[places.rows]
        youngest = int(age.min())
        if youngest < GRID_COUNT:
            self._lay_bins(places.index[age < GRID_COUNT], values[age < GRID_COUNT])
        scaled = values - self._grid_centre[rows]
        scaled /= self._grid_width[rows]
        halves = half_bins(scaled)
        surprise = np.empty((2, len(values)))
        self._look_at_steps(places, _COARSE_ARRAY.take(halves), age, youngest, surprise[1])
        self._look_at_value(places, halves, age, youngest, surprise[0])
        np.log(surprise, out=surprise)
        surprise[1] *= 0.5
        self._learn_scale(rows, values, age, youngest)
        due = places.index[(age & (GRID_COUNT - 1)) == 0]
        self._age[rows] += 1
        if len(due):
            self._keep_in_bounds(due)
        return surprise

    def _lay_bins(self, young: Index, values: FloatArray) -> None:
        """Bins of young series follow their centre and width."""
        self._centre[young] = np.where(self._age[young] == 0, values, self._centre[young])
        self._grid_centre[young] = self._centre[young]
        least = np.maximum(np.abs(self._centre[young]) * LEAST_WIDTH_RATIO, LEAST_WIDTH)
        self._grid_width[young] = np.maximum(self._width[young], least)

    def _look_at_value(self, places: Places, halves: Index, age: Index, youngest: int, ratio: FloatArray) -> None:
        """Count the values, and give 1 / their share so far; 1 while nothing is counted."""
        seen, is_early = self._seen.reshape(-1), youngest < FIRST_COUNT
        halves >>= 1
        at = places.seen + halves
        left, own, right = seen.take(at)
        left += right
        mass = left * 0.5
        mass += own
        mass += 0.5
        is_counted = age >= FIRST_COUNT if is_early else 1
        np.add(self._total[places.rows], 1.0, out=ratio)
        ratio /= mass
        own += is_counted
        seen[at[1]] = own
        self._total[places.rows] += is_counted
        if is_early:
            ratio[~is_counted] = 1.0

    def _look_at_steps(self, places: Places, bins: Index, age: Index, youngest: int, ratio: FloatArray) -> None:
        """Count the steps, and give 1 / (share of the one from the value before x share of the one from 16 before)."""
        recent, visits, steps = self._recent.reshape(-1), self._visits.reshape(-1), self._steps.reshape(-1)
        times = age - _BACK
        is_early, is_counted = youngest < FIRST_COUNT + LAG, times >= FIRST_COUNT if youngest < FIRST_COUNT + LAG else 1
        times &= LAG - 1
        times += places.ring
        before = recent.take(times)
        before += places.ring
        at = before * COARSE_COUNT
        at += places.steps
        at += bins
        taken = steps.take(at)
        ratios = visits.take(before) + 4.0
        ratios /= taken + 0.5
        taken += is_counted
        steps[at] = taken
        recent[times[1]] = bins
        bins += places.ring
        visits[bins] += (age >= FIRST_COUNT).astype(np.uint16) if is_early else 1
        if is_early:
            ratios[~is_counted] = 1.0
        np.multiply(ratios[0], ratios[1], out=ratio)

    def _learn_scale(self, rows: Rows, values: FloatArray, age: Index, youngest: int) -> None:
        is_old = youngest >= MEMORY_COUNT
        weight = 1.0 / MEMORY_COUNT if is_old else np.maximum(1.0 / MEMORY_COUNT, 1.0 / (age + 1.0))
        distance = values - self._centre[rows]
        change = np.abs(distance)
        change -= self._width[rows]
        change *= weight
        self._width[rows] += change
        distance *= weight
        self._centre[rows] += distance

    def _keep_in_bounds(self, due: Index) -> None:
        """Halve counts before they overflow; start again where the series has outgrown its bins."""
        full = due[self._total[due] >= MOST_COUNTED]
        self._total[full] //= 2
        for counts in (self._seen, self._visits, self._steps):
            counts[full] //= 2
        self._start_where_outgrown(due[self._age[due] > 2 * GRID_COUNT])

    def _start_where_outgrown(self, due: Index) -> None:
        width, laid = self._width[due], self._grid_width[due]
        gone = due[(width > OUTGROWN_RATIO * laid) | ((width * OUTGROWN_RATIO < laid) & (width > 0))]
        for array in (self._age, self._total, self._seen, self._visits, self._steps, self._recent):
            array[gone] = 0
