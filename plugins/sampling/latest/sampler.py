"""The newest points, whatever they are."""

from __future__ import annotations

import numpy as np

from agent.api import Block, Kept

__all__ = ["Latest"]


class Latest:
    """Keeps the newest points, as they are. What came before is gone without a trace but the count."""

    def keep(self, block: Block, budget: int, /) -> Kept:
        """The last `budget` points with the weights they had. O(budget)."""
        index = np.arange(max(0, len(block) - budget), len(block), dtype=np.int64)
        return Kept(index, block.weights[index])
