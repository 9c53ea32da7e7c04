"""Order statistics of every row of a block from one sort: median, MAD, percentiles, minimum, maximum.

A row is sorted *without* its newest value (NaN sorts last, so the pads and gaps lie behind the values). The window with the
newest value needs no second sort: its k-th value is max(h[k-1], min(h[k], newest)). Nor does the MAD: the values nearest
the median lie side by side in sorted order, so a binary search for their run finds the middle distance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray
    from agent.numeric.rings import Block

    IndexArray = NDArray[np.int64]

__all__ = ["OrderStatistics"]

_SCRATCH_BYTES = 2 << 20
_LEAD = 8


class OrderStatistics:
    """Sorts rows in a buffer of its own and reads what is wanted out of them.

    Args:
        window: Values a row, >= 1.
        percentiles: In percent, each 0..100.
        max_rows: Most rows a call, >= 1; fewer when the buffer would outgrow 2 MiB.
    """

    def __init__(self, window: int, percentiles: tuple[float, ...], max_rows: int) -> None:
        half = window // 2
        self._steps = [1 << bit for bit in reversed(range(half.bit_length()))]
        width = max(window, half + 2 * (self._steps[0] if self._steps else 1)) + _LEAD
        self.max_rows = max(1, min(max_rows, _SCRATCH_BYTES // (8 * width)))
        self._flat = np.full(_LEAD + self.max_rows * width, np.nan)
        self._table = self._flat[_LEAD:].reshape(self.max_rows, width)[:, :window]
        self._starts = _LEAD + np.arange(self.max_rows, dtype=np.int64) * width
        self._fractions = np.array(percentiles).reshape(-1, 1) / 100.0

    def sort(self, block: Block, slot: int) -> None:
        """Sort a block's rows without the value in `slot`; everything else here reads what was sorted last.

        Args:
            block: At most `max_rows` rows; `scratch.history_count` says how many valid values each has apart from that one.
            slot: Place of the newest value.
        """
        table = self._table[: len(block.ring)]
        np.copyto(table, block.ring)
        table[:, slot] = np.nan
        table.sort(axis=1)
        np.copyto(block.scratch.i1, block.scratch.history_count, casting="unsafe")

    def centre(self, block: Block) -> None:
        """Median and MAD of each row without its newest value; NaN when it has no other."""
        starts = self._starts[: len(block.ring)]
        self._median(block, starts)
        self._mad(block, starts)

    def ends(self, block: Block) -> None:
        """Minimum and maximum of each row with its newest value."""
        scratch = block.scratch
        starts = self._starts[: len(block.ring)]
        np.fmin(self._take(starts, scratch.t1), block.newest, out=block.minimum)
        np.add(scratch.i1, starts, out=scratch.i2)
        np.subtract(scratch.i2, 1, out=scratch.i2)
        np.fmax(self._take(scratch.i2, scratch.t1), block.newest, out=block.maximum)

    def percentiles(self, block: Block) -> None:
        """Percentiles of each row with its newest value, linear between neighbours."""
        scratch = block.scratch
        fraction = self._places(block, self._starts[: len(block.ring)])
        ranks = scratch.ranks
        np.subtract(ranks, 1, out=ranks)
        before = self._take(ranks, scratch.q1)
        np.add(ranks, 1, out=ranks)
        at = self._take(ranks, scratch.q2)
        np.add(ranks, 1, out=ranks)
        after = self._take(ranks, scratch.q3)
        np.fmin(after, block.newest, out=after)
        np.fmax(at, after, out=after)
        np.fmin(at, block.newest, out=at)
        np.fmax(before, at, out=at)
        _between(at, after, fraction, out=block.percentiles)

    def _take(self, index: IndexArray, out: FloatArray) -> FloatArray:
        return self._flat.take(index, out=out, mode="clip")

    def _median(self, block: Block, starts: IndexArray) -> None:
        scratch = block.scratch
        np.subtract(scratch.i1, 1, out=scratch.i2)
        np.right_shift(scratch.i2, 1, out=scratch.i2)
        np.add(scratch.i2, starts, out=scratch.i2)
        low = self._take(scratch.i2, scratch.t1)
        np.right_shift(scratch.i1, 1, out=scratch.i3)
        np.add(scratch.i3, starts, out=scratch.i2)
        high = self._take(scratch.i2, scratch.t2)
        _between(low, high, 0.5, out=block.median)

    def _mad(self, block: Block, starts: IndexArray) -> None:
        """i1 = values a row, i3 = half of them: the run sought holds i3 + 1 values and starts at i4."""
        scratch = block.scratch
        first, half, end = scratch.i4, scratch.i3, scratch.i5
        np.copyto(first, starts)
        for step in self._steps:
            np.add(first, step - 1, out=scratch.i2)
            np.add(scratch.i2, half, out=end)
            self._distances(block, scratch.i2, end)
            np.less(scratch.t2, scratch.t1, out=scratch.mask)
            np.multiply(scratch.mask, step, out=scratch.i2)
            np.add(first, scratch.i2, out=first)
        self._middle_distance(block)

    def _distances(self, block: Block, below: IndexArray, above: IndexArray) -> None:
        """t1 = how far the value at `below` lies under the median, t2 = how far that at `above` lies over it."""
        scratch = block.scratch
        np.subtract(block.median, self._take(below, scratch.t1), out=scratch.t1)
        np.subtract(self._take(above, scratch.t2), block.median, out=scratch.t2)

    def _middle_distance(self, block: Block) -> None:
        scratch = block.scratch
        np.subtract(scratch.i4, 1, out=scratch.i2)
        np.add(scratch.i4, scratch.i3, out=scratch.i5)
        self._distances(block, scratch.i2, scratch.i5)
        np.fmin(scratch.t1, scratch.t2, out=scratch.t3)
        np.subtract(scratch.i5, 1, out=scratch.i5)
        self._distances(block, scratch.i4, scratch.i5)
        np.maximum(scratch.t1, scratch.t2, out=scratch.t1)
        np.bitwise_and(scratch.i1, 1, out=scratch.i2)
        np.not_equal(scratch.i2, 0, out=scratch.mask)
        np.copyto(scratch.t1, scratch.t3, where=scratch.mask)
        _between(scratch.t1, scratch.t3, 0.5, out=block.mad)

    def _places(self, block: Block, starts: IndexArray) -> FloatArray:
        """Which sorted value each percentile follows (`ranks`, as index), and how far it lies from there to the next."""
        scratch = block.scratch
        np.subtract(block.count, 1.0, out=scratch.t1)
        np.maximum(scratch.t1, 0.0, out=scratch.t1)
        np.multiply(self._fractions, scratch.t1, out=scratch.q4)
        np.subtract(scratch.t1, 1.0, out=scratch.t1)
        np.maximum(scratch.t1, 0.0, out=scratch.t1)
        np.floor(scratch.q4, out=scratch.q1)
        np.minimum(scratch.q1, scratch.t1, out=scratch.q1)
        np.copyto(scratch.ranks, scratch.q1, casting="unsafe")
        np.add(scratch.ranks, starts, out=scratch.ranks)
        return np.subtract(scratch.q4, scratch.q1, out=scratch.q4)


def _between(low: FloatArray, high: FloatArray, fraction: FloatArray | float, *, out: FloatArray) -> None:
    """low + fraction * (high - low): equal neighbours give themselves exactly, and large ones do not overflow."""
    np.subtract(high, low, out=out)
    np.multiply(out, fraction, out=out)
    np.add(out, low, out=out)
