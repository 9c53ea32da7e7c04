"""The points that show each series' course best."""

from __future__ import annotations

from agent.api import Block, Kept, PointFlag
from agent.numeric.compaction import compact

__all__ = ["Change"]


class Change:
    """Keeps the points among which straight lines stay closest to all the others; a constant series costs two."""

    works_in_stretches = True
    method = PointFlag.SHAPED

    def keep(self, block: Block, budget: int, /) -> Kept:
        """At most `budget` points, each weighted with the points nearest to it. O(n log n)."""
        return compact(block, budget)
