"""Roll-ups: what a stretch of time held, series by series, mergeable with what came late and into longer stretches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.hub.chunk import Chunk, join
from agent.hub.ways import MARKS, known_bounds, ways_between

__all__ = ["COLUMNS", "completed", "is_sampled", "newest", "rolled_up"]

Floats = NDArray[np.float64]

COLUMNS = ("count", "min", "max", "mean", "last", "over_time", "covered_s", "error", "max_error", "marks")
"""Of a stretch: produced points (sum of weights), smallest, largest, mean by weight, newest value. Then of the ways that end in
it (see `agent.hub.ways`): their mean over time, how many seconds they count, how far the mean over time of all produced points
may be from theirs, how far any of these from its way (NaN: not known), and the bits that say how points were kept. Where nothing
was left out `over_time` is `mean`, each minute with a point counts alike, and both errors are 0.

Stored beside these is `last_s`: how many seconds after the start of the stretch `last` was. Where `count` is 0 the others mean
nothing.
"""

_MINUTE_NS = 60_000_000_000


def rolled_up(chunks: Sequence[Chunk], step_ns: int) -> Chunk:
    """Chunks of points and of roll-ups, at least one, as one roll-up whose times are the starts of stretches.

    Args:
        step_ns: Length of a stretch, > 0; a multiple of that of every roll-up among the chunks.
    """
    made = [chunk for chunk in chunks if "count" in chunk.columns]
    if len(made) < len(chunks):
        points = join([chunk for chunk in chunks if "count" not in chunk.columns])
        made.append(_of_points(points, min(step_ns, _MINUTE_NS)))
    whole = join(made)
    if not len(whole.times_ns):
        return whole
    stretch = whole.times_ns // step_ns
    starts = np.flatnonzero(np.diff(stretch, prepend=stretch[0] - 1))
    return Chunk(whole.ids, stretch[starts] * step_ns, _reduced(whole, starts, step_ns))


def is_sampled(points: Chunk) -> bool:
    """True when something may have been left out of these points."""
    flags = points.columns.get("flags")
    has_marks = flags is not None and bool((flags.astype(np.uint8) & MARKS).any())
    return has_marks or bool((points.column("bounds") != 0.0).any()) or bool((points.column("weights") > 1.0).any())


def newest(points: Chunk) -> Chunk:
    """Of each series its newest point, as a chunk of as few times as these have."""
    is_point = _is_point(points)
    last = np.where(is_point, np.arange(len(points.times_ns)), -1).max(axis=1, initial=-1)
    times = np.unique(last[last >= 0])
    columns = {name: column[:, times] for name, column in points.columns.items()}
    columns["weights"] = np.where(times == last[:, None], points.column("weights")[:, times], 0.0)
    return Chunk(points.ids, points.times_ns[times], columns)


def completed(rollup: Chunk, step_ns: int) -> Chunk:
    """A stored roll-up with all that it needs to be merged: those of before schema 4 know of no errors."""
    if "error" in rollup.columns:
        return rollup
    covered_s = np.where(rollup.columns["count"] > 0, step_ns / 1e9, 0.0)
    unknown = {"covered_s": covered_s, "error": np.full(rollup.shape, np.nan)}
    return Chunk(rollup.ids, rollup.times_ns, {**rollup.columns, **unknown})


def _of_points(points: Chunk, unit_ns: int) -> Chunk:
    """Points as roll-ups of a single point each. Values that are not finite are no points.

    Args:
        unit_ns: Where nothing was left out, what each stretch of that length counts.
    """
    is_point = _is_point(points)
    values = np.where(is_point, points.columns["values"], 0.0)
    count = np.where(is_point, points.column("weights"), 0.0)
    made = {"count": count, "last_s": np.zeros(points.shape)} | dict.fromkeys(("min", "max", "mean", "last"), values)
    if is_sampled(points):
        made |= _along_ways(points, is_point, values)
    else:
        made |= {"covered_s": _shares_of(unit_ns, points.times_ns, is_point), "error": np.zeros(points.shape)}
    return Chunk(points.ids, points.times_ns, made)


def _is_point(points: Chunk) -> NDArray[np.bool_]:
    is_point: NDArray[np.bool_] = np.isfinite(points.columns["values"]) & (points.column("weights") > 0)
    return is_point


def _shares_of(unit_ns: int, times_ns: NDArray[np.int64], is_point: NDArray[np.bool_]) -> Floats:
    """What each point counts, seconds, so that each stretch of that length with a point counts alike."""
    if not len(times_ns):
        return np.zeros(is_point.shape)
    unit = times_ns // unit_ns
    starts = np.flatnonzero(np.diff(unit, prepend=unit[0] - 1))
    count = np.add.reduceat(is_point, starts, axis=1, dtype=np.float64)
    each_s = unit_ns / 1e9 / np.maximum(count, 1.0)
    return np.where(is_point, np.repeat(each_s, np.diff(starts, append=len(unit)), axis=1), 0.0)


def _along_ways(points: Chunk, is_point: NDArray[np.bool_], values: Floats) -> dict[str, Floats]:
    """What belongs to the way to each point from the one before it; the first has none, and its own bound."""
    flags = points.column("flags").astype(np.uint8)
    weights = points.column("weights")
    bounds = known_bounds(weights, flags, points.column("bounds"))
    over_time, covered_s, error = values.copy(), np.zeros(points.shape), bounds.copy()
    for row in range(len(points.ids)):
        at = np.flatnonzero(is_point[row])
        of = row, at
        ways = ways_between(points.times_ns[at], values[of], weights[of], bounds[of], flags[of])
        over_time[row, at[1:]], covered_s[row, at[1:]], error[row, at[1:]] = ways.levels, ways.spans_s, ways.bounds
    marks = np.where(is_point, flags & MARKS, 0).astype(np.float64)
    return {"over_time": over_time, "covered_s": covered_s, "error": error, "max_error": error, "marks": marks}


def _reduced(whole: Chunk, starts: NDArray[np.intp], step_ns: int) -> dict[str, Floats]:
    count = whole.columns["count"]
    is_there = count > 0
    last_s = np.where(is_there, whole.columns["last_s"] + whole.times_ns % step_ns / 1e9, -1.0)
    made = {
        "count": np.add.reduceat(count, starts, axis=1),
        "min": np.minimum.reduceat(np.where(is_there, whole.columns["min"], np.inf), starts, axis=1),
        "max": np.maximum.reduceat(np.where(is_there, whole.columns["max"], -np.inf), starts, axis=1),
        "mean": _mean(whole.columns["mean"], count, starts),
        "last_s": np.maximum.reduceat(last_s, starts, axis=1),
    }
    made["last"] = _newest(whole.columns["last"], last_s, made["last_s"], starts)
    return made | _reduced_ways(whole, starts, step_ns / 1e9)


def _reduced_ways(whole: Chunk, starts: NDArray[np.intp], step_s: float) -> dict[str, Floats]:
    """What is said of ways; of points to which none leads only where there is nothing else."""
    covered_s = np.add.reduceat(whole.columns["covered_s"], starts, axis=1)
    if "over_time" not in whole.columns:
        return {
            "covered_s": np.minimum(covered_s, step_s),
            "error": _largest(whole, "error", whole.columns["count"], starts),
        }
    is_bare = _spread(covered_s, starts, whole.shape[1]) <= 0
    weights = np.where(is_bare & (whole.columns["count"] > 0), 1.0, whole.columns["covered_s"])
    marks = np.bitwise_or.reduceat(whole.column("marks").astype(np.uint8), starts, axis=1)
    return {
        "covered_s": covered_s,
        "error": _mean(whole.columns["error"], weights, starts),
        "over_time": _mean(whole.columns["over_time"], weights, starts),
        "max_error": _largest(whole, "max_error", weights, starts),
        "marks": marks.astype(np.float64),
    }


def _largest(whole: Chunk, name: str, weights: Floats, starts: NDArray[np.intp]) -> Floats:
    """The largest of each stretch among those that weigh something; NaN where one of these is."""
    largest: Floats = np.maximum.reduceat(np.where(weights > 0, whole.column(name), 0.0), starts, axis=1)
    return largest


def _mean(values: Floats, weights: Floats, starts: NDArray[np.intp]) -> Floats:
    """The mean of each stretch by weight; 0 where there is none."""
    total = np.add.reduceat(weights, starts, axis=1)
    share = weights / _spread(np.where(total > 0, total, 1.0), starts, weights.shape[1])
    return np.add.reduceat(np.where(share > 0, values * share, 0.0), starts, axis=1)


def _spread(of_stretches: Floats, starts: NDArray[np.intp], count: int) -> Floats:
    """To each column what its stretch has."""
    return np.repeat(of_stretches, np.diff(starts, append=count), axis=1)


def _newest(last: Floats, last_s: Floats, newest_s: Floats, starts: NDArray[np.intp]) -> Floats:
    """The value of each stretch whose time is its newest; of two at the same time the later one."""
    is_newest = last_s == _spread(newest_s, starts, last.shape[1])
    position = np.maximum.reduceat(np.where(is_newest, np.arange(last.shape[1]), 0), starts, axis=1)
    return np.take_along_axis(last, position, axis=1)
