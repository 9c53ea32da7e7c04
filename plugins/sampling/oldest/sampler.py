"""The oldest points, whatever they are."""

from __future__ import annotations

import numpy as np

from agent.api import Block, Kept

__all__ = ["Oldest"]


class Oldest:
    """Keeps the oldest points, as they are: how a trouble began stays, how it went on does not."""

    def keep(self, block: Block, budget: int, /) -> Kept:
        """The first `budget` points with the weights they had. O(budget)."""
        index = np.arange(min(budget, len(block)), dtype=np.int64)
        return Kept(index, block.weights[index])
