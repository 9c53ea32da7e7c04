"""Group commit: what all agents sent while the last transaction was being written goes into the next, a fair share of each.

Where several records share a transaction more are on their way, and the next one waits a moment for them: a commit costs a
sync of the disk whatever it holds. A record that comes alone never waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

from agent.clock import Clock
from agent.contracts import Logger
from agent.hub.store import Store, StoreError

__all__ = ["Writer", "WriterStats"]

T = TypeVar("T")

_GROUP_COUNT = 1000
_GROUP_BYTES = 8_388_608
_GROUP_S = 0.1
"""When a fleet reconnects there is much to write, and nobody is answered before the commit."""
_GATHER_S = 0.01


@dataclass(slots=True)
class WriterStats:
    """What the writer did so far."""

    transactions: int = 0
    failed_transactions: int = 0
    jobs: int = 0
    busy_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Job:
    function: Callable[[Store], Any]
    size_bytes: int
    owner: Hashable
    done: asyncio.Future[Any]


class _Queue:
    """Jobs by whom they are of; taken in turns, so that nobody waits behind all that another one sent."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, deque[_Job]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, job: _Job) -> None:
        self._lines.setdefault(job.owner, deque()).append(job)
        self._count += 1

    def put_back(self, jobs: Sequence[_Job]) -> None:
        """Have these, which were taken last, before all others again."""
        others, self._lines = self._lines, {}
        for job in jobs:
            self.put(job)
        for owner, line in others.items():
            self._lines.setdefault(owner, deque()).extend(line)

    def take(self, max_count: int, max_bytes: int) -> list[_Job]:
        """The next jobs, one at least; of each owner in the order in which they were put."""
        taken: list[_Job] = []
        size_bytes = 0
        while self._lines and len(taken) < max_count and (not taken or size_bytes < max_bytes):
            owner, line = next(iter(self._lines.items()))
            del self._lines[owner]
            job = line.popleft()
            if line:
                self._lines[owner] = line
            taken.append(job)
            size_bytes += job.size_bytes
        self._count -= len(taken)
        return taken


class Writer:
    """The store's one writer.

    Args:
        store: Written to on the executor alone.
        executor: One thread.
        max_pending_bytes: `room` waits while more than this is waiting to be written.
    """

    def __init__(
        self, store: Store, executor: Executor, *, clock: Clock, log: Logger, max_pending_bytes: int = 67_108_864
    ) -> None:
        self.stats = WriterStats()
        self.is_healthy = True
        self._store = store
        self._executor = executor
        self._clock = clock
        self._log = log
        self._max_pending_bytes = max_pending_bytes
        self._takes_more = True
        self._pending = _Queue()
        self._alone: deque[_Job] = deque()
        self._pending_bytes = 0
        self._owed_s = 0.0
        self._has_work = asyncio.Event()
        self._has_room = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._has_room.set()
        self._is_idle.set()

    @property
    def pending_count(self) -> int:
        return len(self._pending) + len(self._alone)

    @property
    def pending_bytes(self) -> int:
        return self._pending_bytes

    def submit(self, function: Callable[[Store], T], size_bytes: int = 0, owner: Hashable = None) -> asyncio.Future[T]:
        """Run the function inside one of the next transactions; the future holds its result once that is durable.

        Args:
            owner: Whose it is. Jobs of one owner run in the order in which they were submitted; owners take turns.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._pending.put(_Job(function, size_bytes, owner, done))
        self._pending_bytes += size_bytes
        if self._pending_bytes > self._max_pending_bytes:
            self._has_room.clear()
        self._is_idle.clear()
        self._has_work.set()
        return done

    def submit_alone(self, function: Callable[[Store], T]) -> asyncio.Future[T]:
        """Run the function between two transactions; while there is something to write, such take no longer in all than those."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._alone.append(_Job(function, 0, None, done))
        self._is_idle.clear()
        self._has_work.set()
        return done

    async def room(self) -> None:
        """Wait until more may be submitted."""
        await self._has_room.wait()

    def stop_taking(self) -> None:
        """Let nobody through `room` any more; what is submitted is still written."""
        self._takes_more = False
        self._has_room.clear()

    async def drained(self) -> None:
        """Wait until everything submitted is written or refused."""
        await self._is_idle.wait()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._has_work.wait()
            started_s = self._clock.monotonic_s()
            job_count = await self._write_next()
            written_s = self._clock.monotonic_s()
            self._owed_s = max(0.0, self._owed_s - (written_s - started_s))
            if self._alone and not (self._owed_s and self._pending):
                await self._do_next_alone()
                self._owed_s += self._clock.monotonic_s() - written_s
            self.stats.busy_s += self._clock.monotonic_s() - started_s
            if job_count > 1:
                await asyncio.sleep(_GATHER_S)

    async def _write_next(self) -> int:
        """Write the next transaction, if there is anything to write; how many jobs were meant for it."""
        jobs = self._pending.take(_GROUP_COUNT, _GROUP_BYTES)
        if jobs:
            results = await asyncio.get_running_loop().run_in_executor(self._executor, self._write, jobs)
            self.stats.transactions += 1
            self._note_health(next((result for result in results if isinstance(result, StoreError)), None))
            self._pending.put_back(jobs[len(results) :])
            self._settle(jobs[: len(results)], results)
        return len(jobs)

    async def _do_next_alone(self) -> None:
        job = self._alone.popleft()
        self._settle([job], [await asyncio.get_running_loop().run_in_executor(self._executor, self._do_alone, job)])

    def _do_alone(self, job: _Job) -> Any:
        try:
            return job.function(self._store)
        except Exception as error:  # noqa: BLE001 - it is the job's own, and told through its future
            return error

    def _write(self, jobs: list[_Job]) -> list[Any]:
        """What the jobs came to, or as many of the first as a transaction has time for."""
        results: list[Any] = []
        until_s = self._clock.monotonic_s() + _GROUP_S
        try:
            with self._store.transaction():
                for job in jobs:
                    results.append(job.function(self._store))
                    if self._clock.monotonic_s() > until_s:
                        break
        except StoreError as error:
            return [error] * len(jobs)
        except Exception as error:  # noqa: BLE001 - a job's own fault must cost that job alone
            return [error] if len(jobs) == 1 else [self._write([job])[0] for job in jobs]
        return results

    def _settle(self, jobs: list[_Job], results: list[Any]) -> None:
        self.stats.jobs += len(jobs)
        for job, result in zip(jobs, results, strict=True):
            self._pending_bytes -= job.size_bytes
            if job.done.done():
                continue
            if isinstance(result, Exception):
                job.done.set_exception(result)
            else:
                job.done.set_result(result)
        if self._takes_more and self._pending_bytes <= self._max_pending_bytes:
            self._has_room.set()
        if not self.pending_count:
            self._has_work.clear()
            self._is_idle.set()

    def _note_health(self, error: StoreError | None) -> None:
        if error is not None:
            self.stats.failed_transactions += 1
        if self.is_healthy and error is not None:
            self._log.error("store.failed", error=str(error))
        elif not self.is_healthy and error is None:
            self._log.info("store.recovered")
        self.is_healthy = error is None
