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
    np.isnan(block.ewma, out=scratch.mask)
    np.copyto(scratch.t1, block.newest, where=scratch.mask)
    np.isnan(block.newest, out=scratch.mask)
    np.logical_not(scratch.mask, out=scratch.mask)
    np.copyto(block.ewma, scratch.t1, where=scratch.mask)


def average_last(block: Block, slot: int, tick_count: int) -> None:
    """Mean of the valid values of the last `tick_count` ticks (at most the window); NaN when there is none."""
    scratch = block.scratch
    window = block.ring.shape[1]
    scratch.t1.fill(0.0)
    scratch.t2.fill(0.0)
    for age in range(min(tick_count, window)):
        np.subtract(block.ring[:, (slot - age) % window], block.shift, out=scratch.t3)
        np.isnan(scratch.t3, out=scratch.mask)
        np.copyto(scratch.t3, 0.0, where=scratch.mask)
        np.logical_not(scratch.mask, out=scratch.mask)
        np.add(scratch.t1, scratch.t3, out=scratch.t1)
        np.add(scratch.t2, scratch.mask, out=scratch.t2)
    np.divide(scratch.t1, scratch.t2, out=scratch.t1)
    np.add(scratch.t1, block.shift, out=block.moving_average)
