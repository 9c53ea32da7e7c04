"""What the hub counts of its own work."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from agent.hub.records import Appended, BatchWrite, Write

__all__ = ["HubCounters"]


@dataclass(slots=True)
class HubCounters:
    """Totals since the hub started.

    Attributes:
        refused: Connections that we refused or closed for what they did, by close code or HTTP status.
        requests: HTTP requests by status.
        events: Events stored, gaps among them.
        gap_points: Points that agents told they had dropped.
        slowed_s: Seconds for which agents that sent too much were not read.
        live_skipped: Messages that a slow page did not get.
        expired: Records and files of points let go of by age or size.
        folded: Batches brought into chunks.
    """

    connections: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    requests: Counter[int] = field(default_factory=Counter)
    frames: int = 0
    frame_bytes: int = 0
    batches: int = 0
    points: int = 0
    events: int = 0
    gap_points: int = 0
    duplicates: int = 0
    nacks: int = 0
    slowed_s: float = 0.0
    live_skipped: int = 0
    expired: int = 0
    folded: int = 0

    def note(self, write: Write, result: Appended) -> None:
        """Count what the store did with a record."""
        if result is Appended.DUPLICATE:
            self.duplicates += 1
        elif isinstance(write, BatchWrite):
            self.batches += 1
            self.points += write.points
        else:
            self.events += 1
            self.gap_points += write.gap_points
