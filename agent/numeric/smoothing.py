"""Moving averages: over the last few ticks, and exponentially weighted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from agent.numeric.rings import Block

__all__ = ["average_last", "weigh_exponentially"]


def weigh_exponentially(block: Block, alpha: float) -> None:
    """ewma += alpha * (newest - ewma); the first value starts it, a missing one leaves it."""
    scratch = block.scratch
    np.subtract(block.newest, block.ewma, out=scratch.t1)
    np.multiply(scratch.t1, alpha, out=scratch.t1)
    np.add(scratch.t1, block.ewma, out=scratch.t1)
    np.fmax(block.ewma, block.newest, out=block.ewma)
    np.equal(scratch.t1, scratch.t1, out=scratch.mask)
    np.copyto(block.ewma, scratch.t1, where=scratch.mask)


def average_last(block: Block, slot: int) -> None:
    """Mean of the valid values of the last few ticks (as many as `scratch.recent` has rows); NaN when there is none."""
    scratch = block.scratch
    recent, gaps = scratch.recent, scratch.recent_gaps
    count, window = len(recent), block.ring.shape[1]
    before_start = max(0, count - 1 - slot)
    if before_start:
        np.subtract(block.ring[:, window - before_start :].T, block.shift, out=recent[:before_start])
    np.subtract(block.ring[:, slot + 1 - count + before_start : slot + 1].T, block.shift, out=recent[before_start:])
    np.isnan(recent, out=gaps)
    np.copyto(recent, 0.0, where=gaps)
    np.add.reduce(recent, axis=0, out=scratch.t1)
    np.add.reduce(gaps, axis=0, dtype=np.float64, out=scratch.t2)
    np.subtract(count, scratch.t2, out=scratch.t2)
    np.divide(scratch.t1, scratch.t2, out=scratch.t1)
    np.add(scratch.t1, block.shift, out=block.moving_average)
