"""By how much each series leaves the range of its own past, in several views of it at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from agent.numeric.growing import grown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray
    from agent.numeric.row_table import Rows
    from agent.numeric.single_records import SingleRecords

    Index = NDArray[np.int64]

__all__ = ["Departure", "Departures", "Records", "required_excess"]

MEMORY_COUNT = 100_000
"""Values in which an extreme fades by 63 % towards where the series is now."""
LEAST_RANGE_RATIO = 1e-6
LEAST_RANGE = 1e-150
FADE = 1.0 / MEMORY_COUNT
_UP_AND_DOWN = np.array([[[1.0]], [[-1.0]]])


def required_excess(age: NDArray[np.int64], tail_count: int, least: float) -> FloatArray:
    """Excess over the range, in units of it, whose chance is 1 in `tail_count`, and at least `least`.

    A record after n values has the chance 1/n; for exponential tails the range is about 2 ln(n) scales wide, so that an excess
    of e ranges makes it n^-(1 + 2e).

    Args:
        age: Values so far, shape (n,).
        tail_count: > 1.
        least: >= 0.
    """
    needed: FloatArray = np.maximum(least, (np.log(tail_count) / np.log(np.maximum(age, 2)) - 1.0) / 2.0)
    return needed


class Departure(NamedTuple):
    """One view of one series outside its range.

    Attributes:
        view: Which, counted from 0.
        excess: Over the range, in units of it, > 0.
        value: Where it is, smoothed.
        low, high: The range that it had.
    """

    view: int
    excess: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Departures:
    """Those of many series that have a view outside its range.

    Attributes:
        at: Their places in the call, rising, shape (k,).
        excess: Of each view over its range, in units of it, shape (views, k); below the least where it is none.
        value, low, high: See `Departure`; shape (views, k).
    """

    at: Index
    excess: FloatArray
    value: FloatArray
    low: FloatArray
    high: FloatArray

    def of(self, place: int, least_excess: float) -> list[Departure]:
        """Every view of one series that is outside by more than that; none for a series that is not among them."""
        column = int(self.at.searchsorted(place))
        if column == len(self.at) or self.at[column] != place:
            return []
        numbers = (table[:, column].tolist() for table in (self.excess, self.value, self.low, self.high))
        return [one for one in map(Departure, range(len(self.excess)), *numbers) if one.excess > least_excess]


class Records:
    """Smooths each view and keeps the highest and the lowest that it has been.

    `SingleRecords` is the same for one series.

    Args:
        smoothing_counts: Values over which each view is smoothed (exponentially, weight 2 / (count + 1)), one a view, >= 1.
        two_sided_count: For so many of the first views, falling below the range counts as well.
        least_excess: What is outside by no more than that, in units of the range, is not told.
    """

    def __init__(self, smoothing_counts: tuple[int, ...], two_sided_count: int, least_excess: float) -> None:
        self._least_excess = least_excess
        self._weights = np.array([[2.0 / (count + 1.0)] for count in smoothing_counts])
        self._settled_age = max(smoothing_counts)
        self._two_sided_count = two_sided_count
        self._smooth = np.zeros((len(smoothing_counts), 0))
        self._bounds = np.zeros((2, len(smoothing_counts), 0))
        nothing = np.zeros((len(smoothing_counts), 0))
        self._none = Departures(np.zeros(0, dtype=np.int64), nothing, nothing, nothing, nothing)

    def nbytes(self) -> int:
        return self._smooth.nbytes + self._bounds.nbytes

    def reserve(self, row_count: int) -> None:
        """Have at least so many rows."""
        self._smooth, self._bounds = grown(self._smooth, row_count, axis=1), grown(self._bounds, row_count, axis=2)

    def adopt(self, row: int, single: SingleRecords) -> None:
        """Go on with a series that was looked at alone."""
        self._smooth[:, row], self._bounds[0, :, row] = single.smooth, single.high
        self._bounds[1, :, row] = [-low for low in single.low]

    def departures(self, rows: Rows, views: FloatArray, age: Index, youngest: int) -> Departures:
        """Which rows have a view that is far enough outside its range, and by how much. Learns the values.

        A range is opened when the longest smoothing has settled.

        Args:
            rows: Distinct rows, n of them.
            views: Newest value of each view, shape (views, n), finite, within +-1e150. Overwritten.
            age: Values that each row has had before; 0 starts it afresh.
            youngest: The least of `age`.
        """
        smooth, bounds = self._smooth[:, rows], self._bounds[:, :, rows]
        views -= smooth
        views *= self._weights if youngest >= self._settled_age else np.maximum(self._weights, 1.0 / (age + 1.0))
        smooth += views
        both = smooth * _UP_AND_DOWN
        if youngest <= self._settled_age:
            np.copyto(bounds, both, where=age <= self._settled_age)
        over = both - bounds
        found = self._found(over, bounds, smooth)
        over *= FADE
        bounds += over
        np.maximum(bounds, both, out=bounds)
        if not isinstance(rows, slice):
            self._smooth[:, rows], self._bounds[:, :, rows] = smooth, bounds
        return found

    def _found(self, over: FloatArray, bounds: FloatArray, smooth: FloatArray) -> Departures:
        counted, least = self._two_sided_count, bounds[0] + bounds[1]
        least *= self._least_excess
        is_out = over[0] > least
        is_out[:counted] |= over[1, :counted] > least[:counted]
        at = np.flatnonzero(is_out.any(axis=0))
        if not len(at):
            return self._none
        value, high, low = smooth.take(at, axis=1), bounds[0].take(at, axis=1), -bounds[1].take(at, axis=1)
        excess = over[0].take(at, axis=1)
        np.maximum(excess[:counted], over[1, :counted].take(at, axis=1), out=excess[:counted])
        excess /= np.maximum(high - low, np.abs(value) * LEAST_RANGE_RATIO + LEAST_RANGE)
        return Departures(at, excess, value, low, high)
