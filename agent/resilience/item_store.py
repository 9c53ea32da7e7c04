"""Plain objects in lanes: one lane for each priority in use."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from itertools import chain, repeat, starmap
from typing import Any, Final, TypeAlias

import numpy as np

from agent.contracts import Block
from agent.resilience.ledger import Dropped
from agent.resilience.sampler_guard import SamplerGuard

__all__ = ["CRITICAL_PRIORITY", "Entry", "ItemStore", "dropped_of", "priority_of"]

Entry: TypeAlias = tuple[float, float, int, float, Any]
"""Monotonic seconds when it came, priority, bytes, weight, the object itself."""

STAMP: Final = 0
PRIORITY: Final = 1
BYTES: Final = 2
WEIGHT: Final = 3
ITEM: Final = 4

TURNS = 20
"""In so many deliveries each lower lane that waits gets one (5 %), the highest all the others."""
MAX_LOWER_LANES = 10
CRITICAL_PRIORITY: Final = 1.0
_PRIORITY_BY_LANE = {"critical": CRITICAL_PRIORITY, "normal": 0.0, "bulk": -1.0}
_LANE_BY_PRIORITY = {priority: lane for lane, priority in _PRIORITY_BY_LANE.items()}


def priority_of(lane: float | str) -> float:
    """The priority of a lane that is given as its name or as its priority.

    Raises:
        ValueError: There is no lane of that name.
    """
    if not isinstance(lane, str):
        return lane
    if lane not in _PRIORITY_BY_LANE:
        raise ValueError(f"a lane must be a number or one of {', '.join(_PRIORITY_BY_LANE)} (got {lane!r})")
    return _PRIORITY_BY_LANE[lane]


def dropped_of(priority: float, count: int) -> Dropped:
    """So many items of one lane, dropped."""
    lane = _LANE_BY_PRIORITY.get(priority) or f"{priority:g}"
    critical, bulk = (count if lane == name else 0 for name in ("critical", "bulk"))
    return Dropped(count, critical=critical, bulk=bulk, others={} if lane in _PRIORITY_BY_LANE else {lane: count})


def _dropped_of_all(counts: Mapping[float, int]) -> Dropped:
    return sum((dropped_of(priority, count) for priority, count in counts.items()), Dropped())


class ItemStore:
    """`Store` of single objects, one point each. The lowest lane is evicted first, the highest delivered first.

    While anything waits in a lane below the highest, it gets one delivery in twenty, so nothing starves.
    """

    def __init__(self) -> None:
        self._lanes: dict[float, deque[Entry]] = {}
        self.points = 0
        self.bytes = 0
        self._turn = 0
        self.is_compacting = False

    @property
    def oldest_s(self) -> float | None:
        if len(self._lanes) == 1:
            return next(iter(self._lanes.values()))[0][STAMP]
        return min((lane[0][STAMP] for lane in self._lanes.values()), default=None)

    def has_lane(self, priority: float) -> bool:
        """Whether anything of this priority waits."""
        return priority in self._lanes

    def stamp_of(self, item: Entry, /) -> float:
        return item[STAMP]

    def points_of(self, _item: Entry, /) -> int:
        return 1

    def points_of_all(self, items: Sequence[Entry], /) -> int:
        return len(items)

    def bytes_of(self, item: Entry, /) -> int:
        return item[BYTES]

    def dropped(self, item: Entry, /) -> Dropped:
        return dropped_of(item[PRIORITY], 1)

    def append(self, item: Entry, /) -> None:
        lane = self._lanes.get(item[PRIORITY])
        if lane is None:
            lane = self._lanes[item[PRIORITY]] = deque()
        lane.append(item)
        self.points += 1
        self.bytes += item[BYTES]

    def prepend(self, items: Sequence[Entry], /) -> None:
        for item in reversed(items):
            self._lanes.setdefault(item[PRIORITY], deque()).appendleft(item)
            self.points += 1
            self.bytes += item[BYTES]

    def take(self, max_items: int, max_bytes: int, until_s: float, must_give: bool, /) -> list[Entry]:
        if len(self._lanes) == 1 and not self.bytes and until_s == float("inf"):
            return self._take_plain(max_items)
        taken: list[Entry] = []
        free_bytes = max_bytes
        while self._lanes and len(taken) < max_items:
            priority = self._due()
            item = self._lanes[priority][0]
            free_bytes -= item[BYTES]
            if item[STAMP] > until_s or (free_bytes < 0 and (taken or not must_give)):
                break
            self._turn += len(self._lanes) > 1
            taken.append(self._remove(priority))
        return taken

    def evict(self, is_newest: bool, /) -> Dropped:
        return self.dropped(self._remove(min(self._lanes), is_newest))

    def expire(self, before_s: float, /) -> Dropped:
        expired: Counter[float] = Counter()
        for priority in list(self._lanes):
            while priority in self._lanes and self._lanes[priority][0][STAMP] < before_s:
                self._remove(priority)
                expired[priority] += 1
        return _dropped_of_all(expired)

    def compact(self, guard: SamplerGuard, max_points: int, max_bytes: int, /) -> Dropped:
        items = sorted(chain.from_iterable(self._lanes.values()), key=lambda item: item[STAMP])
        if not items:
            return Dropped()
        budget = max_points
        if self.bytes:
            budget = min(budget, max_bytes * len(items) // self.bytes)
        kept = guard.keep(_block(items), budget)
        had = self._counts()
        self.clear()
        for position, weight in zip(kept.index.tolist(), kept.weights.tolist(), strict=True):
            item = items[position]
            self.append((item[STAMP], item[PRIORITY], item[BYTES], weight, item[ITEM]))
        return _dropped_of_all(had - self._counts())

    def compact_more(self, _guard: SamplerGuard, /) -> Dropped:
        return Dropped()

    def clear(self) -> Dropped:
        dropped = _dropped_of_all(self._counts())
        self._lanes.clear()
        self.points = self.bytes = 0
        return dropped

    def _counts(self) -> Counter[float]:
        return Counter({priority: len(lane) for priority, lane in self._lanes.items()})

    def _take_plain(self, max_items: int) -> list[Entry]:
        ((priority, lane),) = self._lanes.items()
        if len(lane) <= max_items:
            del self._lanes[priority]
        taken = list(starmap(lane.popleft, repeat((), min(max_items, len(lane)))))
        self.points -= len(taken)
        return taken

    def _due(self) -> float:
        """Priority of the lane whose turn it is."""
        waiting = sorted(self._lanes)
        lower = waiting[:-1][:MAX_LOWER_LANES]
        turn = self._turn % TURNS
        return lower[turn] if turn < len(lower) else waiting[-1]

    def _remove(self, priority: float, is_newest: bool = False) -> Entry:
        lane = self._lanes[priority]
        item = lane.pop() if is_newest else lane.popleft()
        if not lane:
            del self._lanes[priority]
        self.points -= 1
        self.bytes -= item[BYTES]
        return item


def _block(items: Sequence[Entry]) -> Block:
    """What a sampler sees of these items: one series; a number is its own value, anything else has none."""
    size = len(items)
    levels = {priority: rank for rank, priority in enumerate(sorted({item[PRIORITY] for item in items}))}
    return Block(
        np.fromiter((item[STAMP] for item in items), np.float64, size),
        np.zeros(size, np.uint32),
        np.fromiter((_value(item[ITEM]) for item in items), np.float64, size),
        np.fromiter((levels[item[PRIORITY]] for item in items), np.int64, size),
        np.fromiter((item[PRIORITY] == CRITICAL_PRIORITY for item in items), bool, size),
        np.fromiter((item[WEIGHT] for item in items), np.float64, size),
    )


def _value(item: object) -> float:
    if isinstance(item, dict):
        item = item.get("value")
    return float(item) if isinstance(item, int | float) and not isinstance(item, bool) else float("nan")
