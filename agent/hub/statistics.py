"""Statistics of a series of which perhaps not every point was kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.hub.records import Points
from agent.hub.ways import BY_WEIGHT, known_bounds, methods_of, ways_between

__all__ = ["Statistics", "of_points", "of_stretches"]

Floats = NDArray[np.float64]


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
            out, None when it is not known (a fair draw bounds nothing, nor do roll-ups of before schema 4).
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
    flags, methods = points.flags[is_there], methods_of(points.flags[is_there])
    bounds = known_bounds(weights, flags, None if points.bounds is None else points.bounds[is_there])
    ways = ways_between(times, values, weights, bounds, flags)
    spans_s, errors = ways.spans_s, ways.bounds if len(values) > 1 else bounds
    is_by_weight = _is_by_weight(methods, spans_s)
    error_bound, max_error = (None, None) if is_by_weight and methods else _errors(errors, errors, spans_s)
    return Statistics(
        count=float(weights.sum()),
        stored=len(values),
        mean=_mean(values, weights) if is_by_weight else _mean(ways.levels, spans_s),
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


def of_stretches(columns: dict[str, Floats]) -> Statistics:
    """Statistics of the stretches of one roll-up, oldest first; columns as `agent.hub.rollup.COLUMNS`."""
    is_there = columns["count"] > 0
    of = {name: column[is_there] for name, column in columns.items()}
    count, mean, covered_s = of["count"], of["mean"], of["covered_s"]
    if not len(count):
        return Statistics(0.0, 0)
    methods = methods_of(of["marks"].astype(np.uint8))
    is_by_weight = _is_by_weight(methods, covered_s)
    unknown = None, None
    error_bound, max_error = unknown if is_by_weight and methods else _errors(of["error"], of["max_error"], covered_s)
    return Statistics(
        count=float(count.sum()),
        stored=len(count),
        mean=_mean(mean, count) if is_by_weight else _mean(of["over_time"], covered_s),
        weighted_mean=_mean(mean, count),
        min=float(of["min"].min()),
        max=float(of["max"].max()),
        first=float(mean[0]),
        last=float(of["last"][-1]),
        covered_s=float(covered_s.sum()),
        mean_by="weight" if is_by_weight else "time",
        methods=methods,
        error_bound=error_bound,
        max_error=max_error,
    )


def _is_by_weight(methods: tuple[str, ...], spans_s: Floats) -> bool:
    return spans_s.sum() <= 0 or (len(methods) > 0 and BY_WEIGHT.issuperset(methods))


def _errors(errors: Floats, max_errors: Floats, spans_s: Floats) -> tuple[float | None, float | None]:
    """How wrong the mean over time, and any point of the line, may be; where something counts no time, only if nothing does."""
    if spans_s.sum() > 0:
        errors, max_errors, spans_s = errors[spans_s > 0], max_errors[spans_s > 0], spans_s[spans_s > 0]
    if np.isnan(errors).any() or np.isnan(max_errors).any():
        return None, None
    return (_mean(errors, spans_s) if spans_s.sum() > 0 else float(max_errors.max())), float(max_errors.max())


def _mean(values: Floats, weights: Floats) -> float:
    return float(np.average(values, weights=weights))
