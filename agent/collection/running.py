"""The wrapper round one collector: deadline, breaker, recovery, statistics, one call at a time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.clock import Clock
from agent.collection.plain_call import PlainCall, overdue, unexpected
from agent.collection.recorder import RateSource, TickRecorder
from agent.collection.source import SeriesSource
from agent.collection.threads import Job, WorkersExhausted, WorkerThreads
from agent.contracts import Collector, RecoveryOutcome, RecoveryRequest, RecoveryStep
from agent.errors import BreakerOpen, CollectError
from agent.model import Series
from agent.resilience.breaker import Breaker
from agent.resilience.permit import Permit

__all__ = ["CollectorSettings", "CollectorStats", "RunningCollector"]

Samples = dict[Series, float]


class ReportsSuccess(Protocol):
    """The part of the recovery engine that a running part needs."""

    async def handle(self, request: RecoveryRequest) -> RecoveryOutcome: ...
    def succeeded(self, component: str) -> None: ...


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """How one collector is run. `interval_s` and `deadline_s` in seconds, > 0."""

    interval_s: float
    deadline_s: float


@dataclass(slots=True)
class CollectorStats:
    """What one collector did so far; the last duration is in seconds."""

    collects: int = 0
    failures: int = 0
    missed_ticks: int = 0
    bad_values: int = 0
    rebuilds: int = 0
    last_duration_s: float = 0.0
    last_error: str = ""


@dataclass(slots=True)
class RunningCollector:
    """Runs one collector for the pipeline. A collector that hangs, raises or returns rubbish costs itself only.

    Attributes:
        name: Name of the instance.
        build: Makes the collector; runs on a worker thread, before the first collect and after each reset.
        settings: See `CollectorSettings`.
        source: Its series; holds the series cap.
        rates: Its running totals.
        breaker: Its breaker; a failing collector is asked again by half-open probes only.
        recovery: What is told of its failures and successes.
    """

    name: str
    build: Callable[[], Collector]
    settings: CollectorSettings
    source: SeriesSource
    rates: RateSource
    breaker: Breaker
    recovery: ReportsSuccess
    workers: WorkerThreads
    clock: Clock
    stats: CollectorStats = field(default_factory=CollectorStats)
    _collector: Collector | None = None
    _plain: Callable[[TickRecorder], object] | None = None
    _job: Job[Any] | None = None
    _under_way: tuple[PlainCall, Permit] | None = None
    _due_s: float | None = None
    _is_waiting: bool = False
    _failure: Exception | None = None
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _report: Callable[[str, Samples], None] = lambda *_: None

    @property
    def component(self) -> str:
        return f"collector:{self.name}"

    @property
    def is_stuck(self) -> bool:
        """True while an earlier call, given up long ago, has still not returned."""
        return self._job is not None and self._job.is_running

    def request(self, at_s: float) -> bool:
        """Ask for a collect; False, counted as missed, when the one before is still going on."""
        if self._due_s is not None:
            self.stats.missed_ticks += 1
            return False
        self._due_s = at_s
        if self._plain is None or not self._is_waiting or self._wake.is_set() or self.is_stuck:
            self._wake.set()
        else:
            self._start_plain(self._plain)
        return True

    async def run(self, report: Callable[[str, Samples], None]) -> None:
        """Collect on each request and report name and samples, none of them after a failure, until cancelled.

        A plain `collect` that has worked before needs this task only when it fails; see `PlainCall`.
        """
        self._report = report
        try:
            while True:
                self._is_waiting = True
                await self._wake.wait()
                self._is_waiting = False
                self._wake.clear()
                await self._recover()
                if self._due_s is not None:
                    await self._collect_here()
                    await self._recover()
        finally:
            self._give_up()

    def forget(self, series: Iterable[Series]) -> None:
        """Free what is kept for series that are no longer seen, of this collector or not."""
        for one in series:
            self.source.forget(one)
            self.rates.forget(one)

    async def close(self) -> None:
        """Let the collector clean up, within its deadline; whatever goes wrong here is its own affair."""
        collector, self._collector, self._plain = self._collector, None, None
        close = getattr(collector, "close", None)
        if close is None or self.is_stuck:
            return
        try:
            async with asyncio.timeout(self.settings.deadline_s):
                await self._call(close)
        except Exception as error:  # noqa: BLE001 - see above
            self.stats.last_error = _text(error)

    async def rebuild(self) -> None:
        """Let go of the collector; the next collect makes a new one."""
        self.stats.rebuilds += 1
        await self.close()

    async def _collect_here(self) -> None:
        """Collect on this task, building the collector first where there is none."""
        samples: Samples = {}
        try:
            samples = await self._collect_guarded()
        except BreakerOpen:
            pass
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is its own failure
            self._failure = error
        self._conclude(samples)

    async def _collect_guarded(self) -> Samples:
        permit = self.breaker.acquire()
        started_s = self.clock.monotonic_s()
        try:
            samples = await self._collect(started_s)
        except asyncio.CancelledError:
            permit.cancel()
            raise
        except Exception as error:
            self._note_failure(permit, error)
            raise
        finally:
            self.stats.last_duration_s = self.clock.monotonic_s() - started_s
        self._note_success(permit)
        return samples

    def _start_plain(self, collect: Callable[[TickRecorder], object]) -> None:
        try:
            permit = self.breaker.acquire()
        except BreakerOpen:
            asyncio.get_running_loop().call_soon(self._conclude, {})
            return
        at_s = self.clock.monotonic_s()
        recorder = TickRecorder(self.name, at_s, self.rates, self.source.max_series)
        call = PlainCall(self.name, recorder, self.settings.deadline_s, self._plain_done)
        self._under_way = (call, permit)
        try:
            self._job = call.start(self.workers, collect)
        except WorkersExhausted as error:
            asyncio.get_running_loop().call_soon(self._plain_done, call, error)

    def _plain_done(self, call: PlainCall, error: Exception | None) -> None:
        if self._under_way is None or self._under_way[0] is not call:
            return
        permit, self._under_way = self._under_way[1], None
        self.stats.last_duration_s = self.clock.monotonic_s() - call.recorder.at_s
        self.stats.bad_values += call.recorder.bad_values
        if error is None:
            self._note_success(permit)
            self._conclude(call.recorder.samples)
            return
        self._note_failure(permit, error)
        self._failure = error
        self._conclude({})
        self._wake.set()

    def _give_up(self) -> None:
        """This task ends: whatever a call under way still brings is not wanted, and it is no failure."""
        self._is_waiting = False
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            call, permit = under_way
            call.give_up()
            permit.cancel()

    def _conclude(self, samples: Samples) -> None:
        self._due_s = None
        self._report(self.name, samples)

    def _note_success(self, permit: Permit) -> None:
        self.stats.collects += 1
        permit.succeed()
        self.recovery.succeeded(self.component)

    def _note_failure(self, permit: Permit, error: Exception) -> None:
        self.stats.failures += 1
        self.stats.last_error = _text(error)
        permit.fail(error)

    async def _collect(self, at_s: float) -> Samples:
        if self.is_stuck:
            raise CollectError(f"collector {self.name!r} is still stuck in an earlier call")
        recorder = TickRecorder(self.name, at_s, self.rates, self.source.max_series)
        deadline = asyncio.timeout(self.settings.deadline_s)
        try:
            async with deadline:
                returned = await self._collect_with(recorder)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise overdue(self.name, self.settings.deadline_s) from error
        finally:
            self.stats.bad_values += recorder.bad_values
        if returned is not None:
            raise unexpected(self.name, returned)
        return recorder.samples

    async def _collect_with(self, recorder: TickRecorder) -> object:
        """A coroutine function promises not to block and runs here; anything else, building included, on a worker thread."""
        if self._collector is None:
            building = self._job = self.workers.submit(self.build)
            self._collector = await building.done
        collect = self._collector.collect
        if inspect.iscoroutinefunction(collect):
            return await collect(recorder)
        job = self._job = self.workers.submit(collect, recorder)
        returned = await job.done
        if inspect.isawaitable(returned):
            return await returned
        self._plain = collect
        return returned

    async def _call(self, function: Callable[..., object], *args: object) -> object:
        job = self._job = self.workers.submit(function, *args)
        returned = await job.done
        return await returned if inspect.isawaitable(returned) else returned

    async def _recover(self) -> None:
        """Tell the recovery engine of the last failure, if there was one since."""
        failure, self._failure = self._failure, None
        if failure is None:
            return
        request = RecoveryRequest(
            component=self.component,
            operation="collect",
            error=failure,
            occurrences=1,
            reset=self.rebuild,
            trip=lambda: self.breaker.trip("recovery"),
        )
        outcome = await self.recovery.handle(request)
        if outcome.step is RecoveryStep.GIVE_UP:
            self.breaker.force_open()


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]
