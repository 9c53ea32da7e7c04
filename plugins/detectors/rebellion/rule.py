"""What is the same for one series and for many: which views are kept, and when what they show is an alert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.numeric.records import Departure

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "HALF_SCORE_NATS",
    "LARGEST",
    "LEARNING_COUNT",
    "LEVEL_COUNTS",
    "LOUD_EXCESS",
    "SCORE_COUNT",
    "SCORE_WEIGHT",
    "STEP_COUNTS",
    "TWO_SIDED_COUNT",
    "VALUE_COUNTS",
    "VIEW_COUNTS",
    "Rule",
    "flat_line",
    "reason",
]

LEVEL_COUNTS = (1, 8, 64)
VALUE_COUNTS = (4,)
STEP_COUNTS = (16,)
"""Values over which the level, the surprise of the values and that of the steps are smoothed: one view each."""
VIEW_COUNTS = LEVEL_COUNTS + VALUE_COUNTS + STEP_COUNTS
TWO_SIDED_COUNT = len(LEVEL_COUNTS)
VIEW_NAMES = (
    *(f"level over {count} values" if count > 1 else "level" for count in LEVEL_COUNTS),
    *(f"surprise of the values over {count}" for count in VALUE_COUNTS),
    *(f"surprise of the steps over {count}" for count in STEP_COUNTS),
    "equal values in a row",
)
FLAT_VIEW = len(VIEW_COUNTS)
FLAT_EXCESS = 1.0
"""What a flat line counts as: it is twice as long as any that counted before."""
LOUD_EXCESS = 1.0
"""What is further outside than that, and so doubles the range, alerts in the quiet time after another alert too."""
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
        refractory_count: Values after an alert without another that is not loud, >= 0.
    """

    tail_count: int
    least_excess: float
    warm_up_count: int
    refractory_count: int


def flat_line(count: int) -> Departure:
    """So many equal values in a row as have never been before."""
    return Departure(FLAT_VIEW, FLAT_EXCESS, count, 1, count - 1)


def reason(departures: Iterable[Departure]) -> str:
    """Which views are outside their range, and where: the furthest first."""
    return "; ".join(_words(one) for one in sorted(departures, key=lambda one: -one.excess))


def _words(one: Departure) -> str:
    before = f"{one.low:.4g} to {one.high:.4g}" if one.low < one.high else f"always {one.high:.4g}"
    return f"{VIEW_NAMES[one.view]} {one.value:.4g}, before {before}"
