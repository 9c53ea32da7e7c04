"""The wrapper round the detector: what it raises or gives wrongly costs the detector, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.contracts import Detector, ExplainingDetector
from agent.errors import ContractError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray

__all__ = ["RunningDetector"]


@dataclass(slots=True)
class RunningDetector:
    """Runs one detector for the pipeline; after its first failure it is asked no more, and that is told.

    Attributes:
        name: Name of the plugin.
        detector: What learns and scores.
        report: Told of the failure, in words.
        is_off: True once it has failed.
    """

    name: str
    detector: Detector
    report: Callable[[str], object]
    is_off: bool = False

    def judged(self, slots: NDArray[np.int64], values: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]] | None:
        """Score of each value (0..1; NaN: none yet) and which begin an incident, shape (n,); None when the detector is off."""
        if self.is_off:
            return None
        try:
            score, alert = self.detector.learn_and_score(slots, values)
            return self._numbers(score, len(values)), self._booleans(alert, len(values))
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is its own failure
            self._switch_off(error)
            return None

    def reasons(self, slots: NDArray[np.int64]) -> list[str]:
        """What made each of these rows alert in the last call; empty for a detector that does not say."""
        detector = self.detector
        if self.is_off or not isinstance(detector, ExplainingDetector):
            return []
        try:
            return [self._text(detector.explain(slot)) for slot in slots.tolist()]
        except Exception as error:  # noqa: BLE001 - see above
            self._switch_off(error)
            return []

    def forget(self, slots: NDArray[np.int64]) -> None:
        """Let go of series that are no longer seen."""
        if self.is_off:
            return
        try:
            self.detector.forget(slots)
        except Exception as error:  # noqa: BLE001 - see above
            self._switch_off(error)

    def _numbers(self, score: object, count: int) -> FloatArray:
        if not isinstance(score, np.ndarray) or score.dtype != np.float64 or score.shape != (count,):
            raise ContractError(self.name, "detector", f"score is {count} numbers (got {score!r:.80})")
        return score

    def _booleans(self, alert: object, count: int) -> NDArray[np.bool_]:
        if not isinstance(alert, np.ndarray) or alert.dtype != np.bool_ or alert.shape != (count,):
            raise ContractError(self.name, "detector", f"alert is {count} booleans (got {alert!r:.80})")
        return alert

    def _text(self, reason: object) -> str:
        if not isinstance(reason, str):
            raise ContractError(self.name, "detector", f"a reason is text (got {reason!r:.80})")
        return reason

    def _switch_off(self, error: Exception) -> None:
        self.is_off = True
        self.report(f"{type(error).__name__}: {error}"[:300])
