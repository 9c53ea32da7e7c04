"""The last minutes of this host in memory, bounded by age and by bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.model import PointFlag

if TYPE_CHECKING:
    from agent.model import Batch, FlagArray, FloatArray, IdArray

__all__ = ["Column", "History", "Tick", "columns"]

_OVERHEAD_BYTES = 400
"""What a kept tick costs beside its arrays' own bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """One kept tick; arrays as in `Batch`. Neighbours that hold the same series share `ids`."""

    time_ns: int
    monotonic_s: float
    ids: IdArray
    values: FloatArray
    flags: FlagArray | None

    @property
    def bytes(self) -> int:
        return _OVERHEAD_BYTES + self.values.nbytes + (self.flags.nbytes if self.flags is not None else 0)

    def anomalous_ids(self) -> list[int]:
        """Ids of the points that stand out."""
        if self.flags is None:
            return []
        marked = zip(self.ids.tolist(), self.flags.tolist(), strict=True)
        return [series_id for series_id, flags in marked if flags & PointFlag.ANOMALOUS.value]


@dataclass(slots=True)
class Column:
    """One series over time, oldest first; times are UTC nanoseconds, `anomalies_ns` those of points that stand out."""

    times_ns: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    anomalies_ns: list[int] = field(default_factory=list)


class History:
    """Keeps ticks; the oldest go first.

    Args:
        max_age_s: Seconds that a tick is kept, > 0.
        max_bytes: Bytes of all of them, >= 1; the newest is kept in any case.
    """

    def __init__(self, max_age_s: float, max_bytes: int) -> None:
        self._max_age_s = max_age_s
        self._max_bytes = max_bytes
        self._ticks: deque[Tick] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._ticks)

    @property
    def latest(self) -> Tick | None:
        return self._ticks[-1] if self._ticks else None

    def put(self, batch: Batch) -> None:
        """Keep a batch."""
        ids = batch.ids
        if self._ticks and ids.tobytes() == self._ticks[-1].ids.tobytes():
            ids = self._ticks[-1].ids
        tick = Tick(batch.time_ns, batch.monotonic_s, ids, batch.values, batch.flags)
        self._ticks.append(tick)
        self.bytes += tick.bytes
        while len(self._ticks) > 1 and self._is_too_much(batch.monotonic_s):
            self.bytes -= self._ticks.popleft().bytes

    def within(self, from_ns: int, to_ns: int) -> list[Tick]:
        """The ticks with from <= time <= to, UTC nanoseconds, oldest first."""
        return [tick for tick in self._ticks if from_ns <= tick.time_ns <= to_ns]

    def _is_too_much(self, now_s: float) -> bool:
        return self.bytes > self._max_bytes or now_s - self._ticks[0].monotonic_s > self._max_age_s


def columns(ticks: Iterable[Tick], wanted: Collection[int]) -> dict[int, Column]:
    """Those ticks, series by series; every id asked for is in the answer. Pure, so that a worker thread may do it."""
    found = {series_id: Column() for series_id in wanted}
    layout: IdArray | None = None
    places: list[tuple[int, Column]] = []
    for tick in ticks:
        if tick.ids is not layout:
            layout = tick.ids
            places = [(at, found[one]) for at, one in enumerate(layout.tolist()) if one in found]
        for at, column in places:
            column.times_ns.append(tick.time_ns)
            column.values.append(float(tick.values[at]))
            if tick.flags is not None and tick.flags[at] & PointFlag.ANOMALOUS:
                column.anomalies_ns.append(tick.time_ns)
    return found
