"""The rolling z-score, for all series of a tick at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.incidents import Incidents
from agent.numeric.window_engine import EngineSettings, WindowEngine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray

__all__ = ["ZScore"]


class ZScore:
    """Smooths each series over its last values, and scores the result against the window of those before it.

    Args:
        history_count: Ticks in the window, >= 9.
        smoothing_count: Values in the short mean, >= 1; 1 = no smoothing.
        threshold: |z| from which it alerts, > 0.
        refractory_count: Values after an alert without another, >= 0.
    """

    def __init__(self, history_count: int, smoothing_count: int, threshold: float, refractory_count: int) -> None:
        self._engine = WindowEngine(EngineSettings(window=history_count, anomaly_threshold=threshold))
        self._threshold = threshold
        self._incidents = Incidents(threshold, refractory_count)
        self._recent: FloatArray = np.empty((0, smoothing_count))

    def learn_and_score(self, slots: NDArray[np.int64], values: FloatArray, /) -> tuple[FloatArray, NDArray[np.bool_]]:
        """|z| / (2 x threshold), at most 1, and where an incident begins; see `agent.contracts.Detector`.

        NaN and no alert for a missing value and before 8 values of history.
        """
        if not len(slots):
            return np.empty(0), np.empty(0, dtype=bool)
        self._reserve(int(slots.max()) + 1)
        self._engine.tick(slots, self._smoothed(slots, values))
        z = np.abs(self._engine.rings.single("z")[slots])
        return np.minimum(z / (2 * self._threshold), 1.0), self._incidents.alerts(slots, z)

    def explain(self, slot: int, /) -> str:
        """How far the short mean was from the window; see `agent.contracts.ExplainingDetector`."""
        return f"short mean {self._engine.rings.single('z')[slot]:+.3g} deviations off, alerts from {self._threshold:g}"

    def nbytes(self) -> int:
        """Bytes held for all series."""
        return self._engine.nbytes() + self._recent.nbytes + self._incidents.nbytes()

    def forget(self, slots: NDArray[np.int64], /) -> None:
        """Drop what was learnt of these rows; rows never seen are fine."""
        known = slots[slots < len(self._recent)]
        self._engine.clear(known)
        self._incidents.clear(known)
        self._recent[known] = np.nan

    def _reserve(self, row_count: int) -> None:
        if row_count > len(self._recent):
            self._engine.reserve(row_count)
            self._incidents.reserve(self._engine.rings.row_count)
            more = self._engine.rings.row_count - len(self._recent)
            self._recent = np.concatenate((self._recent, np.full((more, self._recent.shape[1]), np.nan)))

    def _smoothed(self, slots: NDArray[np.int64], values: FloatArray) -> FloatArray:
        """Mean of the last values of each series, missing ones left out; NaN where there is none now."""
        usable = np.where(np.isfinite(values), values, np.nan)
        recent = np.column_stack((self._recent[slots, 1:], usable))
        kept = np.where(np.isnan(usable)[:, None], self._recent[slots], recent)
        self._recent[slots] = kept
        base = usable[:, None]
        is_there = ~np.isnan(kept)
        distances = np.where(is_there, kept - base, 0.0)
        smoothed: FloatArray = usable + distances.sum(axis=1) / np.maximum(is_there.sum(axis=1), 1)
        return smoothed
