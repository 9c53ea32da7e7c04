"""What matters most; among equals the newest."""

from __future__ import annotations

import numpy as np

from agent.api import Block, Kept

__all__ = ["Priority"]


class Priority:
    """Keeps the points of the highest priority, and among equals the newest."""

    def keep(self, block: Block, budget: int, /) -> Kept:
        """At most `budget` points with the weights they had. O(n) when few levels are in use, O(n log n) at worst."""
        rank = np.argsort(block.priority, kind="stable")
        index = np.sort(rank[max(0, len(rank) - budget) :]).astype(np.int64)
        return Kept(index, block.weights[index])
