"""The wrapper round one collector: deadline, breaker, recovery, statistics, one call at a time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.clock import Clock
from agent.collection.recorder import RateSource, TickRecorder
from agent.collection.source import SeriesSource
from agent.collection.threads import Job, WorkerThreads
from agent.contracts import Collector, RecoveryOutcome, RecoveryRequest, RecoveryStep
from agent.errors import BreakerOpen, CollectError, ContractError
from agent.model import Series
from agent.resilience.breaker import Breaker

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
    _job: Job[Any] | None = None
    _due_s: float | None = None
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

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
        self._wake.set()
        return True

    async def run(self, report: Callable[[str, Samples], None]) -> None:
        """Collect on each request and report name and samples, none of them after a failure, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            failure: Exception | None = None
            samples: Samples = {}
            try:
                samples = await self._collect_guarded()
            except BreakerOpen:
                pass
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises is its own failure
                failure = error
            self._due_s = None
            report(self.name, samples)
            if failure is not None:
                await self._recover(failure)

    def forget(self, series: Iterable[Series]) -> None:
        """Free what is kept for series that are no longer seen, of this collector or not."""
        for one in series:
            self.source.forget(one)
            self.rates.forget(one)

    async def close(self) -> None:
        """Let the collector clean up, within its deadline; whatever goes wrong here is its own affair."""
        collector, self._collector = self._collector, None
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

    async def _collect_guarded(self) -> Samples:
        permit = self.breaker.acquire()
        started_s = self.clock.monotonic_s()
        try:
            samples = await self._collect(started_s)
        except asyncio.CancelledError:
            permit.cancel()
            raise
        except Exception as error:
            self.stats.failures += 1
            self.stats.last_error = _text(error)
            permit.fail(error)
            raise
        finally:
            self.stats.last_duration_s = self.clock.monotonic_s() - started_s
        self.stats.collects += 1
        permit.succeed()
        self.recovery.succeeded(self.component)
        return samples

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
            raise CollectError(f"collector {self.name!r} gave no answer in {self.settings.deadline_s:g} s") from error
        finally:
            self.stats.bad_values += recorder.bad_values
        if returned is not None:
            raise ContractError(self.name, "collector", f"collect() returns None (got {returned!r:.80})")
        return recorder.samples

    async def _collect_with(self, recorder: TickRecorder) -> object:
        """A coroutine function promises not to block and runs here; anything else, building included, on a worker thread."""
        if self._collector is None:
            building = self._job = self.workers.submit(self.build)
            self._collector = await building.done
        collect = self._collector.collect
        if inspect.iscoroutinefunction(collect):
            return await collect(recorder)
        return await self._call(collect, recorder)

    async def _call(self, function: Callable[..., object], *args: object) -> object:
        self._job = self.workers.submit(function, *args)
        returned = await self._job.done
        return await returned if inspect.isawaitable(returned) else returned

    async def _recover(self, failure: Exception) -> None:
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
