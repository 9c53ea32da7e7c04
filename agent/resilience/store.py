"""What the engine asks of the place where items are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from agent.resilience.ledger import Dropped
from agent.resilience.sampler_guard import SamplerGuard

__all__ = ["Store"]

T = TypeVar("T")


class Store(Protocol[T]):
    """Where a buffer keeps its items, oldest first. An item stands for one or more points."""

    points: int
    bytes: int

    @property
    def oldest_s(self) -> float | None:
        """Monotonic seconds of the oldest item; None when empty."""
        ...

    def stamp_of(self, item: T, /) -> float:
        """Monotonic seconds by which the item ages."""
        ...

    def points_of(self, item: T, /) -> int: ...
    def points_of_all(self, items: Sequence[T], /) -> int: ...
    def bytes_of(self, item: T, /) -> int: ...
    def dropped(self, item: T, /) -> Dropped:
        """What dropping this one item amounts to."""
        ...

    def append(self, item: T, /) -> None: ...
    def prepend(self, items: Sequence[T], /) -> None: ...
    def take(self, max_items: int, max_bytes: int, until_s: float, must_give: bool, /) -> list[T]:
        """Remove and return what is due next; arguments as in `BoundedBuffer.take`."""
        ...

    def evict(self, is_newest: bool, /) -> Dropped:
        """Drop the oldest, or the newest, of the items that matter least."""
        ...

    def expire(self, before_s: float, /) -> Dropped:
        """Drop what is older than this monotonic moment."""
        ...

    @property
    def is_compacting(self) -> bool:
        """True while `compact_more` has work left."""
        ...

    def compact(self, guard: SamplerGuard, max_points: int, max_bytes: int, /) -> Dropped:
        """Begin to keep what the sampler picks, within these figures; critical points stay, even beyond them."""
        ...

    def compact_more(self, guard: SamplerGuard, /) -> Dropped:
        """Do the next part of it."""
        ...

    def clear(self) -> Dropped: ...
