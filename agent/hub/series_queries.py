"""What queries say of series: points, stretches, statistics, newest values. All of it blocks and runs on the reading thread."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.dashboard.answers import BadQuery
from agent.hub.fleet import FleetAgent
from agent.hub.records import Points, SeriesRow, Stretches
from agent.hub.statistics import Statistics, of_points, of_stretches
from agent.hub.store import StoreReader
from agent.hub.ways import known_bounds, methods_of
from agent.protocol.codec import unpack_floats, unpack_ids

__all__ = ["SeriesQueries"]

Described = dict[str, Any]
Span = tuple[int, int]
"""UTC nanoseconds, both ends included."""

_MAX_POINTS = 1_000_000
_POINTS_UP_TO_S = 86_400.0
_MINUTES_UP_TO_S = 30 * 86_400.0
_ANOMALOUS = 1
_SHOWN = ("count", "min", "max", "mean", "last")


class SeriesQueries:
    """Answers about series, ready for JSON."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader

    def known(self, agent: FleetAgent, name: str) -> list[Described]:
        """The agent's series; only those of that name unless it is ""."""
        return [
            {"series": row.text, "name": row.name, "labels": row.labels, "unit": row.unit, "kind": row.kind}
            for row in self._reader.series(agent.row.agent_id, name)
        ]

    def values(self, agent: FleetAgent, text: str, name: str, span: Span, step_s: int) -> Described:
        """Of the series of that text, or of each of that name, its points or, where a step is given, its stretches.

        Raises:
            BadQuery: The agent has no such series.
            TooManyPoints: The answer would be too large.
        """
        rows = self._rows(agent, text, name)
        found = self._values(agent.row.agent_id, [row.series_id for row in rows], span, step_s)
        if text:
            return {"series": text, **found[0]}
        results = [{"series": row.text, "labels": row.labels, **one} for row, one in zip(rows, found, strict=True)]
        return {"name": name, "results": results}

    def statistics(self, agent: FleetAgent, text: str, span: Span) -> Described:
        """From points where the time is a day at most and points are still there, else from roll-ups.

        Raises:
            BadQuery: The agent has no such series.
            TooManyPoints: There are more points than an answer may be made of.
        """
        agent_id, one = agent.row.agent_id, self._rows(agent, text)[0].series_id
        length_s = (span[1] - span[0]) / 1e9
        if length_s <= _POINTS_UP_TO_S:
            points = self._reader.points(agent_id, [one], *span, limit=_MAX_POINTS)[one]
            if len(points.values):
                return _described(of_points(points), 0)
        step_s = 60 if length_s <= _MINUTES_UP_TO_S else 3600
        step_ns = step_s * 1_000_000_000
        found = self._reader.stretches(agent_id, [one], *span, step_ns=step_ns, limit=_MAX_POINTS)[one]
        return _described(of_stretches(found.columns), step_s)

    def latest(self, agents: Iterable[FleetAgent], agent_id: int | None, name: str) -> list[Described]:
        """The newest values of these agents, of all series or of those of that name."""
        text_by_id = {row.series_id: row.text for row in self._reader.series(agent_id, name)}
        return [_latest(agent, text_by_id) for agent in agents]

    def _rows(self, agent: FleetAgent, text: str, name: str = "") -> list[SeriesRow]:
        rows = self._reader.series(agent.row.agent_id, name, text)
        if not rows:
            raise BadQuery(404, f"agent {agent.row.name!r} has no series {text or name!r}")
        return rows

    def _values(self, agent_id: int, series_ids: list[int], span: Span, step_s: int) -> list[Described]:
        if step_s:
            step_ns = step_s * 1_000_000_000
            stretches = self._reader.stretches(agent_id, series_ids, *span, step_ns=step_ns, limit=_MAX_POINTS)
            return [_stretches(stretches[one]) for one in series_ids]
        points = self._reader.points(agent_id, series_ids, *span, limit=_MAX_POINTS)
        return [_points(points[one]) for one in series_ids]


def _points(points: Points) -> Described:
    is_anomalous = (points.flags & _ANOMALOUS) > 0
    described = {
        "times": _seconds(points.times_ns),
        "values": _numbers(points.values),
        "anomalies": _seconds(points.times_ns[is_anomalous]),
    }
    return described | _sampled(points)


def _sampled(points: Points) -> Described:
    """How points were kept, what each stands for, and how far off the others may be; nothing where none was left out."""
    methods, bounds = methods_of(points.flags), known_bounds(points.weights, points.flags, points.bounds)
    if not methods and not (points.weights > 1.0).any() and not bounds.any():
        return {}
    return {"methods": methods, "weights": _numbers(points.weights), "bounds": _numbers(bounds)}


def _stretches(stretches: Stretches) -> Described:
    columns = {name: _numbers(stretches.columns[name]) for name in _SHOWN}
    return {"times": _seconds(stretches.starts_ns), "values": columns["mean"], **columns}


def _described(statistics: Statistics, step_s: int) -> Described:
    source = f"{step_s} s" if step_s else "points"
    if statistics.mean_by == "weight":
        how = "mean: by weight"
    elif step_s and not statistics.methods:
        how = "mean: of minutes, each counted alike"
    else:
        how = "mean: over time, straight from point to point, silences left out"
    first = "; first: mean of the first stretch" if step_s else ""
    return {**asdict(statistics), "source": source, "how": f"count: sum of the weights; {how}{first}"}


def _latest(agent: FleetAgent, text_by_id: dict[int, str]) -> Described:
    batch = agent.latest
    head = {"name": agent.row.name, "connected": agent.link is not None}
    if batch is None:
        return {**head, "time_s": None, "values": {}}
    pairs = zip(unpack_ids(batch.ids), unpack_floats(batch.values), strict=True)
    values = {text_by_id[one]: value if math.isfinite(value) else None for one, value in pairs if one in text_by_id}
    return {**head, "time_s": batch.time_ns / 1e9, "values": values}


def _seconds(times_ns: NDArray[np.int64]) -> list[float]:
    seconds: list[float] = (times_ns / 1e9).tolist()
    return seconds


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    """What is not finite is no JSON number."""
    numbers: list[float | None] = values.tolist()
    if np.isfinite(values).all():
        return numbers
    return [number if number is not None and math.isfinite(number) else None for number in numbers]
