"""Watches what can run out (space, inodes, memory, swap, files, processes) and says so while there is time to act."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, isfinite, nan
from typing import TYPE_CHECKING

import numpy as np

from agent.contracts import Reading
from agent.model import Level
from agent.numeric.exhaustion import NEVER, Exhaustion, exhaustion

if TYPE_CHECKING:
    from agent.events import EventBus
    from agent.model import Batch, Series

__all__ = ["Foresight", "Prediction"]

SAMPLE_S = 60.0
HISTORY_COUNT = 1440
MAX_RESOURCES = 128
GONE_AFTER_S = 600.0
CONFIRMING_LOOKS = 2
CLEARING_LOOKS = 5
CLEAR_RATIO = 1.5
URGENT_S = 1800.0

RATIOS = {
    "filesystem_used_ratio": "filesystem",
    "filesystem_inodes_used_ratio": "inodes",
    "memory_used_ratio": "memory",
    "swap_used_ratio": "swap",
    "file_descriptors_used_ratio": "file_descriptors",
    "cgroup_memory_used_ratio": "cgroup_memory",
    "cgroup_processes_used_ratio": "cgroup_processes",
}
"""Series whose limit is 1 -> what runs out then."""
PIDS_USED, PIDS_MAX = "load_threads_count", "process_ids_max_count"
"""Every thread has a number of its own, so threads of all numbers is how full the table is."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A failure that is predicted now; `resource` as in `filesystem:/var`, `horizon_s` is how far ahead failures are told."""

    resource: str
    found: Exhaustion
    horizon_s: float


class _Resource:
    """A day of one resource's fill, one value a minute, and what was made of it. 23 KiB."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.found = NEVER
        self.told_s = inf
        self._times = array("d")
        self._values = array("d")
        self._near_looks = 0
        self._far_looks = 0

    @property
    def seen_s(self) -> float:
        return self._times[-1] if self._times else -inf

    @property
    def is_told(self) -> bool:
        return self.told_s < inf

    def add(self, now_s: float, value: float) -> None:
        self._times.append(now_s)
        self._values.append(value)
        if len(self._times) > HISTORY_COUNT + 60:
            del self._times[:60], self._values[:60]

    def look(self, horizon_s: float) -> None:
        """Look again, and count how long the answer has been as it is."""
        self.found = exhaustion(np.array(self._times), np.array(self._values), 1.0)
        is_near = self.found.eta_s <= horizon_s
        self._near_looks = self._near_looks + 1 if is_near else 0
        self._far_looks = self._far_looks + 1 if self.found.eta_s > CLEAR_RATIO * horizon_s else 0

    @property
    def is_news(self) -> bool:
        """True when a failure is to be told: for the first time, or because only half of the time told is left."""
        return self._near_looks >= CONFIRMING_LOOKS and self.found.eta_s <= self.told_s / 2

    @property
    def is_over(self) -> bool:
        return self.is_told and self._far_looks >= CLEARING_LOOKS


class Foresight:
    """Keeps a day of every capacity at one value a minute and looks at one of them a tick.

    A failure is told (`failure.predicted`) when two looks in a row expect it within the horizon, again when half of the time is
    left, and taken back (`failure.cleared`) when five looks in a row see it further away than one and a half horizons, or the
    resource is gone. At most 128 resources; those beyond are not watched.

    Args:
        definition: What a series id stands for.
        events: Where failures are told.
        horizon_s: How far ahead a failure is told, seconds, > 0.
    """

    def __init__(self, definition: Callable[[int], Series], events: EventBus, horizon_s: float) -> None:
        self._definition = definition
        self._events = events
        self._horizon_s = horizon_s
        self._resources: dict[str, _Resource] = {}
        self._name_by_id: dict[int, str] = {}
        self._newest_id = 0
        self._next_s = -inf
        self._to_look: deque[_Resource] = deque()

    def take(self, batch: Batch) -> None:
        """Keep what is due of a tick, and look at one resource. Some 20 us, and under 1 ms when there is one to look at."""
        self._learn(batch)
        now_s = batch.monotonic_s
        if self._to_look:
            self._look(self._to_look.popleft())
        if now_s >= self._next_s:
            self._sample(self._found(batch), now_s)
            self._drop_gone(now_s)
            self._next_s = min((one.seen_s for one in self._resources.values()), default=now_s) + SAMPLE_S

    def predictions(self) -> list[Prediction]:
        """Failures that are told and not taken back, the nearest first."""
        told = [Prediction(one.name, one.found, self._horizon_s) for one in self._resources.values() if one.is_told]
        return sorted(told, key=lambda one: one.found.eta_s)

    def readings(self) -> Iterator[Reading]:
        """Seconds until each resource runs out; those of which nothing says that they will have no reading."""
        for one in self._resources.values():
            if isfinite(one.found.eta_s):
                yield Reading("exhaustion_s", one.found.eta_s, {"resource": one.name}, "s")

    def _learn(self, batch: Batch) -> None:
        """Note which of the series never seen before are capacities; ids only rise."""
        fresh = batch.ids[batch.ids > self._newest_id]
        for series_id in fresh.tolist():
            series = self._definition(series_id)
            if series.name in RATIOS:
                self._name_by_id[series_id] = ":".join((RATIOS[series.name], *(value for _, value in series.labels)))
            elif series.name in (PIDS_USED, PIDS_MAX):
                self._name_by_id[series_id] = series.name
            self._newest_id = max(self._newest_id, series_id)

    def _found(self, batch: Batch) -> dict[str, float]:
        """How full each resource of this batch is, 0..1."""
        at = np.flatnonzero(np.isin(batch.ids, list(self._name_by_id)))
        names = [self._name_by_id[series_id] for series_id in batch.ids[at].tolist()]
        found = dict(zip(names, batch.values[at].tolist(), strict=True))
        used, most = found.pop(PIDS_USED, nan), found.pop(PIDS_MAX, nan)
        if used > 0 and most > 0:
            found["process_ids"] = used / most
        return found

    def _sample(self, found: dict[str, float], now_s: float) -> None:
        """Keep those that are due; a collector with a longer interval is met when it comes."""
        for name, value in found.items():
            if name not in self._resources and len(self._resources) >= MAX_RESOURCES:
                continue
            one = self._resources.setdefault(name, _Resource(name))
            if now_s >= one.seen_s + SAMPLE_S:
                one.add(now_s, value)
                self._to_look.append(one)

    def _look(self, one: _Resource) -> None:
        if one.name not in self._resources:
            return
        one.look(self._horizon_s)
        if one.is_news:
            one.told_s = max(one.found.eta_s, 1.0)
            self._tell(one)
        elif one.is_over:
            self._take_back(one, "the trend is over")

    def _tell(self, one: _Resource) -> None:
        found = one.found
        self._events.emit(
            "failure.predicted",
            one.name,
            Level.ERROR if found.eta_s <= URGENT_S else Level.WARNING,
            resource=one.name,
            eta_s=round(found.eta_s),
            low_s=round(found.low_s),
            high_s=round(found.high_s) if isfinite(found.high_s) else None,
            confidence=round(found.confidence, 2),
            evidence=f"{found.reason}, for {found.seen_s / 60:.0f} min",
        )

    def _take_back(self, one: _Resource, why: str) -> None:
        one.told_s = inf
        self._events.emit("failure.cleared", one.name, Level.INFO, resource=one.name, evidence=why)

    def _drop_gone(self, now_s: float) -> None:
        for one in [one for one in self._resources.values() if one.seen_s < now_s - GONE_AFTER_S]:
            del self._resources[one.name]
            if one.is_told:
                self._take_back(one, "it is no longer there")
