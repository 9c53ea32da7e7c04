"""By how much each series leaves the range of its own past, in several views of it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.novelty import grown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray
    from agent.numeric.row_table import Rows

__all__ = ["Records", "required_excess"]

START_COUNT = 100
"""Values of a series before its ranges are opened."""
MEMORY_COUNT = 100_000
"""Values in which an extreme fades by 63 % towards where the series is now."""
_LEAST_RANGE_RATIO = 1e-6
_LEAST_RANGE = 1e-150


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

    Args:
        smoothing_counts: Values over which each view is smoothed (exponentially, weight 2 / (count + 1)), one a view, >= 1.
        two_sided_count: For so many of the first views, falling below the range counts as well.
    """

    def __init__(self, smoothing_counts: tuple[int, ...], two_sided_count: int) -> None:
        self._weights = np.array([[2.0 / (count + 1.0)] for count in smoothing_counts])
        self._two_sided = slice(0, two_sided_count)
        self.smooth, self._high, self._low = (np.zeros((len(smoothing_counts), 0)) for _ in range(3))

    def nbytes(self) -> int:
        return self.smooth.nbytes + self._high.nbytes + self._low.nbytes

    def reserve(self, row_count: int) -> None:
        """Have at least so many rows."""
        for name in ("smooth", "_high", "_low"):
            setattr(self, name, grown(getattr(self, name), row_count, axis=1))

    def excess(self, rows: Rows, views: FloatArray, age: NDArray[np.int64]) -> FloatArray:
        """Largest excess of any view over its range, in units of that range, shape (n,); <= 0 inside. Learns the values.

        Args:
            rows: Distinct rows, n of them.
            views: Newest value of each view, shape (views, n), finite, within +-1e150.
            age: Values that each row has had before; 0 starts it afresh.
        """
        smooth, high, low = self.smooth[:, rows], self._high[:, rows], self._low[:, rows]
        smooth += np.maximum(self._weights, 1.0 / (age + 1.0)) * (views - smooth)
        is_young = age <= START_COUNT
        if is_young.any():
            np.copyto(high, smooth, where=is_young)
            np.copyto(low, smooth, where=is_young)
        width = high - low
        least = np.abs(smooth)
        least *= _LEAST_RANGE_RATIO
        least += _LEAST_RANGE
        np.maximum(width, least, out=width)
        over, under = smooth - high, low - smooth
        high += over / MEMORY_COUNT
        low -= under / MEMORY_COUNT
        np.maximum(high, smooth, out=high)
        np.minimum(low, smooth, out=low)
        np.maximum(over[self._two_sided], under[self._two_sided], out=over[self._two_sided])
        over /= width
        if not isinstance(rows, slice):
            self.smooth[:, rows], self._high[:, rows], self._low[:, rows] = smooth, high, low
        found: FloatArray = over.max(axis=0)
        return found
