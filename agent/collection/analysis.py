"""What is made of one tick: statistics of every series, scores, and which points begin an incident."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from agent.collection.detection import RunningDetector
    from agent.model import FloatArray, IdArray
    from agent.numeric.results import TickResult
    from agent.numeric.transformer import Transformer

__all__ = ["Analysis", "Seen"]

MOST_EXPLAINED = 64
"""Alerts of one tick whose reasons the detector is asked for; of a whole host at once nobody reads more."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One tick as it was judged; arrays aligned with the tick's ids.

    Attributes:
        score: How unusual, 0..1; NaN while that cannot be said.
        alert: bool; the points that begin an incident.
        result: The transformer's numbers; read what you need before the next tick.
        reasons: What the detector saw, in words, by place; of the first 64 alerts, where it says so.
    """

    score: FloatArray
    alert: NDArray[np.bool_]
    result: TickResult
    reasons: Mapping[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Analysis:
    """Looks at every tick, whoever feeds them: the pipeline, or a history that is replayed.

    Attributes:
        transformer: Keeps the statistics.
        detector: Judges the points; None, or one that has failed: the transformer's threshold does.
    """

    transformer: Transformer
    detector: RunningDetector | None = None

    @property
    def judge(self) -> str:
        """Name of what judges the points now; "threshold" when no detector does."""
        return self.detector.name if self.detector is not None and not self.detector.is_off else "threshold"

    def look(self, ids: IdArray, values: FloatArray) -> Seen:
        """Learn and judge one tick.

        Args:
            ids: Shape (n,), uint32, no id twice.
            values: Shape (n,), float64; NaN is missing.
        """
        result = self.transformer.tick(ids, values)
        judged = self.detector.judged(result.slots, values) if self.detector is not None else None
        if judged is not None:
            return Seen(*judged, result, self._reasons(result.slots, judged[1]))
        threshold = self.transformer.engine.settings.anomaly_threshold
        return Seen(np.minimum(result.severity / (2 * threshold), 1.0), result.is_anomaly, result)

    def _reasons(self, slots: NDArray[np.int64], alert: NDArray[np.bool_]) -> dict[int, str]:
        if self.detector is None or not alert.any():
            return {}
        at = np.flatnonzero(alert)[:MOST_EXPLAINED]
        return dict(zip(at.tolist(), self.detector.reasons(slots[at]), strict=False))

    def forget(self, ids: IdArray) -> None:
        """Let go of series that are no longer seen."""
        slots = self.transformer.forget(ids)
        if self.detector is not None:
            self.detector.forget(slots)
