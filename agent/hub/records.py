"""What goes into the hub's store, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AgentRow",
    "Appended",
    "BatchWrite",
    "EventRow",
    "EventWrite",
    "Points",
    "Registered",
    "Registration",
    "SeriesRow",
    "SeriesWrite",
    "Stretches",
    "Write",
]


@dataclass(frozen=True, slots=True)
class Registration:
    """An agent that said `hello`."""

    agent: str
    epoch: str
    version: str
    labels: dict[str, str]
    seen_ns: int


@dataclass(frozen=True, slots=True)
class Registered:
    """The store's numbers for an agent and its epoch, and the last sequence number it holds of that epoch (0 = none)."""

    agent_id: int
    epoch_id: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class SeriesWrite:
    """One series as its agent defined it; labels sorted by name.

    Attributes:
        text: `name{label="value"}`: how queries name it.
    """

    name: str
    labels: tuple[tuple[str, str], ...]
    unit: str
    kind: str
    text: str = field(init=False)

    def __post_init__(self) -> None:
        """Work the text out."""
        inside = ",".join(f'{name}="{value}"' for name, value in self.labels)
        object.__setattr__(self, "text", f"{self.name}{{{inside}}}" if inside else self.name)


@dataclass(frozen=True, slots=True)
class BatchWrite:
    """A batch whose ids are the store's own series ids; arrays as on the wire.

    `after_seq` is the record sent before this one on the same connection (0 = none): this one is stored only when that one is,
    so that no failure can leave a hole that a later `last_seq` would hide.
    """

    agent_id: int
    epoch_id: int
    seq: int
    after_seq: int
    time_ns: int
    received_ns: int
    ids: bytes
    values: bytes
    flags: bytes | None = None
    weights: bytes | None = None
    bounds: bytes | None = None

    @property
    def points(self) -> int:
        return len(self.ids) // 4


@dataclass(frozen=True, slots=True)
class EventWrite:
    """An event, or a gap told as an event; `detail` is JSON. `gap_points` counts towards the agent's dropped points.

    `after_seq`: see `BatchWrite`.
    """

    agent_id: int
    epoch_id: int
    seq: int
    after_seq: int
    time_ns: int
    received_ns: int
    kind: str
    component: str
    level: str
    detail: str
    gap_points: int = 0


Write = BatchWrite | EventWrite


class Appended(Enum):
    """What became of a record."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    """Its sequence number was stored already."""
    OUT_OF_ORDER = "out_of_order"
    """The record before it is not stored, so this one is not either."""


@dataclass(slots=True)
class AgentRow:
    """What the store knows of one agent. Times are UTC nanoseconds, 0 = never; totals run over all epochs."""

    agent_id: int
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    version: str = ""
    epoch: str = ""
    last_seq: int = 0
    last_seen_ns: int = 0
    last_time_ns: int = 0
    series_count: int = 0
    points_total: int = 0
    batches_total: int = 0
    duplicates_total: int = 0
    gap_points_total: int = 0


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One stored series."""

    series_id: int
    text: str
    name: str
    labels: dict[str, str]
    unit: str
    kind: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """One stored event."""

    time_ns: int
    agent: str
    kind: str
    component: str
    level: str
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """The points of one series, oldest first.

    Attributes:
        times_ns: UTC nanoseconds, int64, shape (n,).
        values: float64, same shape.
        weights: How many produced points each stands for, float64, >= 1.
        flags: `PointFlag` bits as on the wire, uint8.
        bounds: How far a produced point may be from the straight line to this point from the one before it, float64, >= 0;
            NaN: not known, neither there nor on the way to the next. None: nothing is said of any.
    """

    times_ns: NDArray[np.int64]
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    flags: NDArray[np.uint8]
    bounds: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """One series by stretches of time, oldest first, those without points left out. All arrays have the same length.

    Attributes:
        starts_ns: Start of each stretch, a multiple of its length.
        columns: float64 arrays: `count` (produced points, by weight), `min`, `max`, `mean` (by weight), `last`;
            `over_time` (mean over time), `covered_s` (over how many seconds), `error` and `max_error` (how far a mean over
            time of all produced points, and any of them, may be from what was kept; NaN: not known), `marks` (`PointFlag` bits
            that say how points were kept).
    """

    starts_ns: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]
