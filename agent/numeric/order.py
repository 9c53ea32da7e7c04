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
        self._window = window
        self._width = max(window, half + 2 * (self._steps[0] if self._steps else 1)) + _LEAD
        self.max_rows = max(1, min(max_rows, _SCRATCH_BYTES // (8 * self._width)))
        self._fractions = np.array(percentiles).reshape(-1, 1) / 100.0
        self.reserve(0)

    def reserve(self, rows: int) -> None:
        """Have a buffer for blocks of this many rows, at most `max_rows`."""
        rows = min(rows, self.max_rows)
        buffer = np.full(_LEAD + rows * self._width + _LEAD, np.nan)
        self._table = buffer[_LEAD:-_LEAD].reshape(rows, self._width)[:, : self._window]
        self._before, self._at, self._after = buffer[:-2], buffer[1:-1], buffer[2:]
        self._ends = [(step, buffer[step:]) for step in self._steps]
        self._starts = _LEAD - 1 + np.arange(rows, dtype=np.int64) * self._width

    def sort(self, block: Block, slot: int) -> None:
        """Sort a block's rows without the value in `slot`; everything else here reads what was sorted last.

        Args:
            block: At most `max_rows` rows; `scratch.history_count` says how many valid values each has besides the newest.
            slot: Place of the newest value.
        """
        table = self._table[: len(block.ring)]
        np.copyto(table, block.ring)
        table[:, slot] = np.nan
        table.sort(axis=1)

    def centre(self, block: Block) -> None:
        """Median and MAD of each row without its newest value; NaN when it has no other."""
        starts = self._starts[: len(block.ring)]
        self._median(block, starts)
        self._mad(block, starts)

    def ends(self, block: Block) -> None:
        """Minimum and maximum of each row with its newest value."""
        scratch = block.scratch
        rows = len(block.ring)
        np.fmin(self._table[:rows, 0], block.newest, out=block.minimum)
        np.add(scratch.history_count, self._starts[:rows], out=scratch.places)
        np.fmax(_take(self._before, scratch.places, scratch.t1), block.newest, out=block.maximum)

    def percentiles(self, block: Block) -> None:
        """Percentiles of each row with its newest value, linear between neighbours."""
        scratch = block.scratch
        fraction = self._places(block, self._starts[: len(block.ring)])
        before = _take(self._before, scratch.ranks, scratch.q1)
        at = _take(self._at, scratch.ranks, scratch.q2)
        after = _take(self._after, scratch.ranks, scratch.q3)
        np.fmin(after, block.newest, out=after)
        np.fmax(at, after, out=after)
        np.fmin(at, block.newest, out=at)
        np.fmax(before, at, out=at)
        _between(at, after, fraction, out=block.percentiles)

    def _median(self, block: Block, starts: IndexArray) -> None:
        """Half-way between the middle two of an even number of values; leaves their places in `runs`."""
        scratch = block.scratch
        np.subtract(scratch.history_count, 1, out=scratch.counts[0])
        np.right_shift(scratch.counts, 1, out=scratch.runs)
        np.equal(scratch.runs[0], scratch.runs[1], out=scratch.is_odd)
        np.add(scratch.runs, starts, out=scratch.runs)
        low, high = _take(self._at, scratch.runs, scratch.distances)
        _between(low, high, 0.5, out=block.median)

    def _mad(self, block: Block, starts: IndexArray) -> None:
        """Median distance from the median; call after `_median`.

        The values nearest the median, one more than half of them, are a run of the sorted row. `runs` holds the places of its
        first and last value; a run whose first value is farther from the median than its last moves on.
        """
        scratch = block.scratch
        np.copyto(scratch.runs[0], starts)
        for step, values in self._ends:
            ends = _take(values, scratch.runs, scratch.distances)
            np.subtract(ends, block.median, out=ends)
            np.add(ends[0], ends[1], out=scratch.t1)
            np.less(scratch.t1, 0.0, out=scratch.mask)
            np.multiply(scratch.mask, step, out=scratch.places)
            np.add(scratch.runs, scratch.places, out=scratch.runs)
        self._middle_distance(block)

    def _middle_distance(self, block: Block) -> None:
        """The run is the one found or starts a place before: its farthest value, and the farthest of the others.

        With an even number of values the MAD lies half-way between the two, with an odd one it is the farthest.
        """
        scratch = block.scratch
        here = _take(self._at, scratch.runs, scratch.distances)
        np.subtract(here, block.median, out=here)
        before = _take(self._before, scratch.runs, scratch.more_distances)
        np.subtract(before, block.median, out=before)
        farthest, next_farthest = scratch.t1, scratch.t2
        np.negative(before[0], out=farthest)
        np.fmin(farthest, here[1], out=farthest)
        np.negative(here[0], out=next_farthest)
        np.maximum(next_farthest, before[1], out=next_farthest)
        np.copyto(next_farthest, farthest, where=scratch.is_odd)
        _between(next_farthest, farthest, 0.5, out=block.mad)

    def _places(self, block: Block, starts: IndexArray) -> FloatArray:
        """Which sorted value each percentile follows (`ranks`, as place), and how far it lies from there to the next.

        A place behind the last value is one of the row's pads, and stands for no value there.
        """
        scratch = block.scratch
        np.subtract(block.count, 1.0, out=scratch.t1)
        np.multiply(self._fractions, scratch.t1, out=scratch.q4)
        np.copyto(scratch.ranks, scratch.q4, casting="unsafe")
        np.subtract(scratch.q4, scratch.ranks, out=scratch.q4)
        np.add(scratch.ranks, starts, out=scratch.ranks)
        return scratch.q4


def _take(values: FloatArray, places: IndexArray, out: FloatArray) -> FloatArray:
    return values.take(places, out=out, mode="clip")


def _between(low: FloatArray, high: FloatArray, fraction: FloatArray | float, *, out: FloatArray) -> None:
    """low + fraction * (high - low): equal neighbours give themselves exactly, and large ones do not overflow."""
    np.subtract(high, low, out=out)
    np.multiply(out, fraction, out=out)
    np.add(out, low, out=out)
