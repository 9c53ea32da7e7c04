"""Where the buffer of an agent without numpy keeps its batches: as they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING, Any

from agent.model import Batch, PointFlag
from agent.resilience.batch_size import BatchMeasures, batch_bytes
from agent.resilience.ledger import Dropped

if TYPE_CHECKING:
    from agent.columns import PlainColumn
    from agent.resilience.sampler_guard import SamplerGuard

__all__ = ["PlainStore", "picked_points"]


class PlainStore(BatchMeasures):
    """`Store` of batches that asks no sampler: when there are too many, the oldest lose all but their critical points."""

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()
        self.points = 0
        self.bytes = 0

    @property
    def oldest_s(self) -> float | None:
        return self._batches[0].monotonic_s if self._batches else None

    @property
    def is_compacting(self) -> bool:
        return False

    def dropped(self, item: Batch, /) -> Dropped:
        critical, bulk = (_count(item, flag) for flag in (PointFlag.CRITICAL, PointFlag.BULK))
        return Dropped(item.points, item.time_ns, item.time_ns, critical, bulk)

    def append(self, item: Batch, /) -> None:
        self._batches.append(item)
        self._book(item, 1)

    def prepend(self, items: Sequence[Batch], /) -> None:
        self._batches.extendleft(reversed(items))
        for item in items:
            self._book(item, 1)

    def take(self, max_items: int, max_bytes: int, until_s: float, must_give: bool, /) -> list[Batch]:
        taken: list[Batch] = []
        free_bytes = max_bytes
        while len(taken) < max_items and self._batches and self._batches[0].monotonic_s <= until_s:
            free_bytes -= batch_bytes(self._batches[0])
            if free_bytes < 0 and (taken or not must_give):
                break
            taken.append(self._removed(self._batches.popleft()))
        return taken

    def evict(self, is_newest: bool, /) -> Dropped:
        return self.dropped(self._removed(self._batches.pop() if is_newest else self._batches.popleft()))

    def expire(self, before_s: float, /) -> Dropped:
        dropped = Dropped()
        while self._batches and self._batches[0].monotonic_s < before_s:
            dropped += self.evict(False)
        return dropped

    def clear(self) -> Dropped:
        return self.expire(float("inf"))

    def compact(self, _guard: SamplerGuard, max_points: int, max_bytes: int, /) -> Dropped:
        dropped = Dropped()
        kept: deque[Batch] = deque()
        while self._batches and (self.points > max_points or self.bytes > max_bytes):
            batch = self._removed(self._batches.popleft())
            stays = [bool(flag & PointFlag.CRITICAL.value) for flag in _flags(batch)]
            left = picked_points(batch, stays)
            dropped += _difference(self.dropped(batch), self.dropped(left))
            if left.points:
                kept.append(left)
                self._book(left, 1)
        self._batches.extendleft(reversed(kept))
        return dropped

    def compact_more(self, _guard: SamplerGuard, /) -> Dropped:
        return Dropped()

    def _removed(self, batch: Batch) -> Batch:
        self._book(batch, -1)
        return batch

    def _book(self, batch: Batch, sign: int) -> None:
        self.points += sign * batch.points
        self.bytes += sign * batch_bytes(batch)


def picked_points(batch: Batch, stays: Sequence[bool]) -> Batch:
    """The batch with those of its points alone; its columns must be plain."""

    def picked(column: PlainColumn | None) -> PlainColumn | None:
        return None if column is None else type(column)(column.typecode, compress(column, stays))

    names = ("ids", "values", "flags", "weights", "bounds")
    columns: dict[str, Any] = {name: picked(getattr(batch, name)) for name in names}
    return replace(batch, **columns)


def _flags(batch: Batch) -> list[int]:
    found: list[int] = [0] * batch.points if batch.flags is None else batch.flags.tolist()
    return found


def _count(batch: Batch, flag: PointFlag) -> int:
    return sum(1 for flags in _flags(batch) if flags & flag.value)


def _difference(whole: Dropped, left: Dropped) -> Dropped:
    """What is gone when this is left of that; all that is left is critical."""
    return replace(
        whole, points=whole.points - left.points, critical=whole.critical - left.critical, bulk=whole.bulk - left.bulk
    )
