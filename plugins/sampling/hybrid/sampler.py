"""What must not be missed first, then what shows the course best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.api import Block, Kept, PointFlag
from agent.numeric.compaction import compact

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Hybrid"]

EXCEPTIONAL_RATIO = 0.6
"""Share of the budget that exceptional points may take; with one neighbour on each side as far as it goes."""
MARKS_RATIO = 0.05
"""Share of the budget for marks spread evenly over the time, so that no stretch of it is empty."""


class Hybrid:
    """Keeps exceptional points and their neighbours, the newest points, a few marks along the way, and of the rest what shows the
    course best.

    Args:
        newest_ratio: Share of the budget for the newest points, 0..1.
    """

    works_in_stretches = True
    method = PointFlag.SHAPED

    def __init__(self, newest_ratio: float) -> None:
        self._newest_ratio = newest_ratio

    def keep(self, block: Block, budget: int, /) -> Kept:
        """At most `budget` points, each weighted with the points of its series nearest to it. O(n log n)."""
        if not len(block) or budget < 1:
            return Kept(np.zeros(0, np.int64), np.zeros(0))
        is_pinned = _exceptional(block, int(budget * EXCEPTIONAL_RATIO) or 1)
        if block.is_last:
            _pin(is_pinned, np.arange(len(block))[::-1][: int(budget * self._newest_ratio)], budget)
        _pin(is_pinned, _marks(block, int(budget * MARKS_RATIO)), budget)
        return compact(block, budget, is_pinned)


def _exceptional(block: Block, room: int) -> NDArray[np.bool_]:
    """The exceptional points: all, or the most important and among equals an even choice; then their neighbours."""
    is_pinned = np.zeros(len(block), bool)
    exceptional = np.flatnonzero(block.is_exceptional & np.isfinite(block.values))
    if len(exceptional) > room:
        exceptional = _most_important(block, exceptional, room)
    is_pinned[exceptional] = True
    _pin(is_pinned, _neighbours(block, exceptional), room)
    return is_pinned


def _most_important(block: Block, points: NDArray[np.int64], room: int) -> NDArray[np.int64]:
    priority = block.priority[points]
    lowest = np.partition(priority, len(points) - room)[len(points) - room]
    sure, equal = points[priority > lowest], points[priority == lowest]
    left = room - len(sure)
    return np.concatenate((sure, equal[(np.arange(left) * len(equal)) // max(left, 1)]))


def _neighbours(block: Block, points: NDArray[np.int64]) -> NDArray[np.int64]:
    """The points of the same series just before and after."""
    if not len(points):
        return points
    order = np.argsort(block.ids, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    beside = np.concatenate((place[points] - 1, place[points] + 1))
    of = np.concatenate((points, points))
    inside = (beside >= 0) & (beside < len(order))
    beside, of = order[beside[inside]], of[inside]
    found: NDArray[np.int64] = beside[block.ids[beside] == block.ids[of]]
    return found[np.sort(np.unique(found, return_index=True)[1])]


def _marks(block: Block, count: int) -> NDArray[np.int64]:
    """The first point of each of `count` even parts of the time."""
    time_s = block.monotonic_s
    parts = np.linspace(time_s[0], time_s[-1], count, endpoint=False)
    return np.unique(np.searchsorted(time_s, parts))


def _pin(is_pinned: NDArray[np.bool_], points: NDArray[np.int64], budget: int) -> None:
    """Pin points, none of them named twice, as far as there is room, the first ones first."""
    points = points[~is_pinned[points]]
    is_pinned[points[: max(0, budget - int(np.count_nonzero(is_pinned)))]] = True
