"""Points by chance, each produced point as likely to be among them as any other."""

from __future__ import annotations

from random import Random

import numpy as np

from agent.api import Block, Kept, PointFlag

__all__ = ["Reservoir"]


class Reservoir:
    """Keeps a fair draw from everything that was ever produced, over any number of rounds.

    A point that stands for w produced points is w times as likely to stay, and all that stay weigh the same afterwards: after
    any number of rounds each produced point had the same chance, and the weights add up to all of them.

    Args:
        rng: Where chance comes from.

    Source:
        H. O. Hartley and J. N. K. Rao, Sampling with unequal probabilities and without replacement, 1962 (systematic draws in a
        random order).
    """

    method = PointFlag.DRAWN

    def __init__(self, rng: Random) -> None:
        self._random = np.random.default_rng(rng.getrandbits(64))

    def keep(self, block: Block, budget: int, /) -> Kept:
        """`budget` points at most (one that stands for a great many may be drawn more than once). O(n)."""
        size = len(block)
        if budget >= size:
            return Kept(np.arange(size, dtype=np.int64), block.weights)
        if budget < 1:
            return Kept(np.zeros(0, np.int64), np.zeros(0))
        order = self._random.permutation(size)
        running = np.cumsum(block.weights[order])
        step = running[-1] / budget
        draws = np.minimum(np.searchsorted(running, (np.arange(budget) + self._random.random()) * step), size - 1)
        index, times = np.unique(order[draws], return_counts=True)
        return Kept(index, times * step)
