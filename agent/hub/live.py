"""What the hub tells its pages: agents, ticks of those they look at, every event."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.dashboard.live_pages import LivePages, tick_message
from agent.hub.counters import HubCounters
from agent.hub.fleet import Fleet, FleetAgent
from agent.hub.records import BatchWrite, EventWrite, Write

__all__ = ["Live"]


class Live:
    """All open pages of a hub.

    Args:
        fleet: Described to the pages.
        counters: Counts what slow pages miss.

    Attributes:
        pages: Serves them.
    """

    def __init__(self, fleet: Fleet, counters: HubCounters) -> None:
        self._fleet = fleet
        self._counters = counters
        self.pages = LivePages(self._agents, self._latest, self._count_skipped)

    def note_change(self, agent: FleetAgent) -> None:
        """An agent came, went, or sent something."""
        self.pages.note_change()

    def note_stored(self, agent: FleetAgent, write: Write) -> None:
        """Pass a new record on to the pages that want it."""
        self.pages.note_change()
        if isinstance(write, EventWrite):
            self.pages.tell_event(lambda: _event(agent, write))
        else:
            self.pages.tell_tick(agent.row.name, lambda: _tick(agent, write))

    def _agents(self) -> dict[str, Any]:
        return {"agents": self._fleet.describe()}

    def _latest(self, name: str) -> dict[str, Any] | None:
        agent = self._fleet.get(name)
        return _tick(agent, agent.latest) if agent is not None and agent.latest is not None else None

    def _count_skipped(self) -> None:
        self._counters.live_skipped += 1


def _tick(agent: FleetAgent, batch: BatchWrite) -> dict[str, Any]:
    return tick_message(agent.row.name, batch.time_ns, agent.values_of(batch), agent.anomalies_of(batch))


def _event(agent: FleetAgent, event: EventWrite) -> dict[str, Any]:
    return {
        "time_s": event.time_ns / 1e9,
        "agent": agent.row.name,
        "kind": event.kind,
        "component": event.component,
        "level": event.level,
        "detail": msgspec.json.decode(event.detail),
    }
