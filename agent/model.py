"""The values that travel through the agent: series, batches, events and gaps. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IdArray = NDArray[np.uint32]
    FloatArray = NDArray[np.float64]
    FlagArray = NDArray[np.uint8]
    BoundArray = NDArray[np.float32]

__all__ = [
    "Batch",
    "Event",
    "Gap",
    "Kind",
    "Labels",
    "Level",
    "PointFlag",
    "Record",
    "Scalar",
    "Series",
    "SeriesKey",
    "points_by_lane",
]

Labels = tuple[tuple[str, str], ...]
SeriesKey = tuple[str, Labels]
Scalar = str | int | float | bool | None


class Kind(Enum):
    """What a series' values mean."""

    GAUGE = "gauge"
    """A level, as read."""
    COUNTER = "counter"
    """A running total, as read."""
    RATE = "rate"
    """Recorded as a running total; the agent turns it into change per second."""


class Level(Enum):
    """How much an event matters, in rising order; the words of the log levels."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class PointFlag(IntFlag):
    """What the agent knows of one point; one byte a point on the wire."""

    NONE = 0
    ANOMALOUS = 1
    """The transformer saw it as far from its own history."""
    CRITICAL = 2
    """Critical lane: never sampled away (the agent's own health)."""
    BULK = 4
    """Bulk lane: sampled away before the normal lane, down to the twentieth of the room that is its own."""
    DRAWN = 8
    """Kept by chance, as likely as its weight says: counts, sums and means by weight are unbiased."""
    SHAPED = 16
    """Kept because straight lines from kept point to kept point stay close to all the others: a mean over time is right."""
    MERGED = 32
    """Not measured as such: the mean of the points that its weight counts."""
    CHOSEN = 64
    """Kept by another rule (the newest, the most important): its weight says how many, not what they were like."""


_LANES = ("normal", "critical", "bulk")
_LANE_OF_FLAGS = bytes(
    1
    if flags & PointFlag.CRITICAL
    else 2
    if flags & PointFlag.BULK
    else 0  # of each byte of flags, the place in _LANES
    for flags in range(256)
)


def points_by_lane(points: int, flags: bytes | None) -> dict[str, int]:
    """How many points are in each lane that has any.

    Args:
        points: How many there are.
        flags: `PointFlag` bits, a byte a point; None: all are 0.
    """
    lanes = bytes(points) if flags is None else flags.translate(_LANE_OF_FLAGS)
    counts = {lane: lanes.count(place) for place, lane in enumerate(_LANES)}
    return {lane: count for lane, count in counts.items() if count}


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """What is measured: a name and labels. Compared by identity, so that looking it up costs no hashing of text.

    Attributes:
        name: `lower_snake_case`, ends in the unit (`memory_used_bytes`).
        labels: Pairs sorted by label name.
        unit: "bytes", "s", "ratio", "bytes/s"; "" for a bare number.
        kind: See `Kind`.
        wrap_bits: RATE only: where the total wraps (32, 64, more when it is multiplied); 0 when a fall always means a restart.
        lane: CRITICAL, BULK, or NONE for the normal lane.
    """

    name: str
    labels: Labels = ()
    unit: str = ""
    kind: Kind = Kind.GAUGE
    wrap_bits: int = 0
    lane: PointFlag = PointFlag.NONE

    @property
    def key(self) -> SeriesKey:
        return (self.name, self.labels)

    def __str__(self) -> str:
        if not self.labels:
            return self.name
        return self.name + "{" + ",".join(f'{k}="{v}"' for k, v in self.labels) + "}"


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The points of one tick. Its columns are arrays, or plain ones (`agent.columns`) where nothing computes over the series.

    Attributes:
        time_ns: Wall clock at the tick, UTC nanoseconds; a label only.
        monotonic_s: The same moment on the monotonic clock; what ages and orders decide by.
        ids: Series ids, shape (n,), uint32, no id twice.
        values: Shape (n,), float64, finite.
        flags: `PointFlag` bits, shape (n,), uint8; None when all are 0.
        weights: How many produced points each one stands for, shape (n,), float64, >= 1; None when all are 1.
        bounds: How far a produced point may be from the straight line to this point from the one kept before it of its series, in
            the series' unit, shape (n,), float32, >= 0; NaN: not known, neither there nor on the way to the next; None: 0
            throughout, as nothing was left out.
    """

    time_ns: int
    monotonic_s: float
    ids: IdArray
    values: FloatArray
    flags: FlagArray | None = None
    weights: FloatArray | None = None
    bounds: BoundArray | None = None

    @property
    def points(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: a state change, a recovery, a restart.

    Attributes:
        time_ns: Wall clock, UTC nanoseconds; a label only.
        kind: `noun.verb_past`: `breaker.opened`, `component.disabled`.
        component: Whom it happened to: `sink:hub`, `collector:cpu`.
        level: See `Level`.
        detail: Facts, small and flat.
    """

    time_ns: int
    kind: str
    component: str
    level: Level = Level.INFO
    detail: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gap:
    """Points that were dropped on purpose: how many, why, and from which stretch of time.

    Attributes:
        from_ns: Wall clock of the oldest dropped point, UTC nanoseconds.
        to_ns: Wall clock of the newest dropped point.
        points: How many, >= 1.
        reason: `sampled`, `overflow`, `expired`, `refused`, `shutdown`.
        lanes: How many of them were in each lane that lost any, `critical`, `normal`, `bulk`; of the rest it is not known.
    """

    from_ns: int
    to_ns: int
    points: int
    reason: str
    lanes: Mapping[str, int] = field(default_factory=dict)


Record = Batch | Event | Gap
