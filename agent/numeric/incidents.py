"""From a severity of every tick to one alert an incident."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.growing import grown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray

__all__ = ["Incidents"]

_RELEASE_RATIO = 0.5


class Incidents:
    """Opens an incident where the severity reaches the threshold, and closes it below half of that.

    Args:
        threshold: Severity from which it alerts, > 0.
        refractory_count: Values after an alert without another, >= 0.
    """

    def __init__(self, threshold: float, refractory_count: int) -> None:
        self._threshold = threshold
        self._refractory_count = refractory_count
        self._is_open = np.zeros(0, dtype=bool)
        self._wait_count = np.zeros(0, dtype=np.int64)

    def nbytes(self) -> int:
        return self._is_open.nbytes + self._wait_count.nbytes

    def reserve(self, row_count: int) -> None:
        """Have at least so many rows."""
        self._is_open, self._wait_count = grown(self._is_open, row_count), grown(self._wait_count, row_count)

    def clear(self, rows: NDArray[np.int64]) -> None:
        """Forget everything of these rows; rows never seen are fine."""
        known = rows[rows < len(self._is_open)]
        self._is_open[known], self._wait_count[known] = False, 0

    def alerts(self, rows: NDArray[np.int64], severity: FloatArray) -> NDArray[np.bool_]:
        """Where an incident begins, shape (n,). NaN changes nothing.

        Args:
            rows: Distinct rows, n of them.
            severity: Shape (n,), >= 0; +inf is fine.
        """
        is_high, was_open, wait = severity >= self._threshold, self._is_open[rows], self._wait_count[rows]
        begins: NDArray[np.bool_] = is_high & ~was_open & (wait == 0)
        stays = was_open & ~(severity < _RELEASE_RATIO * self._threshold)
        self._is_open[rows] = begins | stays
        self._wait_count[rows] = np.where(begins, self._refractory_count, np.maximum(wait - ~np.isnan(severity), 0))
        return begins
