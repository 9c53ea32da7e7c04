"""The points of some records, series by series, for endpoints that want them so."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent.model import Batch, Record, Series

__all__ = ["SeriesPoints", "points_by_series"]

SeriesPoints = dict[Series, list[tuple[int, float]]]
"""Series -> (wall clock in UTC nanoseconds, value), oldest first."""


def points_by_series(records: Iterable[Record], definition: Callable[[int], Series]) -> SeriesPoints:
    """Every point of the batches among the records.

    Args:
        records: In order. Events and gaps hold no points.
        definition: What an id in a batch stands for.
    """
    points: SeriesPoints = {}
    for record in records:
        if isinstance(record, Batch):
            for series_id, value in zip(record.ids.tolist(), record.values.tolist(), strict=True):
                points.setdefault(definition(series_id), []).append((record.time_ns, value))
    return points
