"""Distance from the profile of a period, for all series of a tick at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.growing import grown
from agent.numeric.incidents import Incidents

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray

__all__ = ["Seasonal"]

MOST_BUCKETS = 96
"""A period of a day has buckets of 15 minutes."""
_PERIODS_REMEMBERED = 4
_LEARNING_PERIODS = 2
_LEAST_SPREAD_RATIO = 1e-6
_LARGEST = 1e150


class Seasonal:
    """Keeps mean and mean absolute deviation of each part of the period, and compares values with those of their part.

    The deviation is that of the part or of the whole, whichever is larger, so that a part seen twice is not taken for exact.

    Args:
        period_count: Ticks in a period, >= 8; a call is a tick.
        smoothing_count: Values over which the distance is smoothed, >= 1; 1 = not at all.
        threshold: Smoothed distance in deviations from which it alerts, > 0.
        refractory_count: Values after an alert without another, >= 0.
    """

    def __init__(self, period_count: int, smoothing_count: int, threshold: float, refractory_count: int) -> None:
        self._period_count = period_count
        self._bucket_count = min(period_count, MOST_BUCKETS)
        self._most_visits = _PERIODS_REMEMBERED * -(-period_count // self._bucket_count)
        self._weight = 2.0 / (smoothing_count + 1.0)
        self._threshold = threshold
        self._incidents = Incidents(threshold, refractory_count)
        self._tick = 1
        self._first_tick = np.zeros(0, dtype=np.int64)
        self._distance, self._whole_spread = np.zeros(0), np.zeros(0)
        self._mean, self._spread, self._visits = (np.zeros((0, self._bucket_count)) for _ in range(3))

    def nbytes(self) -> int:
        """Bytes held for all series."""
        arrays = (self._first_tick, self._distance, self._whole_spread, self._mean, self._spread, self._visits)
        return sum(array.nbytes for array in arrays) + self._incidents.nbytes()

    def learn_and_score(self, slots: NDArray[np.int64], values: FloatArray, /) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Smoothed distance / (2 x threshold), at most 1, and where an incident begins; see `agent.contracts.Detector`.

        NaN and no alert for a value that is not finite, and in the first two periods of a series.
        """
        score, alert = np.full(len(slots), np.nan), np.zeros(len(slots), dtype=bool)
        usable = np.isfinite(values)
        if usable.any():
            self._reserve(int(slots.max()) + 1)
            rows, known = slots[usable], np.clip(values[usable], -_LARGEST, _LARGEST)
            severity = self._learn(rows, known)
            score[usable] = np.minimum(severity / (2 * self._threshold), 1.0)
            alert[usable] = self._incidents.alerts(rows, severity)
        self._tick += 1
        return score, alert

    def explain(self, slot: int, /) -> str:
        """How far the value was from its part of the period; see `agent.contracts.ExplainingDetector`."""
        distance = self._distance[slot]
        return f"{distance:+.3g} deviations off what this part of the period does, smoothed; alerts from {self._threshold:g}"

    def forget(self, slots: NDArray[np.int64], /) -> None:
        """Drop what was learnt of these rows; rows never seen are fine."""
        known = slots[slots < len(self._distance)]
        self._first_tick[known] = 0
        self._distance[known] = self._whole_spread[known] = 0.0
        self._mean[known] = self._spread[known] = self._visits[known] = 0.0
        self._incidents.clear(known)

    def _reserve(self, row_count: int) -> None:
        for name in ("_first_tick", "_distance", "_whole_spread", "_mean", "_spread", "_visits"):
            setattr(self, name, grown(getattr(self, name), row_count))
        self._incidents.reserve(row_count)

    def _learn(self, rows: NDArray[np.int64], values: FloatArray) -> FloatArray:
        """Smoothed distance in deviations; NaN in the first two periods."""
        bucket = self._tick % self._period_count * self._bucket_count // self._period_count
        mean, spread, visits = self._mean[rows, bucket], self._spread[rows, bucket], self._visits[rows, bucket]
        mean = np.where(visits == 0, values, mean)
        off = values - mean
        weight = 1.0 / np.minimum(visits + 1.0, self._most_visits)
        self._mean[rows, bucket] = mean + weight * off
        self._spread[rows, bucket] = spread + weight * (np.abs(off) - spread)
        self._visits[rows, bucket] = visits + 1.0
        return self._smoothed(rows, off, np.maximum(spread, np.abs(mean) * _LEAST_SPREAD_RATIO))

    def _smoothed(self, rows: NDArray[np.int64], off: FloatArray, spread: FloatArray) -> FloatArray:
        first = self._first_tick[rows]
        first = np.where(first == 0, self._tick, first)
        age, whole = self._tick - first, self._whole_spread[rows]
        self._first_tick[rows] = first
        self._whole_spread[rows] = whole + (np.abs(off) - whole) / np.minimum(age + 1.0, self._period_count)
        distance = off / np.maximum(np.maximum(spread, whole), 1.0 / _LARGEST)
        is_learning = age < _LEARNING_PERIODS * self._period_count
        smoothed = self._distance[rows] + self._weight * (distance - self._distance[rows])
        self._distance[rows] = np.where(is_learning, 0.0, smoothed)
        return np.where(is_learning, np.nan, np.abs(smoothed))
