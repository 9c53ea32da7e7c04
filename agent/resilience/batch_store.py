"""Where the daemon's buffer keeps its batches, and how it thins them out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.contracts import Block, Kept
from agent.model import Batch, PointFlag
from agent.resilience.batch_size import ROW_BYTES, BatchMeasures, batch_bytes
from agent.resilience.ledger import Dropped
from agent.resilience.line_bounds import line_bounds, rounded_up
from agent.resilience.sampler_guard import SamplerGuard
from agent.resilience.segment import (
    SAMPLED_POINT_BYTES,
    Picked,
    Segment,
    flagged,
    joined,
    pack,
    picked,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FlagArray

__all__ = ["BatchStore"]

PACK_COUNT = 64
"""Batches that wait as they came before they are packed together."""
WIDE_PACK_COUNT = 16
"""The same of batches so wide that they make a stretch: enough of each series to choose among, and no more to do at once."""
STRETCH_POINTS = 16_384
"""About how many points at least a sampler that `works_in_stretches` is shown at once."""
BULK_RATIO = 0.05
"""Share of the room that bulk points keep however many others there are."""
ALIKE_RATIO = 1.5
"""Segments share a stretch when their points stand for numbers of produced points that differ by no more than this."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Neighbouring segments that are to be thinned out together.

    Attributes:
        segments: Those; some may have been taken since.
        points: How many points they had.
        budget: How many are to stay.
        is_last: False when newer points follow.
    """

    segments: Sequence[Segment]
    points: int
    budget: int
    is_last: bool


class BatchStore(BatchMeasures):
    """`Store` of batches: packed segments, then the newest batches as they came."""

    def __init__(self) -> None:
        self._segments: deque[Segment] = deque()
        self._fresh: deque[Batch] = deque()
        self._plan: deque[_Stretch] = deque()
        self.points = 0
        self.bytes = 0

    @property
    def oldest_s(self) -> float | None:
        if self._segments:
            segment = self._segments[0]
            return float(segment.monotonic_s[segment.head])
        return self._fresh[0].monotonic_s if self._fresh else None

    def dropped(self, item: Batch, /) -> Dropped:
        critical, bulk = flagged(item.flags, PointFlag.CRITICAL), flagged(item.flags, PointFlag.BULK)
        return Dropped(item.points, item.time_ns, item.time_ns, critical, bulk)

    def append(self, item: Batch, /) -> None:
        self._fresh.append(item)
        self.points += item.points
        self.bytes += batch_bytes(item)
        count = len(self._fresh)
        if count >= PACK_COUNT or (count >= WIDE_PACK_COUNT and count * item.points >= STRETCH_POINTS):
            self._pack_fresh()

    def prepend(self, items: Sequence[Batch], /) -> None:
        if items:
            segment = pack(items)
            self._segments.appendleft(segment)
            self.points += len(segment.ids)
            self.bytes += segment.bytes()

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
        self.points -= batch.points
        self.bytes -= batch_bytes(batch)
        return self.dropped(batch)

    def expire(self, before_s: float, /) -> Dropped:
        dropped = Dropped()
        while (oldest_s := self.oldest_s) is not None and oldest_s < before_s:
            dropped += self.dropped(self._pop())
        return dropped

    def clear(self) -> Dropped:
        return self.expire(float("inf"))

    @property
    def is_compacting(self) -> bool:
        return bool(self._plan)

    def compact(self, guard: SamplerGuard, max_points: int, max_bytes: int, /) -> Dropped:
        if not self.points:
            return Dropped()
        self._pack_fresh()
        rows = sum(len(segment.time_ns) - segment.head for segment in self._segments)
        budget = _budget(rows, max_points, max_bytes)
        self._plan.extend(_planned(self._segments, budget, STRETCH_POINTS if guard.works_in_stretches else self.points))
        return self.compact_more(guard)

    def compact_more(self, guard: SamplerGuard, /) -> Dropped:
        stretch = self._plan.popleft()
        segments = [segment for segment in stretch.segments if not segment.is_empty]
        if not segments:
            return Dropped()
        whole = joined(segments)
        budget = stretch.budget * len(whole.ids) // stretch.points
        stays = _choose(whole, guard, budget, stretch.is_last)
        made = picked(whole, stays)
        self._replace(segments, made)
        self.points += len(stays.index) - len(whole.ids)
        self.bytes += sum(segment.bytes() for segment in made) - sum(segment.bytes() for segment in segments)
        return _difference(whole, stays.index)

    def _replace(self, old: Sequence[Segment], new: Sequence[Segment]) -> None:
        """Put other segments in the place of these, which are neighbours."""
        place = next(n for n, segment in enumerate(self._segments) if segment is old[0])
        self._segments.rotate(-place)
        for _ in old:
            self._segments.popleft()
        self._segments.extendleft(reversed(new))
        self._segments.rotate(place)

    def _next_bytes(self) -> int:
        if self._segments:
            return self._segments[0].row_bytes(self._segments[0].head)
        return batch_bytes(self._fresh[0])

    def _pop(self) -> Batch:
        if not self._segments:
            batch = self._fresh.popleft()
            self.bytes -= batch_bytes(batch)
        else:
            segment = self._segments[0]
            batch = segment.row(segment.head)
            self.bytes -= segment.row_bytes(segment.head)
            segment.head += 1
            if segment.is_empty:
                self._segments.popleft()
        self.points -= batch.points
        return batch

    def _pack_fresh(self) -> None:
        if not self._fresh:
            return
        segment = pack(self._fresh)
        self.bytes += segment.bytes() - sum(map(batch_bytes, self._fresh))
        self._fresh.clear()
        self._segments.append(segment)

    def _unpack_newest(self) -> None:
        segment = self._segments.pop()
        self._fresh.extend(segment.row(n) for n in range(segment.head, len(segment.time_ns)))
        self.bytes += sum(map(batch_bytes, self._fresh)) - segment.bytes()
        segment.head = len(segment.time_ns)


def _budget(rows: int, max_points: int, max_bytes: int) -> int:
    """Points that fit whichever rows they come from: every row stays, or every point has a row of its own."""
    by_rows = (max_bytes - rows * ROW_BYTES) // SAMPLED_POINT_BYTES
    return max(0, min(max_points, max(by_rows, max_bytes // (SAMPLED_POINT_BYTES + ROW_BYTES))))


def _planned(segments: Sequence[Segment], budget: int, stretch_points: int) -> list[_Stretch]:
    """Stretches of about so many points, each with its share of the budget: in proportion to what its points stand for."""
    groups: list[list[Segment]] = []
    sizes: list[int] = []
    claims: list[float] = []
    for segment in segments:
        points, weight = segment.points, segment.weight
        if not groups or sizes[-1] >= stretch_points or not _is_alike(weight / points, claims[-1] / sizes[-1]):
            groups.append([])
            sizes.append(0)
            claims.append(0.0)
        groups[-1].append(segment)
        sizes[-1] += points
        claims[-1] += weight
    share, last = budget / sum(claims), len(groups) - 1
    return [_Stretch(groups[n], sizes[n], min(sizes[n], int(share * claims[n])), n == last) for n in range(len(groups))]


def _is_alike(one: float, other: float) -> bool:
    return max(one, other) <= ALIKE_RATIO * min(one, other)


def _choose(whole: Segment, guard: SamplerGuard, budget: int, is_last: bool) -> Picked:
    """The critical points and what the sampler keeps of each other lane."""
    size = len(whole.ids)
    every = Picked(
        np.arange(size),
        whole.values.copy(),
        np.zeros(size, np.uint8) if whole.flags is None else whole.flags.copy(),
        np.ones(size) if whole.weights is None else whole.weights.copy(),
        np.zeros(size, np.float32) if whole.bounds is None else whole.bounds.copy(),
    )
    stays = (every.flags & PointFlag.CRITICAL.value) != 0
    for lane, lane_budget in _lanes(every.flags, max(0, budget - int(stays.sum()))):
        kept = guard.keep(block := _block(whole, every, lane, is_last), lane_budget)
        _note(every, lane, block, kept, guard.kept_by)
        stays[lane[kept.index]] = True
    return every.at(np.flatnonzero(stays))


def _note(every: Picked, lane: NDArray[np.int64], block: Block, kept: Kept, kept_by: PointFlag) -> None:
    """Enter what was kept of a lane: weights, bounds, values, and how it was kept where something was left out."""
    chosen = lane[kept.index]
    bounds = rounded_up(line_bounds(block, kept, every.bounds[lane].astype(np.float64)))
    is_marked = (kept.weights != every.weights[chosen]) | (bounds != every.bounds[chosen])
    every.flags[chosen[is_marked]] |= kept_by.value
    every.weights[chosen], every.bounds[chosen] = kept.weights, bounds
    if kept.values is not None:
        every.values[chosen] = kept.values


def _lanes(flags: FlagArray, room: int) -> list[tuple[NDArray[np.int64], int]]:
    """Positions of the normal and of the bulk points, with their budgets: bulk gets what the normal ones leave, or its share."""
    is_free, is_bulk = (flags & PointFlag.CRITICAL.value) == 0, (flags & PointFlag.BULK.value) != 0
    normal, bulk = np.flatnonzero(is_free & ~is_bulk), np.flatnonzero(is_free & is_bulk)
    for_bulk = min(len(bulk), max(room - len(normal), int(room * BULK_RATIO)))
    return [(lane, budget) for lane, budget in ((normal, room - for_bulk), (bulk, for_bulk)) if len(lane)]


def _block(whole: Segment, every: Picked, index: NDArray[np.int64], is_last: bool) -> Block:
    monotonic_s = np.maximum.accumulate(np.repeat(whole.monotonic_s, np.diff(whole.starts)))
    is_exceptional = (every.flags[index] & PointFlag.ANOMALOUS.value) != 0
    return Block(
        monotonic_s[index],
        whole.ids[index],
        every.values[index],
        is_exceptional.astype(np.int64),
        is_exceptional,
        every.weights[index],
        is_last,
    )


def _difference(whole: Segment, kept: NDArray[np.int64]) -> Dropped:
    is_gone = np.ones(len(whole.ids), bool)
    is_gone[kept] = False
    gone = np.flatnonzero(is_gone)
    if not len(gone):
        return Dropped()
    times = whole.time_ns[np.searchsorted(whole.starts, gone, side="right") - 1]
    bulk = 0 if whole.flags is None else flagged(whole.flags[gone], PointFlag.BULK)
    return Dropped(len(gone), int(times.min()), int(times.max()), bulk=bulk)
