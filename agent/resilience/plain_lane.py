"""The way of nearly every item: one lane, no bytes counted, the oldest goes when there are too many."""

from __future__ import annotations

from collections import deque
from itertools import islice, repeat, starmap
from typing import Any

from agent.resilience.item_store import Entry

__all__ = ["PlainLane"]

DEAD_COUNT = 65_536
"""Stamps of items that are gone are displaced by new ones; there are never more of them than items, or than this (2 MiB)."""


class PlainLane:
    """Items in the order they came, at most so many: a put is two appends and a count, a batch is taken without a look at each.

    What was put, and by that what was displaced, is read off from time to time with `settle`.

    Args:
        max_count: Items at most; a further one displaces the oldest.
        max_age_s: See `BufferSettings.max_age_s`.

    Attributes:
        priority: Of all items; settled by the first.
        due_s: No item is too old before this monotonic moment; put slowly from then on. Minus infinity while there is none.
    """

    __slots__ = ("_known", "_max_age_s", "append", "due_s", "items", "priority", "put_count", "stamp", "stamps")

    def __init__(self, max_count: int, max_age_s: float) -> None:
        self.items: deque[Any] = deque(maxlen=max_count)
        self.stamps: deque[float] = deque(maxlen=max_count)
        self.append, self.stamp = self.items.append, self.stamps.append
        self.priority = 0.0
        self.due_s = float("-inf")
        self.put_count = 0
        self._known = 0
        self._max_age_s = max_age_s

    def __len__(self) -> int:
        return len(self.items)

    @property
    def oldest_s(self) -> float | None:
        """Monotonic seconds when the oldest item came; None when there is none."""
        self._forget_dead()
        return self.stamps[0] if self.stamps else None

    def settle(self) -> tuple[int, int]:
        """How many items were put since the last time, and how many they displaced."""
        put, self.put_count = self.put_count, 0
        displaced = self._known + put - len(self.items)
        self._known = len(self.items)
        return put, displaced

    def expire(self, now_s: float) -> int:
        """Drop what has waited too long; how many. Settle before."""
        if now_s <= self.due_s:
            return 0
        self._forget_dead()
        before_s, expired = now_s - self._max_age_s, 0
        while self.stamps and self.stamps[0] < before_s:
            self.stamps.popleft()
            self.items.popleft()
            expired += 1
        self._after_removal(expired)
        if self.stamps:
            self.due_s = self.stamps[0] + self._max_age_s
        return expired

    def get(self, max_count: int) -> list[Any]:
        """Remove the oldest items. Settle before."""
        count = min(max_count, len(self.items))
        taken = list(starmap(self.items.popleft, repeat((), count)))
        self._after_removal(count)
        return taken

    def take(self, max_count: int) -> list[Entry]:
        """Remove the oldest items, with what is needed to put them back. Settle before."""
        self._forget_dead()
        stamps = list(islice(self.stamps, max_count))
        return [
            (stamp_s, self.priority, 0, 1.0, item) for stamp_s, item in zip(stamps, self.get(max_count), strict=True)
        ]

    def _after_removal(self, count: int) -> None:
        self._known -= count
        if len(self.stamps) - len(self.items) > max(len(self.items), DEAD_COUNT):
            self._forget_dead()
        if not self.items:
            self.due_s = float("-inf")

    def _forget_dead(self) -> None:
        """Stamps outlive their items until then: those of what is left are the newest."""
        dead = len(self.stamps) - len(self.items)
        deque(starmap(self.stamps.popleft, repeat((), dead)), maxlen=0)
