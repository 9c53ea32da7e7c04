"""Statistics of a series of which perhaps not every point was kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.hub.store import Points
from agent.model import PointFlag

__all__ = ["Statistics", "known_bounds", "methods_of", "of_points", "of_stretches"]

Floats = NDArray[np.float64]
Flags = NDArray[np.uint8]

_GAP_FACTOR = 3.0
_METHODS = {
    "drawn": PointFlag.DRAWN,
    "shape": PointFlag.SHAPED,
    "merged": PointFlag.MERGED,
    "chosen": PointFlag.CHOSEN,
}
_BY_WEIGHT = {"drawn", "merged"}
_MARKS = np.uint8(sum(flag.value for flag in _METHODS.values()))


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is said of a series over a time.

    Attributes:
        count: Points that were produced, estimated as the sum of the weights; `stored` of them are here.
        mean: Over time: from point to point the value goes in a straight line, and a silence counts no longer than the points
            beside it stand for. Where all that was left out was left out by a fair draw or merged into means, it is
            `weighted_mean` instead. None without points. `mean_by` says which: "time", "weight".
        weighted_mean: Sum of value times weight over the sum of the weights.
        covered_s: Seconds over which a mean over time is taken.
        methods: How points were kept where others were left out, in the words of docs/protocol.md; () = nothing was left out.
        error_bound: A mean over time of all produced points differs from `mean` by no more than this; 0 when nothing was left
            out, None when it is not known (a fair draw bounds nothing, and roll-ups do not hold it).
        max_error: No produced point is farther from the straight lines between the kept ones than this; None: not known.
    """

    count: float
    stored: int
    mean: float | None = None
    weighted_mean: float | None = None
    min: float | None = None
    max: float | None = None
    first: float | None = None
    last: float | None = None
    covered_s: float = 0.0
    mean_by: str = "time"
    methods: tuple[str, ...] = ()
    error_bound: float | None = None
    max_error: float | None = None


def of_points(points: Points) -> Statistics:
    """Statistics of points in the order of time; values that are not finite count for nothing."""
    is_there = np.isfinite(points.values)
    times, values, weights = points.times_ns[is_there], points.values[is_there], points.weights[is_there]
    if not len(values):
        return Statistics(0.0, 0)
    methods = methods_of(points.flags[is_there])
    is_silence, spans_s = _ways(times, weights, "shape" in methods)
    is_by_weight = spans_s.sum() <= 0 or (len(methods) > 0 and _BY_WEIGHT.issuperset(methods))
    bounds = _way_bounds(known_bounds(points)[is_there], is_silence)
    error_bound, max_error = (None, None) if is_by_weight and methods else _errors(bounds, spans_s)
    return Statistics(
        count=float(weights.sum()),
        stored=len(values),
        mean=_mean(values, weights) if is_by_weight else _mean((values[1:] + values[:-1]) / 2, spans_s),
        weighted_mean=_mean(values, weights),
        min=float(values.min()),
        max=float(values.max()),
        first=float(values[0]),
        last=float(values[-1]),
        covered_s=float(spans_s.sum()),
        mean_by="weight" if is_by_weight else "time",
        methods=methods,
        error_bound=error_bound,
        max_error=max_error,
    )


def methods_of(flags: Flags) -> tuple[str, ...]:
    """How points with these flags were kept; () when nothing says that any was left out."""
    seen = int(np.bitwise_or.reduce(flags)) if len(flags) else 0
    return tuple(name for name, flag in _METHODS.items() if seen & flag)


def known_bounds(points: Points) -> Floats:
    """The bounds of the points; NaN where one stands for several without a word about the others."""
    says_nothing = (points.weights > 1.0) & ((points.flags & _MARKS) == 0)
    stated = np.where(points.weights > 1.0, np.nan, 0.0) if points.bounds is None else points.bounds
    return np.where(says_nothing, np.nan, stated)


def of_stretches(columns: dict[str, Floats], step_s: float) -> Statistics:
    """Statistics of the stretches of one roll-up, oldest first; the mean is that of the stretches, each counted alike."""
    is_there = columns["count"] > 0
    count, mean = columns["count"][is_there], columns["mean"][is_there]
    if not len(count):
        return Statistics(0.0, 0)
    return Statistics(
        count=float(count.sum()),
        stored=len(count),
        mean=float(mean.mean()),
        weighted_mean=_mean(mean, count),
        min=float(columns["min"][is_there].min()),
        max=float(columns["max"][is_there].max()),
        first=float(mean[0]),
        last=float(columns["last"][is_there][-1]),
        covered_s=len(count) * step_s,
    )


def _ways(times_ns: NDArray[np.int64], weights: Floats, is_shaped: bool) -> tuple[NDArray[np.bool_], Floats]:
    """Which ways from a point to the next are silences, and how many seconds each counts.

    That is the time between, in a silence no more than the points stand for. What one produced point stands for is the median
    over the ways; over the points where these were kept for their shape, whose weights say how far it is to both sides.
    """
    apart_s = np.diff(times_ns) / 1e9
    if not len(apart_s):
        return np.zeros(0, bool), apart_s
    stood_for = (weights[1:] + weights[:-1]) / 2
    if is_shaped and len(apart_s) > 1:
        period_s = float(np.median((apart_s[1:] + apart_s[:-1]) / 2 / weights[1:-1]))
    else:
        period_s = float(np.median(apart_s / stood_for))
    expected_s = period_s * stood_for
    is_silence = apart_s > _GAP_FACTOR * expected_s
    return is_silence, np.where(is_silence, expected_s, apart_s)


def _way_bounds(bounds: Floats, is_silence: NDArray[np.bool_]) -> Floats:
    """The bound of each way from a point to the next; 0 in a silence, of which nothing is said. Of a single point its own."""
    if len(bounds) == 1:
        return bounds
    ways = np.where(np.isnan(bounds[:-1]), np.nan, bounds[1:])
    return np.where(is_silence, 0.0, ways)


def _errors(ways: Floats, spans_s: Floats) -> tuple[float | None, float | None]:
    """How wrong the mean over time, and any point of the line, may be."""
    if np.isnan(ways).any():
        return None, None
    return (_mean(ways, spans_s) if spans_s.sum() > 0 else float(ways.max())), float(ways.max())


def _mean(values: Floats, weights: Floats) -> float:
    return float(np.average(values, weights=weights))
