"""Exceptional points first, a share of the newest, and the rest of the budget evenly over the rest of the time."""

from __future__ import annotations

import numpy as np

from agent.api import Block, Kept

__all__ = ["Hybrid"]


class Hybrid:
    """Keeps exceptional points, then the newest, then an even choice of the others.

    Args:
        newest_ratio: Share of the budget for the newest points, 0..1.
    """

    def __init__(self, newest_ratio: float) -> None:
        self._newest_ratio = newest_ratio

    def keep(self, block: Block, budget: int, /) -> Kept:
        """At most `budget` points; what is thrown away is shared out over the evenly chosen ones. O(n)."""
        stays = np.zeros(len(block), bool)
        stays[np.flatnonzero(block.is_exceptional)[-budget or len(block) :]] = True
        newest = min(int(budget * self._newest_ratio), budget - int(stays.sum()))
        stays[np.flatnonzero(~stays)[::-1][:newest]] = True
        others = np.flatnonzero(~stays)
        room = min(budget - int(stays.sum()), len(others))
        stays[others[np.linspace(0, len(others) - 1, room).astype(np.int64)]] = True
        index = np.flatnonzero(stays)
        return Kept(index, block.weights[index])
