"""Records of a spool for other people's eyes and programs."""

from __future__ import annotations

from typing import Any

from agent.delivery.spool_codec import read_message
from agent.delivery.spool_file import Numbered, SpoolFile
from agent.model import Series
from agent.protocol.messages import BatchMessage, EventMessage, GapMessage, SeriesMessage

__all__ = ["exported"]


def exported(record: Numbered, file: SpoolFile) -> dict[str, Any]:
    """One record with everything a reader needs, as plain values; times in Unix seconds, UTC."""
    message = read_message(record.frame)
    found: dict[str, Any] = {"id": record.frame.id, "run": record.frame.run}
    if isinstance(message, BatchMessage):
        return found | {"time_s": message.time_ns / 1e9, "metrics": _metrics(message, file, record.frame.run)}
    if isinstance(message, EventMessage):
        event = {"kind": message.kind, "component": message.component, "level": message.level}
        return found | {"time_s": message.time_ns / 1e9, "event": event | {"detail": message.detail}}
    if isinstance(message, GapMessage):
        gap = {"from_s": message.from_ns / 1e9, "points": message.points, "reason": message.reason}
        return found | {"time_s": message.to_ns / 1e9, "gap": gap | ({"lanes": message.lanes} if message.lanes else {})}
    return found


def _metrics(message: BatchMessage, file: SpoolFile, run: str) -> list[dict[str, Any]]:
    from agent.protocol.codec import unpack_floats, unpack_ids

    names = _names(file, run)
    pairs = zip(unpack_ids(message.ids), unpack_floats(message.values), strict=True)
    return [{"series": names.get(one, f"unknown:{one}"), "value": value} for one, value in pairs]


def _names(file: SpoolFile, run: str) -> dict[int, str]:
    return {
        one.id: str(Series(one.name, tuple(sorted(one.labels.items()))))
        for frame in file.series(run)
        if isinstance(definitions := read_message(frame), SeriesMessage)
        for one in definitions.series
    }
