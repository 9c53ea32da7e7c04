"""How surprising a value is among those that its series has shown, and after those that came just before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray
    from agent.numeric.row_table import Rows

    Index = NDArray[np.int64]

T = TypeVar("T", bound=np.generic)

__all__ = ["Novelty", "grown", "rows_of"]

FINE_COUNT = 128
FINE_PER_UNIT = 8
COARSE_COUNT = 16
COARSE_PER_UNIT = 2
LAGS = (1, 16)
FIRST_COUNT = 32
"""Values that only say where the series lives and how wide it is."""
GRID_COUNT = 256
"""Values after which the bins stay where they are."""
MEMORY_COUNT = 1024
"""Values over which centre and width are averaged."""
MOST_COUNTED = 60_000
"""Values at which all counts of a series are halved."""
OUTGROWN_RATIO = 16.0
"""Change of the width after which the bins are laid anew."""

_LAGS = np.array(LAGS, dtype=np.int64)[:, None]
_LAG_BASE = np.arange(len(LAGS), dtype=np.int64)[:, None] * COARSE_COUNT**2
_RECENT_COUNT = LAGS[-1]
_LEAST_WIDTH_RATIO = 1e-9
_LEAST_WIDTH = 1e-150


class Novelty:
    """Counts, for each series, which values and which steps between values it shows.

    Values fall into bins that are even in asinh((x - centre) / width): fine near the centre, wide in the tails. Surprise is
    -ln of the share that the bin (and half of each neighbour), or the steps from the bins 1 and 16 values ago, had so
    far. Centre and width (mean distance from the centre) are learnt over the first 256 values and then kept, so that a
    change is seen as one, until the width is 16 times another. About 1.5 KB a series.
    """

    def __init__(self) -> None:
        self._age = np.zeros(0, dtype=np.int64)
        self._total = np.zeros(0)
        self._centre, self._width = np.zeros(0), np.zeros(0)
        self._grid_centre, self._grid_width = np.zeros(0), np.zeros(0)
        self._seen = np.zeros((0, FINE_COUNT), dtype=np.uint16)
        self._visits = np.zeros((0, COARSE_COUNT), dtype=np.uint16)
        self._steps = np.zeros((0, len(LAGS), COARSE_COUNT, COARSE_COUNT), dtype=np.uint16)
        self._recent = np.zeros((0, _RECENT_COUNT), dtype=np.int64)

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

    def surprise(self, rows: Rows, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Surprise of each value, and of the steps to it, in nats, shape (n,); 0 while it is too early to say. Learns them.

        Args:
            rows: Distinct rows, as many as values.
            values: Finite, within +-1e150.
        """
        self._lay_bins(rows, values)
        places = values - self._grid_centre[rows]
        np.divide(places, self._grid_width[rows], out=places)
        np.arcsinh(places, out=places)
        index, age = _index(rows, len(values)), self._age[rows].copy()
        is_early = bool(age.min() < FIRST_COUNT + LAGS[-1])
        of_value = self._look_at_value(index, _bins(places, FINE_PER_UNIT, FINE_COUNT, 1), age, is_early)
        of_step = self._look_at_steps(index, _bins(places, COARSE_PER_UNIT, COARSE_COUNT, 0), age, is_early)
        self._learn_scale(rows, values, age)
        self._keep_in_bounds(index, age)
        return of_value, of_step

    def _lay_bins(self, rows: Rows, values: FloatArray) -> None:
        """Bins of young series follow their centre and width."""
        age = self._age[rows]
        is_young = age < GRID_COUNT
        if not is_young.any():
            return
        young = _index(rows, len(values))[is_young]
        self._centre[young] = np.where(age[is_young] == 0, values[is_young], self._centre[young])
        self._grid_centre[young] = self._centre[young]
        least = np.maximum(np.abs(self._centre[young]) * _LEAST_WIDTH_RATIO, _LEAST_WIDTH)
        self._grid_width[young] = np.maximum(self._width[young], least)

    def _look_at_value(self, index: Index, bins: Index, age: Index, is_early: bool) -> FloatArray:
        seen, at = self._seen.reshape(-1), index * FINE_COUNT + bins
        own, total = seen.take(at), self._total.take(index)
        mass = 0.5 * seen.take(at - 1)
        mass += 0.5 * seen.take(at + 1)
        mass += own
        surprise: FloatArray = np.log((total + 1.0) / (mass + 0.5))
        is_counted = age >= FIRST_COUNT if is_early else 1
        seen[at] = own + is_counted
        self._total[index] = total + is_counted
        surprise *= is_counted
        return surprise

    def _look_at_steps(self, index: Index, bins: Index, age: Index, is_early: bool) -> FloatArray:
        recent, visits, steps = self._recent.reshape(-1), self._visits.reshape(-1), self._steps.reshape(-1)
        ring = index * _RECENT_COUNT
        before = recent.take(ring + ((age - _LAGS) & (_RECENT_COUNT - 1)))
        before += index * COARSE_COUNT
        at = before * COARSE_COUNT + _LAG_BASE
        at += index * ((len(LAGS) - 1) * COARSE_COUNT**2) + bins
        taken = steps.take(at)
        ratio = (visits.take(before) + 4.0) / (taken + 0.5)
        is_counted = age - _LAGS >= FIRST_COUNT if is_early else 1
        if is_early:
            ratio[~is_counted] = 1.0
        steps[at] = taken + is_counted
        visits[index * COARSE_COUNT + bins] += (age >= FIRST_COUNT).astype(np.uint16)
        recent[ring + (age & (_RECENT_COUNT - 1))] = bins
        surprise: FloatArray = np.log(ratio.prod(axis=0))
        surprise /= len(LAGS)
        return surprise

    def _learn_scale(self, rows: Rows, values: FloatArray, age: Index) -> None:
        weight = np.maximum(1.0 / MEMORY_COUNT, 1.0 / (age + 1.0))
        distance = values - self._centre[rows]
        self._width[rows] += weight * (np.abs(distance) - self._width[rows])
        self._centre[rows] += weight * distance
        self._age[rows] += 1

    def _keep_in_bounds(self, index: Index, age: Index) -> None:
        """Halve counts before they overflow; start again where the series has outgrown its bins."""
        is_full = self._total[index] >= MOST_COUNTED
        if is_full.any():
            self._halve(index[is_full])
        is_due = (age & (GRID_COUNT - 1)) == 0
        if is_due.any():
            self._start_where_outgrown(index[is_due & (age >= 2 * GRID_COUNT)])

    def _halve(self, full: Index) -> None:
        self._total[full] //= 2
        for counts in (self._seen, self._visits, self._steps):
            counts[full] //= 2

    def _start_where_outgrown(self, due: Index) -> None:
        width, laid = self._width[due], self._grid_width[due]
        gone = due[(width > OUTGROWN_RATIO * laid) | ((width * OUTGROWN_RATIO < laid) & (width > 0))]
        for array in (self._age, self._total, self._seen, self._visits, self._steps, self._recent):
            array[gone] = 0


def _bins(places: FloatArray, per_unit: int, count: int, margin: int) -> Index:
    """Bin of each place; `margin` bins at each end stay empty, so that every bin has neighbours."""
    bins = np.floor(places * per_unit + (0.5 + count // 2))
    clipped: Index = np.clip(bins, margin, count - 1 - margin, out=bins).astype(np.int64)
    return clipped


def _index(rows: Rows, count: int) -> Index:
    return np.arange(count) if isinstance(rows, slice) else rows


def rows_of(slots: Index) -> Rows:
    """The same rows as a slice where they are 0, 1, 2, ..., which spares gathering them."""
    count = len(slots)
    in_order = count > 0 and slots[0] == 0 and slots[-1] == count - 1 and bool((slots[1:] - slots[:-1] == 1).all())
    return slice(0, count) if in_order else slots


def grown(array: NDArray[T], row_count: int, axis: int = 0) -> NDArray[T]:
    """The array with at least so many rows (zeros), at least doubled when it must grow."""
    have = array.shape[axis]
    if have >= row_count:
        return array
    shape = list(array.shape)
    shape[axis] = max(row_count, 2 * have) - have
    return np.concatenate((array, np.zeros(shape, dtype=array.dtype)), axis=axis)
