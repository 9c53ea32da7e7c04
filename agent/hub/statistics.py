"""Statistics of a series of which perhaps not every point was kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.hub.store import Points

__all__ = ["Statistics", "of_points", "of_stretches"]

Floats = NDArray[np.float64]

_GAP_FACTOR = 3.0


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is said of a series over a time.

    Attributes:
        count: Points that were produced, estimated as the sum of the weights; `stored` of them are here.
        mean: Over time: from point to point the value goes in a straight line, and a silence counts no longer than the points
            beside it stand for. None without points.
        weighted_mean: Sum of value times weight over the sum of the weights.
        covered_s: Seconds over which `mean` was taken.
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


def of_points(points: Points) -> Statistics:
    """Statistics of points in the order of time; values that are not finite count for nothing."""
    is_there = np.isfinite(points.values)
    times, values, weights = points.times_ns[is_there], points.values[is_there], points.weights[is_there]
    if not len(values):
        return Statistics(0.0, 0)
    spans_s = _spans_s(times, weights)
    mean = _mean((values[1:] + values[:-1]) / 2, spans_s) if spans_s.sum() > 0 else _mean(values, weights)
    return Statistics(
        count=float(weights.sum()),
        stored=len(values),
        mean=mean,
        weighted_mean=_mean(values, weights),
        min=float(values.min()),
        max=float(values.max()),
        first=float(values[0]),
        last=float(values[-1]),
        covered_s=float(spans_s.sum()),
    )


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


def _spans_s(times_ns: NDArray[np.int64], weights: Floats) -> Floats:
    """How long the way from each point to the next counts: the time between, in a silence no longer than the points stand for.

    What one produced point stands for is the median over the series.
    """
    apart_s = np.diff(times_ns) / 1e9
    if not len(apart_s):
        return apart_s
    stood_for = (weights[1:] + weights[:-1]) / 2
    period_s = float(np.median(apart_s / stood_for))
    expected_s = period_s * stood_for
    return np.where(apart_s > _GAP_FACTOR * expected_s, expected_s, apart_s)


def _mean(values: Floats, weights: Floats) -> float:
    return float(np.average(values, weights=weights))
