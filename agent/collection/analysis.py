"""What is made of one tick: statistics of every series, scores, and which points begin an incident."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.collection.detection import RunningDetector
    from agent.model import FloatArray, IdArray
    from agent.numeric.results import TickResult
    from agent.numeric.transformer import Transformer

__all__ = ["Analysis", "Seen"]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One tick as it was judged; arrays aligned with the tick's ids.

    Attributes:
        score: How unusual, 0..1; NaN while that cannot be said.
        alert: bool; the points that begin an incident.
        result: The transformer's numbers; read what you need before the next tick.
    """

    score: FloatArray
    alert: NDArray[np.bool_]
    result: TickResult


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
            return Seen(*judged, result)
        threshold = self.transformer.engine.settings.anomaly_threshold
        return Seen(np.minimum(result.severity / (2 * threshold), 1.0), result.is_anomaly, result)

    def forget(self, ids: IdArray) -> None:
        """Let go of series that are no longer seen."""
        slots = self.transformer.forget(ids)
        if self.detector is not None:
            self.detector.forget(slots)
