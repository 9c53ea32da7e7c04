"""What the hub asks of a store. One writer, any number of readers; everything here blocks and runs on a worker thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from agent.errors import RebellionError
from agent.hub.records import (
    AgentRow,
    Appended,
    BatchWrite,
    EventRow,
    Points,
    Registered,
    Registration,
    SeriesRow,
    SeriesWrite,
    Stretches,
    Write,
)

__all__ = ["Limits", "Store", "StoreError", "StoreReader", "TooManyPoints", "Upkept"]


class StoreError(RebellionError):
    """The store cannot be opened, or could not write what was asked of it."""


class TooManyPoints(RebellionError):
    """A query whose answer would be larger than an answer may be."""


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
