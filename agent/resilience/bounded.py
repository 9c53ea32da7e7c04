"""The one engine under every buffer: bounds, overflow, expiry and conservation. Where things are kept is a `Store`'s affair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from agent.clock import Clock
from agent.resilience.buffer_settings import BufferSettings, Overflow
from agent.resilience.ledger import Counts, Dropped, Ledger
from agent.resilience.sampler_guard import SamplerGuard
from agent.resilience.store import Store

__all__ = ["BoundedBuffer"]

T = TypeVar("T")

FLOOD_RATIO = 7 / 8
"""Where eviction stops when sampling could not make room, so that the next put need not evict again."""


class BoundedBuffer(Generic[T]):
    """Holds items between a producer and a consumer that may be slower or away. Sans-I/O; one thread.

    Args:
        settings: See `BufferSettings`.
        store: Where the items are kept; must be empty.
        guard: The sampler; used under `Overflow.SAMPLE` only.
        clock: Ages are measured on its monotonic side.
        on_drop: Told of every drop, with its reason.
        ledger: Where everything is counted; None: one of its own.
    """

    def __init__(
        self,
        settings: BufferSettings,
        store: Store[T],
        guard: SamplerGuard,
        *,
        clock: Clock,
        on_drop: Callable[[Dropped, str], None] | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_drop = on_drop
        self._ledger = ledger or Ledger()
        self.is_closed = False
        self._adopt(settings, guard)

    @property
    def points(self) -> int:
        return self._store.points

    @property
    def bytes(self) -> int:
        return self._store.bytes

    @property
    def oldest_s(self) -> float | None:
        """Monotonic seconds of what `take` would give first; None when empty."""
        return self._store.oldest_s

    @property
    def fill_ratio(self) -> float:
        """The larger of points and bytes over their bounds, 0..1."""
        return max(self._store.points / self.settings.max_points, self._store.bytes / self.settings.max_bytes)

    def counts(self) -> Counts:
        """The balance of this moment."""
        return self._ledger.counts()

    def configure(self, settings: BufferSettings, guard: SamplerGuard) -> None:
        """Go on with other settings and another sampler; what no longer fits is thinned out or dropped at once."""
        self._adopt(settings, guard)
        self._make_room()

    def has_room(self, item: T) -> bool:
        """Whether the item fits beside what waits; under `Overflow.REJECT` what is in flight keeps its place too."""
        settings, store = self.settings, self._store
        reserved = self._ledger.in_flight if settings.overflow is Overflow.REJECT else 0
        return (
            reserved + store.points + store.points_of(item) <= settings.max_points
            and store.bytes + store.bytes_of(item) <= settings.max_bytes
        )

    def put(self, item: T) -> bool:
        """Take an item in. Amortised O(1).

        Returns:
            False when it was turned away: rejected, or dropped as the newest.
        """
        store = self._store
        oldest_s = store.oldest_s
        if oldest_s is not None and oldest_s < store.stamp_of(item) - self.settings.max_age_s:
            self.expire()
        points = store.points_of(item)
        if self.is_closed or (self._is_rejecting and not self.has_room(item)):
            self._ledger.rejected += points
            return False
        self._ledger.accept(points)
        if self._is_dropping_newest and not self.has_room(item):
            self._count_drop(store.dropped(item), Overflow.DROP_NEWEST.value)
            return False
        store.append(item)
        if store.points >= self._busy_points or store.bytes >= self._busy_bytes or store.is_compacting:
            self._make_room()
        return True

    def count_thinned(self, dropped: Dropped) -> None:
        """Count points that were thinned out before they came here as accepted and dropped."""
        if not self.is_closed:
            self._ledger.accept(dropped.points)
            self._count_drop(dropped, "sampled")

    def take(self, max_items: int, max_bytes: int, *, until_s: float = float("inf"), must_give: bool = True) -> list[T]:
        """Items in their order; they are in flight until they are committed, put back or discarded.

        Args:
            max_items: At most so many, >= 0.
            max_bytes: At most so many bytes.
            must_give: True gives one item whatever its size, so that an oversized one does not wait for ever.
            until_s: Stop at an item younger than this monotonic moment.
        """
        self.expire()
        taken = self._store.take(max_items, max_bytes, until_s, must_give)
        self._ledger.take(self._store.points_of_all(taken))
        return taken

    def commit(self, items: Sequence[T]) -> None:
        """Count items in flight as delivered."""
        self._ledger.commit(self._store.points_of_all(items))

    def put_back(self, items: Sequence[T]) -> None:
        """Return items in flight to the front; the overflow policy decides who goes when there is no room for all."""
        self._ledger.put_back(self._store.points_of_all(items))
        self._store.prepend(items)
        self._make_room()

    def discard(self, items: Sequence[T], reason: str) -> None:
        """Drop items in flight."""
        dropped = Dropped()
        for item in items:
            dropped += self._store.dropped(item)
        self._ledger.discard(dropped, reason)
        self._tell(dropped, reason)

    def expire(self) -> None:
        """Drop what has waited too long."""
        oldest_s = self._store.oldest_s
        if oldest_s is None:
            return
        before_s = self._clock.monotonic_s() - self.settings.max_age_s
        if oldest_s < before_s:
            self._count_drop(self._store.expire(before_s), "expired")

    def drop_all(self, reason: str) -> None:
        """Drop everything that waits."""
        self._count_drop(self._store.clear(), reason)

    def close(self, reason: str = "shutdown") -> None:
        """Drop what waits and accept nothing more; what is in flight may still be settled. Safe twice."""
        self.is_closed = True
        self.drop_all(reason)

    def _adopt(self, settings: BufferSettings, guard: SamplerGuard) -> None:
        self.settings, self.guard = settings, guard
        self._sample_from_ratio = settings.sample_from_ratio
        self._is_rejecting = settings.overflow is Overflow.REJECT
        self._is_dropping_newest = settings.overflow is Overflow.DROP_NEWEST
        calm_ratio = settings.sample_from_ratio if settings.overflow is Overflow.SAMPLE else 1.0
        self._busy_points = settings.max_points * calm_ratio
        self._busy_bytes = settings.max_bytes * calm_ratio

    def _make_room(self) -> None:
        fill_ratio = self.fill_ratio
        if self.settings.overflow is not Overflow.SAMPLE:
            if fill_ratio > 1.0:
                self._evict(1.0, self.settings.overflow.value)
            return
        if self._store.is_compacting:
            self._sample_more()
        elif fill_ratio > 1.0 or (fill_ratio >= self._sample_from_ratio and self._sample_from_ratio < 1.0):
            self._sample()
        while self._store.is_compacting and self.fill_ratio > 1.0:
            self._sample_more()
        if self.fill_ratio > 1.0:
            self._evict(FLOOD_RATIO, "overflow")

    def _sample(self) -> None:
        settings = self.settings
        ratio = settings.sample_from_ratio * settings.sample_to_ratio
        max_points, max_bytes = int(settings.max_points * ratio), int(settings.max_bytes * ratio)
        self._count_drop(self._store.compact(self.guard, max_points, max_bytes), "sampled")
        self._plan_next_sampling()

    def _sample_more(self) -> None:
        self._count_drop(self._store.compact_more(self.guard), "sampled")
        self._plan_next_sampling()

    def _plan_next_sampling(self) -> None:
        """Critical points stay: the less room they leave, the later the next attempt, or every put would sample again."""
        if not self._store.is_compacting:
            halfway = (1.0 + min(self.fill_ratio, 1.0)) / 2
            self._sample_from_ratio = max(self.settings.sample_from_ratio, halfway)

    def _evict(self, to_ratio: float, reason: str) -> None:
        store, is_newest = self._store, self._is_dropping_newest
        max_points, max_bytes = self.settings.max_points * to_ratio, self.settings.max_bytes * to_ratio
        dropped = store.evict(is_newest)
        while store.points > max_points or store.bytes > max_bytes:
            dropped += store.evict(is_newest)
        self._sample_from_ratio = (1.0 + FLOOD_RATIO) / 2
        self._count_drop(dropped, reason)

    def _count_drop(self, dropped: Dropped, reason: str) -> None:
        self._ledger.drop(dropped, reason)
        self._tell(dropped, reason)

    def _tell(self, dropped: Dropped, reason: str) -> None:
        if dropped.points and self._on_drop is not None:
            self._on_drop(dropped, reason)
