"""Between the agent's records and what lies on disk: the messages of the protocol, and whose ids they use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from typing import Protocol

import msgspec

from agent.columns import Columns, column_of, numbers_of
from agent.delivery.spool_frame import Frame, Lane
from agent.errors import ProtocolError
from agent.model import Batch, Event, Gap, Kind, Level, PointFlag, Record, Series, points_by_lane
from agent.protocol.codec import Codec, Encoding
from agent.protocol.messages import BatchMessage, EventMessage, GapMessage, SeriesDefinition, SeriesMessage
from agent.protocol.records import record_message

__all__ = ["SeriesNumbers", "SpoolSeries", "critical_part", "encode", "encode_series", "gap_payload", "read_message"]

_MAX_RECORD_BYTES = 1 << 26
_UNNUMBERED = 1
"""The protocol wants a number in every message; which one a record is sent under is decided when it is sent."""
_codec = Codec(Encoding.MSGPACK, max_frame_bytes=_MAX_RECORD_BYTES)


class SeriesNumbers(Protocol):
    """The part of the series table that the spool needs."""

    def ids(self, series: Sequence[Series], /) -> list[int]: ...
    def definition(self, series_id: int, /) -> Series: ...


def encode(record: Record, number: int, wall_ns: int, run: str) -> Frame:
    """The frame of a record of this run."""
    payload = _bytes(_codec.encode(record_message(record, _UNNUMBERED)))
    if isinstance(record, Batch):
        is_critical = record.flags is not None and all(
            flags & PointFlag.CRITICAL.value for flags in record.flags.tolist()
        )
        return Frame(number, wall_ns, record.points, int(is_critical), run, payload)
    return Frame(number, wall_ns, 0, Lane.CRITICAL, run, payload)


def encode_series(definitions: Sequence[SeriesDefinition], run: str) -> Frame:
    """The frame that says what ids of a run stand for."""
    return Frame(0, 0, 0, Lane.SERIES, run, _bytes(_codec.encode(SeriesMessage(series=list(definitions)))))


def gap_payload(gap: Gap) -> bytes:
    """The payload of a gap that the spool itself has to tell."""
    return _bytes(_codec.encode(record_message(gap, _UNNUMBERED)))


def read_message(frame: Frame) -> BatchMessage | EventMessage | GapMessage | SeriesMessage | None:
    """The message in a frame; None when a newer version wrote something that this one does not know."""
    try:
        message = _codec.decode(frame.payload)
    except ProtocolError:
        return None
    return message if isinstance(message, BatchMessage | EventMessage | GapMessage | SeriesMessage) else None


def lanes_of(frame: Frame) -> dict[str, int]:
    """How many points of each lane a frame holds; none where it cannot be read."""
    message = read_message(frame)
    return points_by_lane(message.points, message.flags) if isinstance(message, BatchMessage) else {}


def critical_part(frame: Frame) -> Frame | None:
    """The same record with its critical points alone; None when it has none."""
    message = read_message(frame)
    if not isinstance(message, BatchMessage) or message.flags is None:
        return None
    stays = [bool(flags & PointFlag.CRITICAL.value) for flags in message.flags]
    if not any(stays):
        return None
    part = msgspec.structs.replace(
        message,
        ids=_picked(message.ids, "I", stays),
        values=_picked(message.values, "d", stays),
        flags=_picked(message.flags, "B", stays),
        weights=None if message.weights is None else _picked(message.weights, "d", stays),
        bounds=None if message.bounds is None else _picked(message.bounds, "f", stays),
    )
    return frame._replace(points=sum(stays), lane=Lane.CRITICAL, payload=_bytes(_codec.encode(part)))


class SpoolSeries:
    """Turns what a run wrote into records of this run: every id is one of this run's own.

    Args:
        table: Gives ids.
        columns: Makes the columns of batches.
        run: Epoch of this run.
        definitions_of: Every definition frame of a run, from the file; called on a worker thread.
    """

    def __init__(
        self, table: SeriesNumbers, columns: Columns, run: str, definitions_of: Callable[[str], Sequence[Frame]]
    ) -> None:
        self._table = table
        self._columns = columns
        self._run = run
        self._definitions_of = definitions_of
        self._series_by_run: dict[str, dict[int, Series]] = {}
        self._known: dict[tuple[str, tuple[tuple[str, str], ...]], Series] = {}

    def load(self, runs: set[str]) -> None:
        """Read the definitions of these runs; blocks."""
        for run in runs - self._series_by_run.keys():
            self._series_by_run[run] = {
                one.id: self._series(one)
                for frame in self._definitions_of(run)
                if isinstance(message := read_message(frame), SeriesMessage)
                for one in message.series
            }

    def reload(self) -> None:
        """Forget what was read; the file holds other definitions now."""
        self._series_by_run.clear()

    def record(self, frame: Frame, monotonic_s: float) -> tuple[Record | None, int]:
        """The record of a frame, and how many of its points nobody can name any more; None when nothing is left."""
        message = read_message(frame)
        if isinstance(message, EventMessage):
            event = Event(message.time_ns, message.kind, message.component, Level(message.level), message.detail)
            return event, 0
        if isinstance(message, GapMessage):
            return Gap(message.from_ns, message.to_ns, message.points, message.reason, message.lanes), 0
        if isinstance(message, BatchMessage):
            return self._batch(message, frame.run, monotonic_s)
        return None, frame.points

    def _batch(self, message: BatchMessage, run: str, monotonic_s: float) -> tuple[Batch | None, int]:
        known: Mapping[int, Series] = self._series_by_run.get(run, {})
        found = [known.get(one) or self._own(run, one) for one in numbers_of(message.ids, "I")]
        named = [one for one in found if one is not None]
        unknown = len(found) - len(named)
        if not named:
            return None, unknown
        is_known = [one is not None for one in found]
        columns = self._columns
        batch = Batch(
            message.time_ns,
            monotonic_s,
            columns.ids(self._table.ids(named)),
            columns.values(list(compress(numbers_of(message.values, "d"), is_known))),
            None if message.flags is None else columns.flags(list(compress(message.flags, is_known))),
            None
            if message.weights is None
            else columns.values(list(compress(numbers_of(message.weights, "d"), is_known))),
            None
            if message.bounds is None
            else columns.bounds(list(compress(numbers_of(message.bounds, "f"), is_known))),
        )
        return batch, unknown

    def _own(self, run: str, series_id: int) -> Series | None:
        if run != self._run:
            return None
        try:
            return self._table.definition(series_id)
        except KeyError:
            return None

    def _series(self, one: SeriesDefinition) -> Series:
        key = (one.name, tuple(sorted(one.labels.items())))
        if key not in self._known:
            self._known[key] = Series(one.name, key[1], one.unit, Kind(one.kind))
        return self._known[key]


def _picked(data: bytes, typecode: str, stays: Sequence[bool]) -> bytes:
    return column_of(list(compress(numbers_of(data, typecode), stays)), typecode)


def _bytes(frame: bytes | str) -> bytes:
    return frame if isinstance(frame, bytes) else frame.encode()
