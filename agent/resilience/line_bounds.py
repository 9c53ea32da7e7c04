"""How far what was left out is from straight lines between what was kept: the error bound that every kept point carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.contracts import Block, Kept
    from agent.model import BoundArray, FloatArray

    IntArray = NDArray[np.int64]

__all__ = ["line_bounds", "rounded_up"]


def line_bounds(block: Block, kept: Kept, bounds: FloatArray) -> FloatArray:
    """The bound of each kept point: on the straight line to it from the point kept before it, no produced point misses by more.

    Args:
        block: What was chosen from.
        kept: What was chosen, with its values where they were replaced.
        bounds: What each point of the block carries already from being chosen before, shape (n,), >= 0; NaN: not known.
    Returns:
        Shape (k,), >= 0. NaN where points were left out with no kept point of their series beside them, where that is not
        known from before, and at the last kept point of a series when the way from it to what follows is not known.
        O(n log n) time.
    Source:
        A line that misses both ends of an older line by no more than d misses what that one missed by b by no more than d + b.
    """
    order = np.argsort(block.ids, kind="stable")
    starts = np.concatenate(([0], np.flatnonzero(np.diff(block.ids[order])) + 1, [len(order)]))
    number = np.full(len(order), -1)
    number[kept.index] = np.arange(len(kept.index))
    places = np.flatnonzero(number[order] >= 0)
    by_place = number[order[places]]
    rows = _Rows(starts, block.monotonic_s[order], block.values[order], bounds[order])
    values = (block.values[kept.index] if kept.values is None else kept.values)[by_place]
    made = np.empty(len(by_place))
    made[by_place] = _of_rows(rows, places, values) if len(by_place) else 0.0
    return made


def rounded_up(bounds: FloatArray) -> BoundArray:
    """Bounds in half the bytes, none of them smaller than it was; infinity where the figure is too large."""
    with np.errstate(over="ignore"):
        near = bounds.astype(np.float32)
        return np.where(near < bounds, np.nextafter(near, np.float32(np.inf)), near)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Points series by series; `starts` says where each series begins, with the end at the end."""

    starts: IntArray
    time_s: FloatArray
    values: FloatArray
    bounds: FloatArray


def _of_rows(rows: _Rows, kept: IntArray, values: FloatArray) -> FloatArray:
    """The bounds of the points at these places, at least one, that have these values now."""
    miss, starts = _misses(rows, kept, values), rows.starts
    series = np.searchsorted(starts, kept, side="right") - 1
    made = np.maximum.reduceat(_reach(rows, miss), np.concatenate(([0], kept[:-1] + 1)))
    crosses = series[1:] != series[:-1]
    is_first, is_last = np.concatenate(([True], crosses)), np.concatenate((crosses, [True]))
    first = kept[is_first]
    made[is_first] = np.where(first == starts[series[is_first]], miss[first] + rows.bounds[first], np.nan)
    is_cut = (kept != starts[series + 1] - 1) | (miss[kept] > 0) | np.isnan(rows.bounds[kept])
    made[is_last & is_cut] = np.nan
    return made


def _reach(rows: _Rows, miss: FloatArray) -> FloatArray:
    """How far from the new line a produced point between each point and the one before it may be; NaN: not known."""
    reach = miss + rows.bounds
    reach[1:] = np.maximum(miss[:-1], miss[1:]) + rows.bounds[1:]
    reach[1:][np.isnan(rows.bounds[:-1])] = np.nan
    return reach


def _misses(rows: _Rows, kept: IntArray, kept_values: FloatArray) -> FloatArray:
    """How far each point is from the line between the kept points around it; beyond a series' outermost it means nothing."""
    time_s = rows.time_s
    is_kept = np.zeros(len(time_s), np.int64)
    is_kept[kept] = 1
    passed = np.cumsum(is_kept)
    left, right = np.maximum(passed - 1, 0), np.minimum(passed - is_kept, len(kept) - 1)
    run = time_s[kept[right]] - time_s[kept[left]]
    share = np.where(run > 0, (time_s - time_s[kept[left]]) / np.where(run > 0, run, 1.0), 0.0)
    miss: FloatArray = np.abs(rows.values - kept_values[left] - share * (kept_values[right] - kept_values[left]))
    return miss
