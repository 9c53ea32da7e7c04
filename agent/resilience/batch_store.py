"""Batches, packed into columns: 12 to 21 bytes a point, whatever the size of the ticks they came in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.contracts import Block, Kept
from agent.model import Batch, PointFlag
from agent.resilience.ledger import Dropped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FlagArray, FloatArray, IdArray

__all__ = ["BatchStore", "Segment", "batch_bytes"]

PACK_COUNT = 64
"""Batches that wait as they came before they are packed together."""
SEGMENT_POINTS = 16_384
"""Points of a packed segment at most (a larger batch makes a larger one): the memory that is freed in one piece."""
ROW_BYTES = 24
SAMPLED_POINT_BYTES = 21


def batch_bytes(batch: Batch) -> int:
    """Bytes that a batch takes when packed."""
    size = batch.ids.nbytes + batch.values.nbytes + ROW_BYTES
    if batch.flags is not None:
        size += batch.flags.nbytes
    if batch.weights is not None:
        size += batch.weights.nbytes
    return size


@dataclass(slots=True)
class Segment:
    """Batches end to end. Row `i` is one batch: its points are `starts[i]:starts[i + 1]`; rows before `head` are gone."""

    time_ns: NDArray[np.int64]
    monotonic_s: FloatArray
    starts: NDArray[np.int64]
    ids: IdArray
    values: FloatArray
    flags: FlagArray | None
    weights: FloatArray | None
    head: int = 0

    @property
    def is_empty(self) -> bool:
        return self.head >= len(self.time_ns)

    def row(self, number: int) -> Batch:
        points = slice(int(self.starts[number]), int(self.starts[number + 1]))
        return Batch(
            int(self.time_ns[number]),
            float(self.monotonic_s[number]),
            self.ids[points],
            self.values[points],
            None if self.flags is None else self.flags[points],
            None if self.weights is None else self.weights[points],
        )

    def row_bytes(self, number: int) -> int:
        return int(self.starts[number + 1] - self.starts[number]) * self._point_bytes + ROW_BYTES

    @property
    def _point_bytes(self) -> int:
        return 12 + (self.flags is not None) + 8 * (self.weights is not None)

    def bytes(self) -> int:
        """Bytes of the rows that are left."""
        points = int(self.starts[-1] - self.starts[self.head])
        return points * self._point_bytes + (len(self.time_ns) - self.head) * ROW_BYTES


def pack(batches: Sequence[Batch]) -> Segment:
    """Put batches end to end; flags and weights get a column when any batch has them."""
    starts = np.zeros(len(batches) + 1, np.int64)
    sizes = [batch.points for batch in batches]
    np.cumsum(sizes, out=starts[1:])
    has_flags = any(batch.flags is not None for batch in batches)
    has_weights = any(batch.weights is not None for batch in batches)
    return Segment(
        np.array([batch.time_ns for batch in batches], np.int64),
        np.array([batch.monotonic_s for batch in batches], np.float64),
        starts,
        np.concatenate([batch.ids for batch in batches]),
        np.concatenate([batch.values for batch in batches]),
        _joined_column([batch.flags for batch in batches], sizes, 0, np.uint8) if has_flags else None,
        _joined_column([batch.weights for batch in batches], sizes, 1, np.float64) if has_weights else None,
    )


def _column(given: NDArray[Any] | None, size: int, default: int, dtype: type) -> NDArray[Any]:
    return np.full(size, default, dtype) if given is None else given


def _joined(segments: Sequence[Segment]) -> Segment:
    """All rows that are left in these segments, as one."""
    left = [(segment, int(segment.starts[segment.head])) for segment in segments]
    sizes = [len(segment.ids) - start for segment, start in left]
    row_sizes = np.concatenate([np.diff(segment.starts[segment.head :]) for segment in segments])
    has_flags = any(segment.flags is not None for segment in segments)
    has_weights = any(segment.weights is not None for segment in segments)
    return Segment(
        np.concatenate([segment.time_ns[segment.head :] for segment in segments]),
        np.concatenate([segment.monotonic_s[segment.head :] for segment in segments]),
        np.append(np.zeros(1, np.int64), np.cumsum(row_sizes)),
        np.concatenate([segment.ids[start:] for segment, start in left]),
        np.concatenate([segment.values[start:] for segment, start in left]),
        _joined_column([s.flags if s.flags is None else s.flags[i:] for s, i in left], sizes, 0, np.uint8)
        if has_flags
        else None,
        _joined_column([s.weights if s.weights is None else s.weights[i:] for s, i in left], sizes, 1, np.float64)
        if has_weights
        else None,
    )


def _joined_column(
    parts: Sequence[NDArray[Any] | None], sizes: Sequence[int], default: int, dtype: type
) -> NDArray[Any]:
    return np.concatenate([_column(part, size, default, dtype) for part, size in zip(parts, sizes, strict=True)])


class BatchStore:
    """`Store` of batches: packed segments, then the newest batches as they came."""

    def __init__(self) -> None:
        self._segments: deque[Segment] = deque()
        self._fresh: deque[Batch] = deque()
        self._points = 0
        self._bytes = 0

    @property
    def points(self) -> int:
        return self._points

    @property
    def bytes(self) -> int:
        return self._bytes

    @property
    def oldest_s(self) -> float | None:
        if self._segments:
            segment = self._segments[0]
            return float(segment.monotonic_s[segment.head])
        return self._fresh[0].monotonic_s if self._fresh else None

    def points_of(self, item: Batch, /) -> int:
        return item.points

    def bytes_of(self, item: Batch, /) -> int:
        return batch_bytes(item)

    def dropped(self, item: Batch, /) -> Dropped:
        return Dropped(item.points, item.time_ns, item.time_ns)

    def append(self, item: Batch, /) -> None:
        self._fresh.append(item)
        self._points += item.points
        self._bytes += batch_bytes(item)
        if len(self._fresh) >= PACK_COUNT:
            self._pack_fresh()

    def prepend(self, items: Sequence[Batch], /) -> None:
        if items:
            segment = pack(items)
            self._segments.appendleft(segment)
            self._points += len(segment.ids)
            self._bytes += segment.bytes()

    def take(self, max_items: int, max_bytes: int, until_s: float, must_give: bool, /) -> list[Batch]:
        taken: list[Batch] = []
        free_bytes = max_bytes
        while len(taken) < max_items and (oldest_s := self.oldest_s) is not None and oldest_s <= until_s:
            free_bytes -= self._next_bytes()
            if free_bytes < 0 and (taken or not must_give):
                break
            taken.append(self._pop())
        return taken

    def evict(self, is_newest: bool, /) -> Dropped:
        if not is_newest:
            return self.dropped(self._pop())
        if not self._fresh:
            self._unpack_newest()
        batch = self._fresh.pop()
        self._points -= batch.points
        self._bytes -= batch_bytes(batch)
        return self.dropped(batch)

    def expire(self, before_s: float, /) -> Dropped:
        dropped = Dropped()
        while (oldest_s := self.oldest_s) is not None and oldest_s < before_s:
            dropped += self.dropped(self._pop())
        return dropped

    def clear(self) -> Dropped:
        return self.expire(float("inf"))

    def compact(self, choose: Callable[[Block, int], Kept], max_points: int, max_bytes: int, /) -> Dropped:
        if not self._points:
            return Dropped()
        self._pack_fresh()
        whole = _joined(self._segments)
        kept, weights = _choose(whole, choose, _budget(len(whole.time_ns), max_points, max_bytes))
        self._segments, self._fresh = deque(_rebuilt(whole, kept, weights)), deque()
        self._points = sum(len(segment.ids) for segment in self._segments)
        self._bytes = sum(segment.bytes() for segment in self._segments)
        return _difference(whole, kept)

    def _next_bytes(self) -> int:
        if self._segments:
            return self._segments[0].row_bytes(self._segments[0].head)
        return batch_bytes(self._fresh[0])

    def _pop(self) -> Batch:
        if not self._segments:
            batch = self._fresh.popleft()
            self._bytes -= batch_bytes(batch)
        else:
            segment = self._segments[0]
            batch = segment.row(segment.head)
            self._bytes -= segment.row_bytes(segment.head)
            segment.head += 1
            if segment.is_empty:
                self._segments.popleft()
        self._points -= batch.points
        return batch

    def _pack_fresh(self) -> None:
        if not self._fresh:
            return
        segment = pack(self._fresh)
        self._bytes += segment.bytes() - sum(map(batch_bytes, self._fresh))
        self._fresh.clear()
        self._segments.append(segment)

    def _unpack_newest(self) -> None:
        segment = self._segments.pop()
        self._fresh.extend(segment.row(n) for n in range(segment.head, len(segment.time_ns)))
        self._bytes += sum(map(batch_bytes, self._fresh)) - segment.bytes()


def _budget(rows: int, max_points: int, max_bytes: int) -> int:
    """Points that fit whichever rows they come from: every row stays, or every point has a row of its own."""
    by_rows = (max_bytes - rows * ROW_BYTES) // SAMPLED_POINT_BYTES
    return max(0, min(max_points, max(by_rows, max_bytes // (SAMPLED_POINT_BYTES + ROW_BYTES))))


def _choose(whole: Segment, choose: Callable[[Block, int], Kept], budget: int) -> tuple[NDArray[np.int64], FloatArray]:
    """Positions that stay, rising, and their weights: all critical points, and what the sampler keeps of the others."""
    weights = np.ones(len(whole.ids)) if whole.weights is None else whole.weights.copy()
    flags = np.zeros(len(whole.ids), np.uint8) if whole.flags is None else whole.flags
    is_critical = (flags & PointFlag.CRITICAL.value) != 0
    others = np.flatnonzero(~is_critical)
    kept = choose(_block(whole, flags, weights, others), max(0, budget - (len(flags) - len(others))))
    chosen = others[kept.index]
    weights[chosen] = kept.weights
    is_critical[chosen] = True
    stays = np.flatnonzero(is_critical)
    return stays, weights[stays]


def _block(whole: Segment, flags: FlagArray, weights: FloatArray, index: NDArray[np.int64]) -> Block:
    monotonic_s = np.maximum.accumulate(np.repeat(whole.monotonic_s, np.diff(whole.starts)))
    is_exceptional = (flags & PointFlag.ANOMALOUS.value) != 0
    return Block(
        monotonic_s[index],
        whole.ids[index],
        whole.values[index],
        is_exceptional[index].astype(np.int64),
        is_exceptional[index],
        weights[index],
    )


def _rebuilt(whole: Segment, kept: NDArray[np.int64], weights: FloatArray) -> list[Segment]:
    """Segments of the kept points alone, in arrays of their own, so that the old ones can be freed."""
    row = np.searchsorted(whole.starts, kept, side="right") - 1
    segments, start = [], 0
    while start < len(kept):
        stop = len(kept)
        if stop - start > SEGMENT_POINTS:
            stop = int(np.searchsorted(row, row[start + SEGMENT_POINTS]))
            stop = stop if stop > start else int(np.searchsorted(row, row[start], side="right"))
        segments.append(_segment(whole, kept[start:stop], weights[start:stop], row[start:stop]))
        start = stop
    return segments


def _segment(whole: Segment, kept: NDArray[np.int64], weights: FloatArray, row: NDArray[np.int64]) -> Segment:
    rows, first = np.unique(row, return_index=True)
    flags = None if whole.flags is None else whole.flags[kept]
    return Segment(
        whole.time_ns[rows],
        whole.monotonic_s[rows],
        np.append(first, len(kept)).astype(np.int64),
        whole.ids[kept],
        whole.values[kept],
        flags if flags is not None and flags.any() else None,
        weights.copy() if (weights != 1.0).any() else None,
    )


def _difference(whole: Segment, kept: NDArray[np.int64]) -> Dropped:
    is_gone = np.ones(len(whole.ids), bool)
    is_gone[kept] = False
    gone = np.flatnonzero(is_gone)
    if not len(gone):
        return Dropped()
    times = whole.time_ns[np.searchsorted(whole.starts, gone, side="right") - 1]
    return Dropped(len(gone), int(times.min()), int(times.max()))
