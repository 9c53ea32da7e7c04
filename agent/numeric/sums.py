"""Running sums over a moving window, exact enough to be trusted: shifted, aged by one a tick, and remade before they drift.

Sums are of d = value - shift, where the shift is a value of the series, so a constant series has spread 0 exactly and a
counter near 1e12 keeps its variance. Two things hold rounding down: every row is remade from its ring once in a window of
ticks, and a row is remade at once when its spread has collapsed so far that earlier, larger sums would show through.

Source: the shifted-data form of T. Chan, G. Golub, R. LeVeque, "Algorithms for computing the sample variance", 1983.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray
    from agent.numeric.rings import Block, Rings

__all__ = [
    "MAX_DISTANCE",
    "add_newest",
    "describe_history",
    "describe_window",
    "drop_oldest",
    "remake",
    "restart_empty",
]

MAX_DISTANCE = 4e150
"""A value further than this from the series' level counts as bad: the sum of such squares would not fit a float64."""
_COLLAPSE_RATIO = 1e-2
_REMAKE_ROWS = 512


def drop_oldest(block: Block, slot: int, window: int) -> None:
    """Age every value by one tick and take the one in `slot` out of the sums; it stays in the ring until it is overwritten."""
    scratch = block.scratch
    np.subtract(block.ring[:, slot], block.shift, out=scratch.value)
    _weigh_value(block)
    np.multiply(scratch.level_terms, -float(window), out=scratch.sloped_terms)
    np.multiply(scratch.aged_count, -float(window), out=scratch.aged_square)
    _age(block)
    np.subtract(block.moments, scratch.terms, out=block.moments)


def restart_empty(block: Block) -> None:
    """Give rows without any value the newest one as shift, and sums of exactly 0."""
    if np.minimum.reduce(block.count) > 0.0:
        return
    empty = block.scratch.mask
    np.equal(block.count, 0.0, out=empty)
    np.copyto(block.moments, 0.0, where=empty)
    np.copyto(block.peak, 0.0, where=empty)
    np.copyto(block.shift, block.newest, where=empty)


def describe_history(block: Block, rings: Rings, slot: int) -> None:
    """Mean, spread and count of the window before the newest value joins it; remakes the rows whose spread collapsed."""
    scratch = block.scratch
    _centre(block, scratch.history_mean)
    np.multiply(block.peak, _COLLAPSE_RATIO, out=scratch.t1)
    np.less(scratch.square_sum, scratch.t1, out=scratch.mask)
    if scratch.mask.any():
        collapsed = block.start + np.flatnonzero(scratch.mask)
        rings.ring[collapsed, slot] = np.nan
        remake(rings, collapsed, slot)
        _centre(block, scratch.history_mean)
    np.copyto(scratch.history_count, block.count, casting="unsafe")
    _spread(block, scratch.history_std)


def add_newest(block: Block, slot: int) -> None:
    """Take the newest values into ring and sums; those out of range are made NaN and counted as bad."""
    scratch = block.scratch
    _reject_far(block)
    np.copyto(block.ring[:, slot], block.newest)
    np.subtract(scratch.value, scratch.history_mean, out=scratch.deviations[0])
    _weigh_value(block)
    np.add(block.ageless, scratch.newest_terms, out=block.ageless)
    np.maximum(block.peak, block.sum_dd, out=block.peak)


def fill(block: Block, slot: int) -> None:
    """Take the newest values into the ring alone, in range as in `add_newest`; `remake` makes the sums afterwards."""
    mask = block.scratch.mask
    np.isnan(block.shift, out=mask)
    np.copyto(block.shift, block.newest, where=mask)
    _reject_far(block)
    np.copyto(block.ring[:, slot], block.newest)


def describe_window(block: Block) -> None:
    """Mean and standard deviation of the window with the newest value."""
    _centre(block, block.scratch.shifted_mean)
    np.add(block.shift, block.scratch.shifted_mean, out=block.mean)
    _spread(block, block.std)


