"""By how much each series leaves the range of its own past, in several views of it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.growing import grown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray
    from agent.numeric.row_table import Rows
    from agent.numeric.single_records import SingleRecords

__all__ = ["Records", "required_excess"]

START_COUNT = 100
"""Values of a series before its ranges are opened."""
MEMORY_COUNT = 100_000
"""Values in which an extreme fades by 63 % towards where the series is now."""
LEAST_RANGE_RATIO = 1e-6
LEAST_RANGE = 1e-150
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


class Records:
    """Smooths each view and keeps the highest and the lowest that it has been.

    `SingleRecords` is the same for one series.

    Args:
        smoothing_counts: Values over which each view is smoothed (exponentially, weight 2 / (count + 1)), one a view, >= 1.
        two_sided_count: For so many of the first views, falling below the range counts as well.
    """

    def __init__(self, smoothing_counts: tuple[int, ...], two_sided_count: int) -> None:
        self._weights = np.array([[2.0 / (count + 1.0)] for count in smoothing_counts])
        self._settled_age = max(smoothing_counts)
        self._two_sided_count = two_sided_count
        self._smooth = np.zeros((len(smoothing_counts), 0))
        self._bounds = np.zeros((2, len(smoothing_counts), 0))

    def nbytes(self) -> int:
        return self._smooth.nbytes + self._bounds.nbytes

    def reserve(self, row_count: int) -> None:
        """Have at least so many rows."""
        self._smooth, self._bounds = grown(self._smooth, row_count, axis=1), grown(self._bounds, row_count, axis=2)

    def adopt(self, row: int, single: SingleRecords) -> None:
        """Go on with a series that was looked at alone."""
        self._smooth[:, row], self._bounds[0, :, row] = single.smooth, single.high
        self._bounds[1, :, row] = [-low for low in single.low]

    def excess(self, rows: Rows, views: FloatArray, age: NDArray[np.int64], youngest: int) -> FloatArray:
        """Largest excess of any view over its range, in units of that range, shape (n,); 0 inside. Learns the values.

        Args:
            rows: Distinct rows, n of them.
            views: Newest value of each view, shape (views, n), finite, within +-1e150. Overwritten.
            age: Values that each row has had before; 0 starts it afresh.
            youngest: The least of `age`.
        """
        smooth, bounds = self._smooth[:, rows], self._bounds[:, :, rows]
        views -= smooth
        is_settled = youngest >= self._settled_age
        views *= self._weights if is_settled else np.maximum(self._weights, 1.0 / (age + 1.0))
        smooth += views
        both = smooth * _UP_AND_DOWN
        if youngest <= START_COUNT:
            np.copyto(bounds, both, where=age <= START_COUNT)
        over = both - bounds
        found = self._found(over, bounds, smooth)
        over /= MEMORY_COUNT
        bounds += over
        np.maximum(bounds, both, out=bounds)
        if not isinstance(rows, slice):
            self._smooth[:, rows], self._bounds[:, :, rows] = smooth, bounds
        return found

    def _found(self, over: FloatArray, bounds: FloatArray, smooth: FloatArray) -> FloatArray:
        """Excess of those few that are outside, and 0 for the others."""
        counted, found = self._two_sided_count, np.zeros(smooth.shape[1])
        is_out = over[0] > 0.0
        is_out[:counted] |= over[1, :counted] > 0.0
        columns = np.flatnonzero(is_out.any(axis=0))
        if len(columns):
            width = bounds[0].take(columns, axis=1) + bounds[1].take(columns, axis=1)
            least = np.abs(smooth.take(columns, axis=1)) * LEAST_RANGE_RATIO + LEAST_RANGE
            most = over[0].take(columns, axis=1)
            np.maximum(most[:counted], over[1, :counted].take(columns, axis=1), out=most[:counted])
            found[columns] = (most / np.maximum(width, least)).max(axis=0)
        return found
