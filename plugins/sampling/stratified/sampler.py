"""Every series, evenly."""

from __future__ import annotations

from random import Random

import numpy as np

from agent.api import Block, Kept, PointFlag
from agent.numeric.allotment import allot, even_positions, series_rows

__all__ = ["Stratified"]


class Stratified:
    """Keeps of each series a share in proportion, at least one point, one by chance out of each even part of its time.

    Args:
        rng: Where chance comes from.
    """

    works_in_stretches = True
    method = PointFlag.DRAWN

    def __init__(self, rng: Random) -> None:
        self._random = np.random.default_rng(rng.getrandbits(64))

    def keep(self, block: Block, budget: int, /) -> Kept:
        """At most `budget` points, each weighted with its part. O(n log n)."""
        order, starts = series_rows(block.ids)
        weights = block.weights[order]
        counts = allot(np.diff(starts), budget)
        parts = even_positions(starts, counts)
        if not len(parts):
            return Kept(np.zeros(0, np.int64), np.zeros(0))
        ends = np.append(parts[1:], starts[-1])
        chosen = parts + (self._random.random(len(parts)) * (ends - parts)).astype(np.int64)
        running = np.concatenate(([0.0], np.cumsum(weights)))
        index = order[chosen]
        rising = np.argsort(index)
        return Kept(index[rising], np.maximum(1.0, running[ends] - running[parts])[rising])