def remake(rings: Rings, rows: NDArray[np.int64], slot: int, *, with_ages: bool = False) -> None:
    """Make the sums of some rows again from their rings, round a shift that follows the series.

    The shift is the value nearest the mean, which keeps the sums small whatever the row holds.

    Args:
        rings: Where the rows are.
        rows: Which rows, at most each once.
        slot: Place of age 0 in the ring.
        with_ages: True also makes count, sum_t and sum_tt, which are whole numbers and never drift.
    """
    ages = _ages(rings.window, slot)
    for start in range(0, len(rows), _REMAKE_ROWS):
        _remake_chunk(rings, rows[start : start + _REMAKE_ROWS], ages, with_ages=with_ages)


def _remake_chunk(rings: Rings, rows: NDArray[np.int64], ages: FloatArray, *, with_ages: bool) -> None:
    values = rings.ring[rows]
    missing = np.isnan(values)
    shift = _nearest_to_mean(values, missing)
    values -= shift[:, None]
    values[missing] = 0.0
    moments = rings.moments
    if with_ages:
        valid = (~missing).astype(np.float64)
        moments[0, rows] = valid.sum(axis=1)
        moments[3, rows] = (valid * ages).sum(axis=1)
        moments[5, rows] = (valid * ages**2).sum(axis=1)
    moments[1, rows] = values.sum(axis=1)
    moments[4, rows] = (values * ages).sum(axis=1)
    moments[2, rows] = square_sum = np.square(values, out=values).sum(axis=1)
    rings.single("shift")[rows] = shift
    rings.single("peak")[rows] = square_sum


def _nearest_to_mean(values: FloatArray, missing: NDArray[np.bool_]) -> FloatArray:
    some = np.fmax.reduce(values, axis=1)
    from_some = values - some[:, None]
    from_some[missing] = 0.0
    mean = from_some.sum(axis=1) / (values.shape[1] - missing.sum(axis=1))
    distance = np.abs(from_some - mean[:, None], out=from_some)
    distance[missing] = np.inf
    nearest: FloatArray = values[np.arange(len(values)), distance.argmin(axis=1)]
    return nearest


def _ages(window: int, slot: int) -> FloatArray:
    places = np.arange(window)
    return -((slot - places) % window).astype(np.float64)


def _reject_far(block: Block) -> None:
    """Leave newest minus shift in `value`, after making NaN, and counting, what is too far away."""
    scratch = block.scratch
    np.subtract(block.newest, block.shift, out=scratch.value)
    np.abs(scratch.value, out=scratch.t1)
    if np.fmax.reduce(scratch.t1) > MAX_DISTANCE:
        np.greater(scratch.t1, MAX_DISTANCE, out=scratch.mask)
        block.bad_count += scratch.mask
        block.newest[scratch.mask] = np.nan
        scratch.value[scratch.mask] = np.nan


def _age(block: Block) -> None:
    scratch = block.scratch
    np.multiply(block.sum_t, 2.0, out=scratch.t1)
    np.subtract(block.count, scratch.t1, out=scratch.t1)
    np.add(block.sum_tt, scratch.t1, out=block.sum_tt)
    np.subtract(block.sloped, block.levels, out=block.sloped)


def _weigh_value(block: Block) -> None:
    """What `value` adds to the sums that know no age: count (1, or 0 where it is NaN), itself (0 for NaN) and its square."""
    scratch = block.scratch
    np.isnan(scratch.value, out=scratch.mask)
    np.copyto(scratch.value, 0.0, where=scratch.mask)
    np.subtract(1.0, scratch.mask, out=scratch.count)
    np.multiply(scratch.value, scratch.value, out=scratch.square)


def _centre(block: Block, mean: FloatArray) -> None:
    """Make the mean of d, and the centred sum of squares in `square_sum`."""
    scratch = block.scratch
    np.divide(block.sum_d, block.count, out=mean)
    np.multiply(block.sum_d, mean, out=scratch.square_sum)
    np.subtract(block.sum_dd, scratch.square_sum, out=scratch.square_sum)


def _spread(block: Block, out: FloatArray) -> None:
    scratch = block.scratch
    np.maximum(scratch.square_sum, 0.0, out=scratch.square_sum)
    np.divide(scratch.square_sum, block.count, out=out)
    np.sqrt(out, out=out)
