"""Records as plain, self-describing JSON objects: for files, terminals and endpoints that do not speak `rebellion.v1`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec

from agent.model import Batch, Event, Record, Series

__all__ = ["plain_json", "plain_object"]

_encoder = msgspec.json.Encoder()


def plain_object(record: Record, agent: str, definition: Callable[[int], Series]) -> dict[str, Any]:
    """One record with everything a reader needs, times in Unix seconds (UTC).

    Args:
        record: What to show.
        agent: Name of the agent it comes from.
        definition: What an id in a batch stands for.
    """
    if isinstance(record, Batch):
        metrics = [
            {"name": series.name, "labels": dict(series.labels), "unit": series.unit, "value": value}
            for series, value in zip(map(definition, record.ids.tolist()), record.values.tolist(), strict=True)
        ]
        if record.weights is not None:
            for metric, weight in zip(metrics, record.weights.tolist(), strict=True):
                metric["weight"] = weight
        if record.bounds is not None:
            for metric, bound in zip(metrics, record.bounds.tolist(), strict=True):
                metric["bound"] = bound if math.isfinite(bound) else None
        return {"agent": agent, "time_s": record.time_ns / 1e9, "metrics": metrics}
    if isinstance(record, Event):
        event = {"kind": record.kind, "component": record.component, "level": record.level.value}
        return {"agent": agent, "time_s": record.time_ns / 1e9, "event": {**event, "detail": dict(record.detail)}}
    gap: dict[str, Any] = {"from_s": record.from_ns / 1e9, "points": record.points, "reason": record.reason}
    if record.lanes:
        gap["lanes"] = dict(record.lanes)
    return {"agent": agent, "time_s": record.to_ns / 1e9, "gap": gap}


def plain_json(record: Record, agent: str, definition: Callable[[int], Series]) -> bytes:
    """`plain_object` as one line of JSON, without a line end."""
    return _encoder.encode(plain_object(record, agent, definition))
