"""The messages of `rebellion.v1`, both directions. What each means stands in docs/protocol.md."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

__all__ = [
    "MESSAGE_TYPES",
    "RECORD_TYPES",
    "Ack",
    "BatchMessage",
    "Bye",
    "EventMessage",
    "GapMessage",
    "Hello",
    "Message",
    "Nack",
    "RecordMessage",
    "SeriesDefinition",
    "SeriesMessage",
    "Welcome",
]

Seq = Annotated[int, Meta(ge=1, le=2**63 - 1)]
SeqOrNone = Annotated[int, Meta(ge=0, le=2**63 - 1)]
TimeNs = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
SeriesId = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Version = Annotated[int, Meta(ge=1, le=65_535)]
Word = Annotated[str, Meta(max_length=64)]
LaneName = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=1024)]
LabelMap = Annotated[dict[Name, Text], Meta(max_length=64)]
LaneMap = Annotated[dict[LaneName, Count], Meta(max_length=16)]
DetailMap = Annotated[dict[Name, Text | int | float | bool | None], Meta(max_length=64)]


class Hello(Struct, frozen=True, kw_only=True, tag_field="type", tag="hello"):
    """First message of an agent. `next_seq` is the sequence number of the oldest record it still has to deliver.

    `version` is the newest that it speaks and `min_version` the oldest; without it, that one alone.
    """

    version: Version
    agent: Name
    epoch: Name
    next_seq: Seq
    agent_version: Word = ""
    labels: LabelMap = field(default_factory=dict)
    min_version: Version | UnsetType = UNSET


class Welcome(Struct, frozen=True, kw_only=True, tag_field="type", tag="welcome"):
    """The hub's answer to `hello`: `version` is spoken from here on. Records up to `last_seq` are stored already; 0 = none."""

    version: Version
    last_seq: SeqOrNone
    window_batches: Annotated[int, Meta(ge=1, le=2**31)]
    window_bytes: Annotated[int, Meta(ge=1, le=2**31)]
    max_frame_bytes: Annotated[int, Meta(ge=1024, le=2**31)]
    server_time_ns: TimeNs


class SeriesDefinition(Struct, frozen=True, kw_only=True, gc=False):
    """What one id stands for, on this connection.

    `gc=False`: it can be part of no cycle, and thousands come at once when a fleet reconnects.
    """

    id: SeriesId
    name: Name
    labels: LabelMap = field(default_factory=dict)
    unit: Word = ""
    kind: Word = "gauge"


class SeriesMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="series"):
    """Defines ids before the first batch that uses them."""

    series: list[SeriesDefinition]


class BatchMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="batch", omit_defaults=True):
    """The points of one tick as little-endian arrays: uint32 ids, float64 values, uint8 flags, float64 weights, float32
    bounds."""

    seq: Seq
    time_ns: TimeNs
    ids: bytes
    values: bytes
    flags: bytes | None = None
    weights: bytes | None = None
    bounds: bytes | None = None

    @property
    def points(self) -> int:
        return len(self.ids) // 4


class EventMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="event"):
    """Something that happened at the agent."""

    seq: Seq
    time_ns: TimeNs
    kind: Name
    component: Name
    level: Literal["info", "warning", "error"] = "info"
    detail: DetailMap = field(default_factory=dict)


class GapMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="gap", omit_defaults=True):
    """Points that the agent dropped on purpose; `lanes` says how many of them were in which lane, as far as it is known."""

    seq: Seq
    from_ns: TimeNs
    to_ns: TimeNs
    points: Count
    reason: Word
    lanes: LaneMap = field(default_factory=dict)


class Ack(Struct, frozen=True, kw_only=True, tag_field="type", tag="ack"):
    """Every record up to `seq` is stored durably."""

    seq: Seq


class Nack(Struct, frozen=True, kw_only=True, tag_field="type", tag="nack"):
    """The record `seq` and those after it were not stored: send again from `seq`, not before `retry_after_s`."""

    seq: Seq
    reason: Text
    retry_after_s: Seconds = 0.0


class Bye(Struct, frozen=True, kw_only=True, tag_field="type", tag="bye", omit_defaults=True):
    """Last message before a clean close. `seq` is the last one its sender sent (agent) or stored (hub); None = none."""

    reason: Text = ""
    seq: Seq | None = None
    retry_after_s: Seconds = 0.0


RecordMessage = BatchMessage | EventMessage | GapMessage
Message = Hello | Welcome | SeriesMessage | BatchMessage | EventMessage | GapMessage | Ack | Nack | Bye
RECORD_TYPES = (BatchMessage, EventMessage, GapMessage)
MESSAGE_TYPES = frozenset({"hello", "welcome", "series", "batch", "event", "gap", "ack", "nack", "bye"})
