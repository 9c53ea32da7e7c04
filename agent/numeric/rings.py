"""Everything kept of each row (one row a series): its ring of values, its running sums, its latest results."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray
    from agent.numeric.row_table import Rows

T = TypeVar("T", bound=np.generic)

__all__ = ["Block", "Rings", "Scratch"]

_MOMENT_COUNT = 6
_ROW_CHUNK = 16


class Scratch:
    """Temporaries for blocks of one length; nothing in them outlives a tick.

    `terms` is what one value adds to each of the sums, in the order of `Block.moments`.
    """

    def __init__(self, length: int, percentile_count: int, recent_count: int) -> None:
        self.terms = np.empty((_MOMENT_COUNT, length))
        self.count, self.value, self.square, self.aged_count, _, self.aged_square = self.terms
        self.level_terms, self.sloped_terms, self.newest_terms = self.terms[:2], self.terms[3:5], self.terms[:3]
        self.t1, self.t2, self.t3, self.t4, self.t5, self.t6 = np.empty((6, length))
        self.history_mean = np.empty(length)
        self.deviations, self.spreads, self.centres, self.sizes, self.limits = np.empty((5, 2, length))
        self.history_std = self.spreads[0]
        self.masks = np.empty((2, length), dtype=bool)
        self.shifted_mean, self.square_sum = np.empty((2, length))
        self.mask, self.is_odd = np.empty((2, length), dtype=bool)
        self.counts, self.runs = np.empty((2, 2, length), dtype=np.int64)
        self.history_count = self.counts[1]
        self.places = np.empty(length, dtype=np.int64)
        self.distances, self.more_distances = np.empty((2, 2, length))
        self.ranks = np.empty((percentile_count, length), dtype=np.int64)
        self.recent = np.empty((recent_count, length))
        self.recent_gaps = np.empty((recent_count, length), dtype=bool)
        self.q1, self.q2, self.q3, self.q4 = np.empty((4, percentile_count, length))


class Block:
    """Views of a run of rows, all arrays shape (rows,) unless said; made once, so that a tick slices nothing.

    Attributes:
        start, stop: Which rows.
        ring: (rows, window), float64; NaN where there is no value.
        count, sum_d, sum_dd, sum_t, sum_td, sum_tt: Sums over the valid values of the window, with d = value - shift and
            t = age in ticks (newest 0, the one before -1, ...). Those without d are exact whole numbers.
        moments: All six as one (6, rows) array; levels: count and sum_d; sloped: sum_t and sum_td; ageless: the first three.
        shift: A value of the series; NaN before its first one.
        peak: Largest sum_dd since the sums were last made from the ring.
        newest: The value of this tick; NaN when missing.
        limit: Upper bound that ticks_to_limit counts to.
        both_z: z and robust_z as one (2, rows) array.
        percentiles: (percentiles, rows).
        is_anomaly: bool.
    """

    shift: FloatArray
    peak: FloatArray
    ewma: FloatArray
    mean: FloatArray
    std: FloatArray
    minimum: FloatArray
    maximum: FloatArray
    median: FloatArray
    mad: FloatArray
    moving_average: FloatArray
    z: FloatArray
    robust_z: FloatArray
    severity: FloatArray
    slope: FloatArray
    intercept: FloatArray
    r2: FloatArray
    forecast: FloatArray
    forecast_low: FloatArray
    forecast_high: FloatArray
    ticks_to_limit: FloatArray
    limit: FloatArray
    newest: FloatArray

    def __init__(self, rings: Rings, start: int, stop: int, scratch: Scratch) -> None:
        self.start = start
        self.stop = stop
        self.scratch = scratch
        self.ring = rings.ring[start:stop]
        self.moments = rings.moments[:, start:stop]
        self.levels, self.sloped, self.ageless = self.moments[:2], self.moments[3:5], self.moments[:3]
        self.count, self.sum_d, self.sum_dd, self.sum_t, self.sum_td, self.sum_tt = self.moments
        for name, values in zip(_SINGLES, rings.singles, strict=True):
            setattr(self, name, values[start:stop])
        self.both_z = rings.singles[_SINGLES.index("z") : _SINGLES.index("robust_z") + 1, start:stop]
        self.percentiles = rings.percentiles[:, start:stop]
        self.bad_count = rings.bad_count[start:stop]
        self.is_anomaly = rings.is_anomaly[start:stop]


_SINGLES = tuple(Block.__annotations__)
"""The results that are one number a row, in the order in which `Rings.singles` holds them."""


class Rings:
    """Storage for a growing number of rows.

    Args:
        window: Values kept a row, >= 1.
        percentile_count: How many percentiles are kept a row.
        recent_count: Ticks of the moving average, >= 1; at most the window counts.
    """

    def __init__(self, window: int, percentile_count: int, recent_count: int) -> None:
        self.window = window
        self._recent_count = min(recent_count, window)
        self.row_count = 0
        self.ring: FloatArray = np.empty((0, window))
        self.moments: FloatArray = np.empty((_MOMENT_COUNT, 0))
        self.singles: FloatArray = np.empty((len(_SINGLES), 0))
        self.percentiles: FloatArray = np.empty((percentile_count, 0))
        self.bad_count: NDArray[np.uint32] = np.empty(0, dtype=np.uint32)
        self.is_anomaly: NDArray[np.bool_] = np.empty(0, dtype=bool)
        self._scratch: dict[int, Scratch] = {}

    def single(self, name: str) -> FloatArray:
        """One result of all rows, as a view that the next tick overwrites."""
        view: FloatArray = self.singles[_SINGLES.index(name), : self.row_count]
        return view

    def nbytes(self) -> int:
        """Bytes held for rows, temporaries not counted."""
        by_row = (self.moments, self.singles, self.percentiles, self.bad_count, self.is_anomaly)
        return self.ring.nbytes + sum(array.nbytes for array in by_row)

    def grow_to(self, row_count: int) -> None:
        """Have at least this many rows; storage grows by a quarter at least when it must move, so growth is O(1) a row.

        Blocks and temporaries cut before are no longer good.
        """
        self._scratch.clear()
        capacity = len(self.ring)
        if row_count > capacity:
            self._move(max(row_count, capacity + capacity // 4 if capacity else _ROW_CHUNK))
            capacity = len(self.ring)
        self.row_count = min(capacity, max(row_count, self.row_count + max(_ROW_CHUNK, self.row_count // 8)))

    def cut(self, length: int) -> list[Block]:
        """All rows as blocks of at most `length` rows; they hold until the next growth."""
        bounds = [(start, min(start + length, self.row_count)) for start in range(0, self.row_count, length)]
        return [Block(self, start, stop, self._scratch_of(stop - start)) for start, stop in bounds]

    def clear(self, rows: Rows) -> None:
        """Make rows as new: no value, no sum, no result of an earlier series stays."""
        self.ring[rows] = np.nan
        self.moments[:, rows] = 0.0
        self.singles[:, rows] = np.nan
        self.singles[_SINGLES.index("peak"), rows] = 0.0
        self.singles[_SINGLES.index("limit"), rows] = np.inf
        self.percentiles[:, rows] = np.nan
        self.bad_count[rows] = 0
        self.is_anomaly[rows] = False

    def _move(self, capacity: int) -> None:
        used = len(self.ring)
        ring, self.ring = self.ring, np.empty((capacity, self.window))
        self.ring[:used] = ring
        self.moments, self.singles = _widened(self.moments, capacity), _widened(self.singles, capacity)
        self.percentiles = _widened(self.percentiles, capacity)
        self.bad_count, self.is_anomaly = _widened(self.bad_count, capacity), _widened(self.is_anomaly, capacity)
        self.clear(slice(used, capacity))

    def _scratch_of(self, length: int) -> Scratch:
        scratch = self._scratch.get(length)
        if scratch is None:
            scratch = self._scratch[length] = Scratch(length, len(self.percentiles), self._recent_count)
        return scratch


def _widened(array: NDArray[T], capacity: int) -> NDArray[T]:
    """The array in a larger one, whose last axis is that long; what is new is not set."""
    wide = np.empty((*array.shape[:-1], capacity), dtype=array.dtype)
    wide[..., : array.shape[-1]] = array
    return wide
