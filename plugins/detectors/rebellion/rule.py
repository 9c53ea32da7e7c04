"""What is the same for one series and for many: which views are kept, and when what they show is an alert."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "HALF_SCORE_NATS",
    "LARGEST",
    "LEARNING_COUNT",
    "LEVEL_COUNTS",
    "SCORE_COUNT",
    "SCORE_WEIGHT",
    "STEP_COUNTS",
    "TWO_SIDED_COUNT",
    "VALUE_COUNTS",
    "VIEW_COUNTS",
    "Rule",
]

LEVEL_COUNTS = (1, 8, 64)
VALUE_COUNTS = (4,)
STEP_COUNTS = (16,)
"""Values over which the level, the surprise of the values and that of the steps are smoothed: one view each."""
VIEW_COUNTS = LEVEL_COUNTS + VALUE_COUNTS + STEP_COUNTS
TWO_SIDED_COUNT = len(LEVEL_COUNTS)
SCORE_COUNT = 64
SCORE_WEIGHT = 2.0 / (SCORE_COUNT + 1.0)
HALF_SCORE_NATS = 4.0
LEARNING_COUNT = 32
"""Values before the first score."""
LARGEST = 1e150


@dataclass(frozen=True, slots=True)
class Rule:
    """When to alert.

    Attributes:
        tail_count: At what has a chance below 1 in so many, > 1.
        least_excess: Least excess over the range, in units of the range, >= 0.
        warm_up_count: Values of a series before its first alert, >= 1.
        refractory_count: Values after an alert without another, >= 0.
    """

    tail_count: int
    least_excess: float
    warm_up_count: int
    refractory_count: int
