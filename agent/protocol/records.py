"""From the agent's records to the messages that carry them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agent.model import Batch, Event, Gap, Record, Scalar, Series
from agent.protocol.messages import BatchMessage, EventMessage, GapMessage, RecordMessage, SeriesDefinition

if TYPE_CHECKING:
    from agent.model import FloatArray

__all__ = ["definition_message", "record_message"]

_MAX_DETAILS = 64
_MAX_LABELS = 64
_INT64 = range(-(2**63), 2**63)


def record_message(record: Record, seq: int) -> RecordMessage:
    """The message of one record; text that UTF-8 cannot carry or that is too long for the protocol is cut to fit."""
    if isinstance(record, Batch):
        return _batch(record, seq)
    if isinstance(record, Gap):
        return _gap(record, seq)
    return _event(record, seq)


def definition_message(series_id: int, series: Series) -> SeriesDefinition:
    """The definition of one series under its id."""
    return SeriesDefinition(
        id=series_id,
        name=_plain(series.name, 256),
        labels={_plain(name, 256): _plain(value, 1024) for name, value in series.labels[:_MAX_LABELS]},
        unit=_plain(series.unit, 64),
        kind=series.kind.value,
    )


def _batch(batch: Batch, seq: int) -> BatchMessage:
    return BatchMessage(
        seq=seq,
        time_ns=max(0, batch.time_ns),
        ids=batch.ids.astype("<u4", copy=False).tobytes(),
        values=_float_bytes(batch.values),
        flags=None if batch.flags is None else batch.flags.tobytes(),
        weights=None if batch.weights is None else _float_bytes(batch.weights),
        bounds=None if batch.bounds is None else batch.bounds.astype("<f4", copy=False).tobytes(),
    )


def _gap(gap: Gap, seq: int) -> GapMessage:
    return GapMessage(
        seq=seq,
        from_ns=max(0, gap.from_ns),
        to_ns=max(0, gap.to_ns),
        points=gap.points,
        reason=_plain(gap.reason, 64),
        lanes=dict(gap.lanes),
    )


def _event(event: Event, seq: int) -> EventMessage:
    return EventMessage(
        seq=seq,
        time_ns=max(0, event.time_ns),
        kind=_plain(event.kind, 256),
        component=_plain(event.component, 256) or "agent",
        level=event.level.value,
        detail=_details(event.detail),
    )


def _details(detail: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return {_plain(key, 256): _scalar(value) for key, value in list(detail.items())[:_MAX_DETAILS]}


def _scalar(value: Scalar) -> Scalar:
    if isinstance(value, str):
        return _plain(value, 1024)
    if isinstance(value, int) and value not in _INT64:
        return float(value) if abs(value) < 10**300 else _plain(str(value), 1024)
    return value


def _plain(text: str, max_length: int) -> str:
    return text[:max_length].encode("utf-8", "replace").decode()


def _float_bytes(values: FloatArray) -> bytes:
    return values.astype("<f8", copy=False).tobytes()
