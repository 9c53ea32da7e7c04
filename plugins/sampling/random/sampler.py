"""Points by chance, each as likely as any other."""

from __future__ import annotations

from random import Random

import numpy as np

from agent.api import Block, Kept, PointFlag

__all__ = ["Uniform"]


class Uniform:
    """Keeps points drawn without replacement; each stands for the same share of what was thrown away.

    A point that stands for many already is as likely to stay as any other, and stands for more afterwards, so sums and counts
    estimated from the weights stay unbiased over any number of rounds.

    Args:
        rng: Where chance comes from.
    """

    method = PointFlag.DRAWN

    def __init__(self, rng: Random) -> None:
        self._random = np.random.default_rng(rng.getrandbits(64))

    def keep(self, block: Block, budget: int, /) -> Kept:
        """`budget` points (all, when there are no more), weighted by n / budget. O(n)."""
        size = len(block)
        if budget >= size:
            return Kept(np.arange(size, dtype=np.int64), block.weights)
        index = np.sort(self._random.permutation(size)[:budget]).astype(np.int64)
        return Kept(index, block.weights[index] * (size / max(1, budget)))
