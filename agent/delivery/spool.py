"""The spool of one sink, as the event loop sees it: what is on disk, counted, and every blocking call on a worker thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from agent.clock import Clock
from agent.columns import Columns
from agent.delivery.spool_bounds import LaneCounts, SpoolBounds, keep_within
from agent.delivery.spool_codec import SeriesNumbers, SpoolSeries, encode, encode_series
from agent.delivery.spool_database import SpoolDamaged
from agent.delivery.spool_file import Found, Numbered, Read, SpoolFile
from agent.model import Batch, Level, Record, Scalar, points_by_lane
from agent.protocol.records import definition_message

__all__ = ["Spool", "SpoolSettings", "Spooled"]

T = TypeVar("T")

RETRY_S = 5.0
_FINISH_WITHIN_S = 2.0


class RunsBlocking(Protocol):
    """The worker threads."""

    async def run(self, function: Callable[..., T], /, *args: Any) -> T: ...


class Emits(Protocol):
    """How a spool reports what happened."""

    def __call__(self, kind: str, component: str, level: Level = ..., /, **detail: Scalar) -> None: ...


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """How a spool keeps.

    Attributes:
        is_enabled: False takes nothing more in; what is there is still delivered.
        bounds: See `SpoolBounds`.
        before_sending: True makes every record durable before it is sent; False only what has waited for `commit_s`.
        commit_s: Seconds that a record may wait in memory alone, > 0; what a kill may cost.
        drain_ratio: Points of a backlog sent for each live point at most, > 0; 0 = as fast as the other end takes them.
        is_live_first: True lets live records overtake the backlog; False sends everything in the order of its collection.
    """

    is_enabled: bool = True
    bounds: SpoolBounds = field(default_factory=SpoolBounds)
    before_sending: bool = False
    commit_s: float = 1.0
    drain_ratio: float = 20.0
    is_live_first: bool = True


class Spooled(NamedTuple):
    """A record read back.

    Attributes:
        id: Its id in the file.
        record: It, in ids of this run.
        epoch: Run that numbered it; "" = never numbered.
        seq: Its number there; 0 = none.
    """

    id: int
    record: Record
    epoch: str
    seq: int


class Spool:
    """Records on disk, given oldest first. One call at a time; every failure of the disk is counted and told once.

    Args:
        component: Whose it is: `sink:websocket`.
        folder: Where its file lies.
        settings: See `SpoolSettings`.
        run: Epoch of this run.
        table: Ids of the series.
        columns: Makes the columns of what is read.
        workers: For everything that blocks.
        clock, emit: Time, and how to report.
    """

    def __init__(
        self,
        component: str,
        folder: Path,
        settings: SpoolSettings,
        *,
        run: str,
        table: SeriesNumbers,
        columns: Columns,
        workers: RunsBlocking,
        clock: Clock,
        emit: Emits,
    ) -> None:
        self.settings = settings
        self.is_open = False
        self.points = 0
        self.in_flight = 0
        self.recovered = 0
        self.delivered = 0
        self.dropped: LaneCounts = Counter()
        self.damaged_records = 0
        self.failures = 0
        self._component = component
        self._file = SpoolFile(folder)
        self._series = SpoolSeries(table, columns, run, self._file.series)
        self._run = run
        self._table = table
        self._workers = workers
        self._clock = clock
        self._emit = emit
        self._defined: set[int] = set()
        self._held: set[int] = set()
        self._settled: list[int] = []
        self._read_id = 0
        self._retry_s = 0.0
        self._is_failing = False

    @property
    def records(self) -> int:
        """Records in the file that are neither in flight nor settled."""
        return self._file.totals.records - len(self._held) - len(self._settled)

    @property
    def bytes(self) -> int:
        return self._file.totals.bytes

    @property
    def may_be_tried(self) -> bool:
        """False for a while after a failure of the disk."""
        return self._clock.monotonic_s() >= self._retry_s

    async def open(self, *, may_make: bool = False) -> bool:
        """Open the file; False when there is none yet (`may_make` makes one), or when that is impossible now."""
        if self.is_open or not (self._file.exists or may_make) or not self.may_be_tried:
            return self.is_open
        found = await self._try(self._file.open)
        if found is not None:
            self.is_open = True
            self.points += found.totals.points
            self.recovered += found.totals.points
            self._report(found)
        return self.is_open

    async def append(
        self, records: Sequence[Record], epoch: str = "", first_seq: int = 0, held_count: int = 0
    ) -> list[int] | None:
        """Write records at the end, durably; their ids, or None when the disk refused.

        Args:
            epoch, first_seq: What the first `held_count` of them were sent under; 0 = nothing yet.
            held_count: So many are in flight and stay so; they count as spooled only when they are let go.
        """
        wall_ns, first_id = self._clock.wall_ns(), self._file.last_id + 1
        missing = {
            one for record in records if isinstance(record, Batch) for one in record.ids.tolist()
        } - self._defined
        definitions = [definition_message(one, self._table.definition(one)) for one in sorted(missing)]
        numbers = [(epoch, first_seq + n) for n in range(held_count if first_seq else 0)]

        held = frozenset({*self._held, *self._settled, *range(first_id, first_id + held_count)})

        def write() -> LaneCounts:
            frames = [encode(record, first_id + n, wall_ns, self._run) for n, record in enumerate(records)]
            series = [encode_series(definitions, self._run)] if definitions else []
            self._file.append(frames, numbers, series)
            return keep_within(self._file, self.settings.bounds, wall_ns, self._run, held)

        dropped = await self._try(write)
        if dropped is None:
            return None
        ids = list(range(first_id, first_id + len(records)))
        self._defined |= missing
        self._held.update(ids[:held_count])
        self.points += sum(one.points for one in records[held_count:] if isinstance(one, Batch))
        self.points -= dropped.total()
        self.dropped.update(dropped)
        return ids

    async def read(self, max_count: int, max_bytes: int) -> list[Spooled]:
        """The oldest records that are not in flight; they are from now on. Damaged ones are counted and left behind."""
        while (read := await self._try(self._read, self._read_id, max_count, max_bytes, self.records > 0)) is not None:
            if read.damaged_ids:
                self._count_damage(len(read.damaged_ids), read.damaged_points)
                self._settled += read.damaged_ids
            passed = {*self._held, *self._settled}
            found = [taken for one in read.records if one.frame.id not in passed and (taken := self._taken(one))]
            ids = [*read.damaged_ids, *(one.frame.id for one in read.records)]
            self._read_id = max([self._read_id, *ids])
            if found or not ids:
                return found
        return []

    def _taken(self, one: Numbered) -> Spooled | None:
        """The record, in flight from now on; None when it means nothing any more."""
        record, unknown = self._series.record(one.frame, self._clock.monotonic_s())
        if unknown:
            self._count_damage(int(record is None), unknown)
        if record is None:
            self._settled.append(one.frame.id)
            return None
        points = record.points if isinstance(record, Batch) else 0
        self.points -= points
        self.in_flight += points
        self._held.add(one.frame.id)
        return Spooled(one.frame.id, record, one.epoch, one.seq)

    async def number(self, ids: Sequence[int], epoch: str, first_seq: int) -> bool:
        """Note durably what these records are sent under; what is settled goes in the same breath."""
        settled = list(self._settled)
        done = await self._try(self._file.number, ids, epoch, first_seq, settled)
        if done is not None:
            del self._settled[: len(settled)]
        return done is not None

    def settle(self, ids: Sequence[int], points: int) -> None:
        """Count records in flight as delivered; they leave the file with the next write.

        Args:
            points: Those among them that `read` gave.
        """
        self._leave(ids, points)
        self.delivered += points

    def discard(self, ids: Sequence[int], records: Sequence[Record], reason: str) -> None:
        """Count records in flight as dropped; they leave the file with the next write.

        Args:
            records: Those among them that `read` gave.
        """
        batches = [record for record in records if isinstance(record, Batch)]
        self._leave(ids, sum(batch.points for batch in batches))
        for batch in batches:
            flags = None if batch.flags is None else batch.flags.tobytes()
            lanes = points_by_lane(batch.points, flags)
            self.dropped.update({(reason, lane): points for lane, points in lanes.items()})

    def _leave(self, ids: Sequence[int], points: int) -> None:
        self._held.difference_update(ids)
        self._settled += ids
        self.in_flight -= points

    def let_go(self, ids: Sequence[int], points: int, *, was_read: bool) -> None:
        """Leave records that were in flight in the file, for a later run."""
        self._held.difference_update(ids)
        self.points += points
        if was_read:
            self.in_flight -= points

    async def forget_settled(self) -> None:
        """Delete what is settled."""
        if not self._settled:
            return
        settled = list(self._settled)
        if await self._try(self._file.delete, settled) is None:
            return
        del self._settled[: len(settled)]
        if not self._file.totals.records:
            self._defined.clear()
            self._series.reload()

    async def close(self) -> None:
        """Forget what is settled and let go of the file."""
        if self.is_open:
            await self.forget_settled()
            self.is_open = False
        await self._workers.run(self._file.close)

    def _read(self, after_id: int, max_count: int, max_bytes: int, is_more_expected: bool) -> Read:
        read = self._file.read(after_id, max_count, max_bytes)
        if is_more_expected and not read.records and not read.damaged_ids:
            raise SpoolDamaged("records of the spool are missing")
        self._series.load({one.frame.run for one in read.records} - {self._run})
        return read

    async def _try(self, function: Callable[..., T], /, *args: Any) -> T | None:
        """Call it on a worker thread; None when the disk refused, which is told once."""
        try:
            result = await self._finished(function, *args)
        except sqlite3.DatabaseError as error:
            if _is_damage(error) and self.is_open:
                await self._rebuild(error)
            else:
                self._failed(error)
            return None
        except OSError as error:
            self._failed(error)
            return None
        if self._is_failing:
            self._is_failing = False
            self._emit("spool.recovered", self._component, Level.INFO)
        return result

    async def _finished(self, function: Callable[..., T], /, *args: Any) -> T:
        """The result. A caller that is cancelled meanwhile still gets it, and is cancelled where it next waits."""
        job = asyncio.ensure_future(self._workers.run(function, *args))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            async with asyncio.timeout(_FINISH_WITHIN_S):
                await asyncio.wait([job])
            task = asyncio.current_task()
            if task is None or not job.done():
                raise
            task.uncancel()
            task.cancel()
            return job.result()

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._retry_s = self._clock.monotonic_s() + RETRY_S
        if not self._is_failing:
            self._is_failing = True
            self._emit("spool.failed", self._component, Level.WARNING, error=f"{type(error).__name__}: {error}"[:300])

    async def _rebuild(self, error: Exception) -> None:
        """Save what can be saved; nothing that is in flight or settled is read again."""
        taken = frozenset({*self._held, *self._settled})
        try:
            found = await self._finished(self._file.rebuild, taken)
            present = await self._finished(self._file.present, taken)
        except (OSError, sqlite3.Error) as failure:
            self.is_open = False
            self.recovered -= self.points
            self.points = 0
            self._failed(failure)
            return
        self._held &= present
        self._settled = [number for number in self._settled if number in present]
        self._read_id = 0
        self._defined.clear()
        self._series.reload()
        self._count_lost(max(0, self.points - found.ahead_points))
        self.recovered += found.ahead_points - self.points
        self.points = found.ahead_points
        self._report(found, error=str(error)[:300])

    def _report(self, found: Found, **detail: Scalar) -> None:
        if found.moved_to or found.damaged_records:
            self.damaged_records += found.damaged_records
            self._emit(
                "spool.repaired",
                self._component,
                Level.ERROR,
                kept_records=found.totals.records,
                damaged_records=found.damaged_records,
                moved_to=found.moved_to,
                **detail,
            )

    def _count_damage(self, records: int, points: int) -> None:
        self.damaged_records += records
        self._count_lost(points)
        self._emit("spool.damaged", self._component, Level.ERROR, records=records, points=points)

    def _count_lost(self, points: int) -> None:
        if not points:
            return
        self.points -= points
        self.dropped["damaged", "unknown"] += points


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR"))
