"""The robust z-score, for all series of a tick at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.incidents import Incidents
from agent.numeric.window_engine import EngineSettings, WindowEngine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray

__all__ = ["Robust"]


class Robust:
    """Compares each value with median and median absolute deviation of the window before it.

    Args:
        history_count: Ticks in the window, >= 9.
        threshold: Robust z from which it alerts, > 0.
        refractory_count: Values after an alert without another, >= 0.
    """

    def __init__(self, history_count: int, threshold: float, refractory_count: int) -> None:
        self._engine = WindowEngine(EngineSettings(window=history_count, anomaly_threshold=threshold))
        self._incidents = Incidents(threshold, refractory_count)
        self._threshold = threshold

    def nbytes(self) -> int:
        """Bytes held for all series."""
        return self._engine.nbytes() + self._incidents.nbytes()

    def learn_and_score(self, slots: NDArray[np.int64], values: FloatArray, /) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Severity / (2 x threshold), at most 1, and where an incident begins; see `agent.contracts.Detector`.

        Severity is |robust z|, or |z| where most of the history is one value. NaN and no alert for a missing value and before 8
        values of history.
        """
        if not len(slots):
            return np.empty(0), np.empty(0, dtype=bool)
        self._engine.reserve(int(slots.max()) + 1)
        self._incidents.reserve(self._engine.rings.row_count)
        self._engine.tick(slots, values)
        severity = self._engine.rings.single("severity")[slots]
        is_news = self._engine.rings.is_anomaly[slots]
        alert = self._incidents.alerts(slots, np.where(is_news | (severity < self._threshold), severity, 0.0))
        return np.minimum(severity / (2 * self._threshold), 1.0), alert

    def explain(self, slot: int, /) -> str:
        """How far the value was from the window's median; see `agent.contracts.ExplainingDetector`."""
        severity = self._engine.rings.single("severity")[slot]
        return f"{severity:.3g} robust deviations off, alerts from {self._threshold:g}"

    def forget(self, slots: NDArray[np.int64], /) -> None:
        """Drop what was learnt of these rows; rows never seen are fine."""
        known = slots[slots < self._engine.rings.row_count]
        self._engine.clear(known)
        self._incidents.clear(known)
