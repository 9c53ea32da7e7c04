"""What the hub asks of a store. One writer, any number of readers; everything here blocks and runs on a worker thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agent.errors import RebellionError

__all__ = [
    "AgentRow",
    "Appended",
    "BatchWrite",
    "EventRow",
    "EventWrite",
    "Limits",
    "Points",
    "Registered",
    "Registration",
    "SeriesRow",
    "SeriesWrite",
    "Store",
    "StoreError",
    "StoreReader",
    "Stretches",
    "TooManyPoints",
    "Upkept",
    "Write",
]


class StoreError(RebellionError):
    """The store cannot be opened, or could not write what was asked of it."""


class TooManyPoints(RebellionError):
    """A query whose answer would be larger than an answer may be."""


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


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much a store keeps. Seconds, bytes; `max_bytes` 0 = no limit by size.

    What is older goes in large pieces, so it may stay an eighth of its time longer (at least 10 minutes).
    """

    points_s: float
    rollups_s: float
    max_bytes: int = 0


@dataclass(slots=True)
class Upkept:
    """What a step of upkeep did: batches brought into their lasting form, records or files let go of, and in words what was found
    to be damaged and what became of it."""

    folded: int = 0
    expired: int = 0
    damaged: tuple[str, ...] = ()


class Store(Protocol):
    """The writing side. Every method but `transaction`, `upkeep` and `close` is called inside a transaction, on one thread."""

    def transaction(self) -> AbstractContextManager[None]:
        """What was written inside is durable when it ends without an error, and undone otherwise.

        Raises:
            StoreError: It could not be written (disk full, read-only, damaged).
        """
        ...

    def register(self, registration: Registration) -> Registered:
        """Make the agent and its epoch known, or find them."""
        ...

    def define(self, agent_id: int, series: Sequence[SeriesWrite]) -> list[int]:
        """The store's id of each series, the same for ever."""
        ...

    def append(self, write: Write) -> Appended:
        """Store a record once, and only after the one before it."""
        ...

    def upkeep(self, now_ns: int, limits: Limits) -> Iterator[Upkept]:
        """Bring what was appended into its lasting form, and let go of what is too old or too much.

        Each step is short, runs outside of a transaction, and leaves a whole store behind wherever it is killed; steps of other
        work may come in between. The iterator ends when nothing is left to do for now.

        Raises:
            StoreError: From a step: it could not be written. A new iterator goes on where this one failed.
        """
        ...

    def close(self) -> None: ...


class StoreReader(Protocol):
    """The reading side; sees what is durable."""

    def agents(self) -> list[AgentRow]: ...

    def series(self, agent_id: int | None, name: str = "", text: str = "") -> list[SeriesRow]:
        """The agent's series (None = all agents'), by text; only those of that name, and of that text, unless it is ""."""
        ...

    def points(
        self, agent_id: int, series_ids: Sequence[int], from_ns: int, to_ns: int, *, limit: int
    ) -> dict[int, Points]:
        """Points with from <= time <= to; every id asked for is in the answer.

        Raises:
            TooManyPoints: There are more than `limit` in all.
        """
        ...

    def stretches(
        self, agent_id: int, series_ids: Sequence[int], from_ns: int, to_ns: int, *, step_ns: int, limit: int
    ) -> dict[int, Stretches]:
        """Stretches of `step_ns` that hold a time with from <= time <= to; every id asked for is in the answer.

        Args:
            step_ns: > 0. From a minute on, a multiple of a minute is answered from roll-ups, which are kept longer than points.

        Raises:
            TooManyPoints: There are more than `limit` stretches in all.
        """
        ...

    def latest(self, agent_id: int | None = None) -> list[BatchWrite]:
        """The newest batch, by its time, of one agent or (None) of each."""
        ...

    def events(self, agent_id: int | None, from_ns: int, to_ns: int, limit: int) -> list[EventRow]:
        """The newest `limit` events of one agent (None = of all), oldest first."""
        ...

    def close(self) -> None: ...
