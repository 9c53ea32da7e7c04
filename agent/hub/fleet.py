"""What the hub knows of every agent right now: who is connected, totals, newest values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.hub.records import AgentRow, Appended, BatchWrite, Registered, Registration, Write
from agent.model import PointFlag
from agent.protocol.codec import unpack_floats, unpack_ids

__all__ = ["AgentLink", "Fleet", "FleetAgent"]

HEALTH_SERIES = 'health_score{subsystem="host"}'


class AgentLink(Protocol):
    """An agent's open connection, as others see it."""

    @property
    def epoch(self) -> str: ...

    async def is_alive(self) -> bool:
        """True when the other end still answers."""
        ...

    def kick(self, code: int, reason: str) -> None:
        """Close it soon; safe twice."""
        ...

    async def say_restarting(self) -> None:
        """Tell the agent that the hub stops, after every ack that is due."""
        ...


@dataclass(slots=True, eq=False)
class FleetAgent:
    """One agent.

    Attributes:
        row: Totals, as the store has them.
        link: Its connection; None while it has none.
        text_by_id: Store's series id -> `name{label="value"}`, for the series defined on the newest connection.
        latest: Its newest batch, by its own clock.
        score_id: Store's id of its own health score, when it has defined one.
    """

    row: AgentRow
    link: AgentLink | None = None
    text_by_id: dict[int, str] = field(default_factory=dict)
    latest: BatchWrite | None = None
    score_id: int | None = None

    def begin(self, registration: Registration, registered: Registered) -> None:
        """Start over with a new connection."""
        row = self.row
        row.agent_id, row.last_seq = registered.agent_id, registered.last_seq
        row.labels, row.version, row.epoch = registration.labels, registration.version, registration.epoch
        row.last_seen_ns = registration.seen_ns
        self.text_by_id = {}
        self.score_id = None

    def define(self, text_by_id: Mapping[int, str]) -> None:
        """Learn what series of the newest connection are called."""
        self.text_by_id.update(text_by_id)
        self.row.series_count = len(self.text_by_id)
        self.score_id = next((one for one, text in text_by_id.items() if text == HEALTH_SERIES), self.score_id)

    def health_score(self) -> float | None:
        """How well the host finds itself, 0 (bad) to 100; None when it does not say."""
        if self.score_id is None or self.latest is None:
            return None
        ids = unpack_ids(self.latest.ids)
        score = unpack_floats(self.latest.values)[ids.index(self.score_id)] if self.score_id in ids else math.nan
        return score if math.isfinite(score) else None

    def describe(self) -> dict[str, Any]:
        """What the API says of it."""
        row = self.row
        return {
            "name": row.name,
            "labels": row.labels,
            "version": row.version,
            "epoch": row.epoch,
            "connected": self.link is not None,
            "last_seen_s": row.last_seen_ns / 1e9,
            "last_time_s": row.last_time_ns / 1e9,
            "series_count": row.series_count,
            "points_total": row.points_total,
            "batches_total": row.batches_total,
            "duplicates_total": row.duplicates_total,
            "gap_points_total": row.gap_points_total,
            "last_seq": row.last_seq,
            "health_score": self.health_score(),
        }

    def values_of(self, batch: BatchWrite) -> dict[str, float]:
        """The batch's values by series text; without those whose definition is not of the newest connection."""
        pairs = zip(unpack_ids(batch.ids), unpack_floats(batch.values), strict=True)
        return {self.text_by_id[series_id]: value for series_id, value in pairs if series_id in self.text_by_id}

    def anomalies_of(self, batch: BatchWrite) -> list[str]:
        """Series of the batch that the agent marked as standing out, as far as they are defined."""
        if batch.flags is None:
            return []
        marked = zip(unpack_ids(batch.ids), batch.flags, strict=True)
        return [self.text_by_id[one] for one, flags in marked if flags & PointFlag.ANOMALOUS and one in self.text_by_id]

    def note(self, write: Write, result: Appended) -> None:
        """Count what the store did with a record; mirrors what it counts itself."""
        row = self.row
        row.last_seen_ns = max(row.last_seen_ns, write.received_ns)
        if result is Appended.DUPLICATE:
            row.duplicates_total += 1
        elif result is Appended.STORED:
            row.last_seq = max(row.last_seq, write.seq)
            self._note_stored(write)

    def _note_stored(self, write: Write) -> None:
        row = self.row
        if not isinstance(write, BatchWrite):
            row.gap_points_total += write.gap_points
            return
        row.points_total += write.points
        row.batches_total += 1
        row.last_time_ns = max(row.last_time_ns, write.time_ns)
        if self.latest is None or write.time_ns >= self.latest.time_ns:
            self.latest = write


class Fleet:
    """All agents by name.

    Args:
        rows, latest: What the store knew when the hub started: agents, and the newest batch of each.
        max_agents: Names that the hub takes.
    """

    def __init__(self, rows: Iterable[AgentRow], latest: Iterable[BatchWrite] = (), *, max_agents: int) -> None:
        newest = {batch.agent_id: batch for batch in latest}
        self._agents = {row.name: FleetAgent(row, latest=newest.get(row.agent_id)) for row in rows}
        self._max_agents = max_agents

    def __iter__(self) -> Iterator[FleetAgent]:
        return iter(sorted(self._agents.values(), key=lambda agent: agent.row.name))

    def __len__(self) -> int:
        return len(self._agents)

    @property
    def connected_count(self) -> int:
        return sum(agent.link is not None for agent in self._agents.values())

    def get(self, name: str) -> FleetAgent | None:
        """The agent of that name, if it was ever seen."""
        return self._agents.get(name)

    def admit(self, name: str) -> FleetAgent | None:
        """The agent of that name, made when new; None when the hub has as many as it takes."""
        known = self._agents.get(name)
        if known is None and len(self._agents) < self._max_agents:
            known = self._agents[name] = FleetAgent(AgentRow(0, name))
        return known

    def describe(self) -> list[dict[str, Any]]:
        """What the API says of all of them, by name."""
        return [agent.describe() for agent in self]
