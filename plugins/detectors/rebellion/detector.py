"""The default detector: a series alerts when one of several views of it leaves the range of its own past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.novelty import Novelty, grown, rows_of
from agent.numeric.records import Records, required_excess

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray
    from agent.numeric.row_table import Rows

__all__ = ["RangeDetector"]

LEVEL_COUNTS = (1, 8, 64)
VALUE_COUNTS = (1, 4)
STEP_COUNTS = (16,)
"""Values over which the level, the surprise of the values and that of the steps are smoothed: one view each."""
SCORE_COUNT = 64
LEARNING_COUNT = 32
"""Values before the first score."""
_HALF_SCORE_NATS = 4.0
_LARGEST = 1e150


class RangeDetector:
    """Watches level and surprise of each series at several scales; see the README for what that means.

    Args:
        tail_count: It alerts at what has a chance below 1 in so many, > 1.
        least_excess: Least excess over the range, in units of the range, >= 0.
        warm_up_count: Values of a series before its first alert, >= 1.
        refractory_count: Values after an alert without another, >= 0.
    """

    def __init__(self, tail_count: int, least_excess: float, warm_up_count: int, refractory_count: int) -> None:
        self._tail_count = tail_count
        self._least_excess = least_excess
        self._warm_up_count = warm_up_count
        self._refractory_count = refractory_count
        self._records = Records(LEVEL_COUNTS + VALUE_COUNTS + STEP_COUNTS, len(LEVEL_COUNTS))
        self._novelty = Novelty()
        self._age = np.zeros(0, dtype=np.int64)
        self._quiet_until = np.zeros(0, dtype=np.int64)
        self._severity = np.zeros(0)

    def nbytes(self) -> int:
        """Bytes held for all series."""
        own = self._age.nbytes + self._quiet_until.nbytes + self._severity.nbytes
        return own + self._records.nbytes() + self._novelty.nbytes()

    def learn_and_score(self, slots: NDArray[np.int64], values: FloatArray, /) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Smoothed surprise h of the values in nats as h / (h + 4), and alerts; see `agent.contracts.Detector`.

        NaN and no alert for a value that is not finite, which is not learnt. What is beyond +-1e150 counts as that.
        """
        score, alert = np.full(len(slots), np.nan), np.zeros(len(slots), dtype=bool)
        usable = np.isfinite(values)
        if usable.all():
            rows, known = rows_of(slots), values
        else:
            rows, known = slots[usable], values[usable]
        if len(known):
            self._reserve(int(slots.max()) + 1)
            score[usable], alert[usable] = self._learn(rows, np.clip(known, -_LARGEST, _LARGEST))
        return score, alert

    def forget(self, slots: NDArray[np.int64], /) -> None:
        """Drop what was learnt of these rows; rows never seen are fine."""
        known = slots[slots < len(self._age)]
        self._age[known] = self._quiet_until[known] = 0
        self._severity[known] = 0.0
        self._novelty.clear(known)

    def _reserve(self, row_count: int) -> None:
        if row_count <= len(self._age):
            return
        self._age, self._quiet_until = grown(self._age, row_count), grown(self._quiet_until, row_count)
        self._severity = grown(self._severity, row_count)
        self._records.reserve(row_count)
        self._novelty.reserve(row_count)

    def _learn(self, rows: Rows, values: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        age = self._age[rows].copy()
        of_value, of_step = self._novelty.surprise(rows, values)
        views = np.empty((len(LEVEL_COUNTS + VALUE_COUNTS + STEP_COUNTS), len(values)))
        views[: len(LEVEL_COUNTS)] = values
        views[len(LEVEL_COUNTS) : -len(STEP_COUNTS)] = of_value
        views[-len(STEP_COUNTS) :] = of_step
        excess = self._records.excess(rows, views, age)
        alert = (excess > self._least_excess) & (age >= self._warm_up_count) & (age >= self._quiet_until[rows])
        if alert.any():
            alert &= excess > required_excess(age, self._tail_count, self._least_excess)
            self._quiet_until[rows] = np.where(alert, age + self._refractory_count, self._quiet_until[rows])
        score = self._score(rows, of_value, age)
        self._age[rows] += 1
        return score, alert

    def _score(self, rows: Rows, surprise: FloatArray, age: NDArray[np.int64]) -> FloatArray:
        severity = self._severity[rows]
        severity = severity + np.maximum(2.0 / (SCORE_COUNT + 1.0), 1.0 / (age + 1.0)) * (surprise - severity)
        self._severity[rows] = severity
        return np.where(age >= LEARNING_COUNT, severity / (severity + _HALF_SCORE_NATS), np.nan)
