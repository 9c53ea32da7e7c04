"""Roll-ups: what a stretch of time held, series by series, mergeable with what came late and into longer stretches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.hub.chunk import Chunk, join

__all__ = ["COLUMNS", "as_rollup", "rolled_up"]

Floats = NDArray[np.float64]

COLUMNS = ("count", "min", "max", "mean", "last", "last_s")
"""Of a stretch: produced points (sum of weights), smallest, largest, mean by weight, newest value, and how many seconds after the
start of the stretch it was. Where `count` is 0 the others mean nothing."""


def rolled_up(chunks: Sequence[Chunk], step_ns: int) -> Chunk:
    """Chunks of points and of roll-ups, at least one, as one roll-up whose times are the starts of stretches.

    Args:
        step_ns: Length of a stretch, > 0; a multiple of that of every roll-up among the chunks.
    """
    whole = join([as_rollup(chunk) for chunk in chunks])
    if not len(whole.times_ns):
        return whole
    stretch = whole.times_ns // step_ns
    starts = np.flatnonzero(np.diff(stretch, prepend=stretch[0] - 1))
    return Chunk(whole.ids, stretch[starts] * step_ns, _reduced(whole, starts, stretch * step_ns))


def as_rollup(chunk: Chunk) -> Chunk:
    """Points as roll-ups of a single point each; a roll-up as it is. Values that are not finite are no points."""
    if "count" in chunk.columns:
        return chunk
    values = chunk.columns["values"]
    is_point = np.isfinite(values)
    count = np.where(is_point, chunk.column("weights"), 0.0)
    values = np.where(is_point, values, 0.0)
    made = {
        "count": count,
        "min": values,
        "max": values,
        "mean": values,
        "last": values,
        "last_s": np.zeros(chunk.shape),
    }
    return Chunk(chunk.ids, chunk.times_ns, made)


def _reduced(whole: Chunk, starts: NDArray[np.intp], stretch_ns: NDArray[np.int64]) -> dict[str, Floats]:
    count = whole.columns["count"]
    is_there = count > 0
    last_s = np.where(is_there, whole.columns["last_s"] + (whole.times_ns - stretch_ns) / 1e9, -1.0)
    total = np.add.reduceat(count, starts, axis=1)
    share = count / np.repeat(np.where(total > 0, total, 1.0), np.diff(starts, append=len(stretch_ns)), axis=1)
    made = {
        "count": total,
        "min": np.minimum.reduceat(np.where(is_there, whole.columns["min"], np.inf), starts, axis=1),
        "max": np.maximum.reduceat(np.where(is_there, whole.columns["max"], -np.inf), starts, axis=1),
        "mean": np.add.reduceat(whole.columns["mean"] * share, starts, axis=1),
        "last_s": np.maximum.reduceat(last_s, starts, axis=1),
    }
    made["last"] = _newest(whole.columns["last"], last_s, made["last_s"], starts)
    return made


def _newest(last: Floats, last_s: Floats, newest_s: Floats, starts: NDArray[np.intp]) -> Floats:
    """The value of each stretch whose time is its newest; of two at the same time the later one."""
    sizes = np.diff(starts, append=last.shape[1])
    is_newest = last_s == np.repeat(newest_s, sizes, axis=1)
    position = np.maximum.reduceat(np.where(is_newest, np.arange(last.shape[1]), 0), starts, axis=1)
    return np.take_along_axis(last, position, axis=1)
