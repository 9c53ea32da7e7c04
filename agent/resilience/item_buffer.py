"""A bounded buffer of plain objects, on the same engine as the daemon's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Generic, TypeVar

from agent.clock import Clock
from agent.contracts import Sampler
from agent.errors import RebellionError
from agent.resilience.bounded import BoundedBuffer
from agent.resilience.buffer_settings import BufferSettings, Overflow
from agent.resilience.item_store import ITEM, Entry, ItemStore, dropped_of, priority_of
from agent.resilience.ledger import Counts, Ledger
from agent.resilience.plain_lane import PlainLane
from agent.resilience.sampler_guard import Newest, SamplerGuard

__all__ = ["BufferFull", "ItemBuffer", "Taken"]

T = TypeVar("T")
_item_of = itemgetter(ITEM)
DROP_OLDEST = Overflow.DROP_OLDEST.value


class BufferFull(RebellionError):
    """A buffer that rejects what does not fit was full, or it is closed."""


@dataclass(frozen=True, slots=True)
class Taken(Generic[T]):
    """Items in flight; give it back to the buffer's `commit`, `put_back` or `discard`, once."""

    entries: tuple[Entry, ...]

    @property
    def items(self) -> list[T]:
        return [entry[ITEM] for entry in self.entries]


class ItemBuffer(Generic[T]):
    """Holds objects in lanes by priority. Sans-I/O; one thread.

    Args:
        settings: See `BufferSettings`.
        sampler: Used under `Overflow.SAMPLE`; None keeps the newest.
        clock: Ages are measured on its monotonic side.
        bytes_of: Size of an object; None counts no bytes.
        on_sampler_fault: Called with one sentence when the sampler misbehaves for the first time.
    """

    def __init__(
        self,
        settings: BufferSettings,
        sampler: Sampler | None = None,
        *,
        clock: Clock,
        bytes_of: Callable[[T], int] | None = None,
        on_sampler_fault: Callable[[str], None] | None = None,
    ) -> None:
        self._now_s = clock.monotonic_s
        self._bytes_of = bytes_of
        self._guard = SamplerGuard(sampler or Newest(), on_sampler_fault)
        self._store, self._ledger = ItemStore(), Ledger()
        self._engine: BoundedBuffer[Entry] = BoundedBuffer(
            settings, self._store, self._guard, clock=clock, ledger=self._ledger
        )
        self._is_plain = settings.overflow is Overflow.DROP_OLDEST and bytes_of is None
        self._lane = PlainLane(settings.max_points, settings.max_age_s)

    def __len__(self) -> int:
        return len(self._lane) + self._engine.points

    @property
    def settings(self) -> BufferSettings:
        return self._engine.settings

    @property
    def fill_ratio(self) -> float:
        """The larger of items and bytes over their bounds, 0..1."""
        return max(self._engine.fill_ratio, len(self._lane) / self.settings.max_points)

    @property
    def oldest_s(self) -> float | None:
        """Monotonic seconds when the oldest waiting item came; None when none waits."""
        return self._lane.oldest_s if len(self._lane) else self._engine.oldest_s

    @property
    def is_closed(self) -> bool:
        return self._engine.is_closed

    @property
    def sampler_fault_count(self) -> int:
        return self._guard.fault_count

    def counts(self) -> Counts:
        """The balance of this moment, in items."""
        self._settle()
        return self._engine.counts()

    def put(self, item: T, priority: float | str = 0) -> bool:
        """Take an object in.

        Args:
            item: Any object; a number, or a dict with a number under "value", shows its value to the sampler.
            priority: Its lane: "critical" (1), "normal" (0), "bulk" (-1) or any number; higher is delivered first, evicted last.
        Returns:
            False when it was dropped at once: as the newest, or as the only one of the lowest lane.
        Raises:
            BufferFull: It does not fit and the settings say `REJECT`, or the buffer is closed.
            ValueError: There is no lane of that name.
        """
        lane, now_s = self._lane, self._now_s()
        if now_s <= lane.due_s and priority == lane.priority:
            lane.append(item)
            lane.stamp(now_s)
            lane.put_count += 1
            return True
        priority = priority_of(priority)
        if self._is_plain and self._begins(item, priority, now_s):
            return True
        size = 0 if self._bytes_of is None else self._bytes_of(item)
        if self._engine.put((now_s, priority, size, 1.0, item)):
            return self._store.has_lane(priority)
        if self.is_closed or self.settings.overflow is Overflow.REJECT:
            raise BufferFull(
                "the buffer is closed" if self.is_closed else f"the buffer is full ({len(self)} items wait)"
            )
        return False

    def take(self, max_items: int, max_bytes: int | None = None) -> Taken[T]:
        """Objects in the order of delivery; they are in flight until settled."""
        return Taken(tuple(self._take(max_items, max_bytes)))

    def get(self, max_items: int) -> list[T]:
        """Objects in the order of delivery, counted as delivered at once."""
        if not len(self._lane):
            entries = self._take(max_items, None)
            self._engine.commit(entries)
            return list(map(_item_of, entries))
        self._expire_lane()
        items: list[T] = self._lane.get(max_items)
        self._ledger.take(len(items))
        self._ledger.commit(len(items))
        return items

    def commit(self, taken: Taken[T]) -> None:
        """Count what was taken as delivered."""
        self._engine.commit(taken.entries)

    def put_back(self, taken: Taken[T]) -> None:
        """Return what was taken to the front of its lanes; when there is no room for all, the overflow policy decides."""
        self._spread()
        self._engine.put_back(taken.entries)

    def discard(self, taken: Taken[T], reason: str) -> None:
        """Drop what was taken."""
        self._engine.discard(taken.entries, reason)

    def has_room(self, item: T) -> bool:
        """Whether the object would fit beside what waits and what is in flight."""
        if len(self._lane):
            return len(self._lane) < self.settings.max_points
        size = 0 if self._bytes_of is None else self._bytes_of(item)
        return self._engine.has_room((0.0, 0, size, 1.0, item))

    def expire(self) -> None:
        """Drop what has waited too long."""
        self._expire_lane()
        self._engine.expire()

    def close(self, reason: str = "shutdown") -> None:
        """Drop what waits and accept nothing more. Safe twice."""
        self._is_plain = False
        self._spread()
        self._engine.close(reason)

    def _begins(self, item: T, priority: float, now_s: float) -> bool:
        """Put into the plain lane if it is empty or of this priority and nothing else waits; else let all items have lanes."""
        if self._engine.points:
            return False
        self._expire_lane()
        lane = self._lane
        if len(lane) and priority != lane.priority:
            self._spread()
            return False
        if not len(lane):
            lane.priority, lane.due_s = priority, now_s + self.settings.max_age_s
        lane.append(item)
        lane.stamp(now_s)
        lane.put_count += 1
        return True

    def _expire_lane(self) -> None:
        self._settle()
        if expired := self._lane.expire(self._now_s()):
            self._ledger.drop(dropped_of(self._lane.priority, expired), "expired")

    def _settle(self) -> None:
        """Count what happened in the plain lane since the last time."""
        put, displaced = self._lane.settle()
        self._ledger.accept(put)
        if displaced:
            self._ledger.drop(dropped_of(self._lane.priority, displaced), DROP_OLDEST)

    def _spread(self) -> None:
        """Go on in lanes by priority with what is in the plain one, until they are empty."""
        self._settle()
        for entry in self._lane.take(len(self._lane)):
            self._store.append(entry)

    def _take(self, max_items: int, max_bytes: int | None) -> list[Entry]:
        if not len(self._lane):
            return self._engine.take(max_items, self.settings.max_bytes if max_bytes is None else max_bytes)
        self._expire_lane()
        entries = self._lane.take(max_items)
        self._ledger.take(len(entries))
        return entries
