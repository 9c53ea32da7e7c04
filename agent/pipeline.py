"""The core event loop.

    tick -> collectors (one task each) -> Transformer -> buffer -> Sender -> breaker -> Sink -> the other end (ack)
     |        deadline, breaker,          one call       one per     one task   one per
     |        recovery, one call           a tick         sink        a sink     sink
     |        at a time each
     +-> READY after the first tick, watchdog fed by every tick

    events (breaker changes, drops, recoveries) enter the same buffers and travel the same road.

The tick task decides when, the collector tasks do the reading, and the sender tasks do the waiting, so nothing that is slow
or broken can hold up anything but itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.collection.gather import Gather
from agent.collection.running import RunningCollector
from agent.collection.schedule import Schedule
from agent.model import Batch, Event, Level, PointFlag, Series

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.collection.analysis import Analysis, Seen
    from agent.collection.series_table import SeriesTable
    from agent.columns import Columns
    from agent.delivery.sender import Sender
    from agent.events import EventBus

__all__ = ["Pipeline", "PipelineSettings", "TickStats"]

MAX_GATHER_S = 0.25


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How the loop ticks.

    Attributes:
        interval_s: Seconds between ticks, > 0; a collector's own interval is rounded up to whole ticks.
        drain_s: Seconds that sinks are given to deliver what is buffered after the last tick, >= 0.
        series_idle_s: A series without a sample for this long (at most twice as long) is forgotten.
        gather_s: How long a tick waits for its collectors, >= 0; what comes later goes into the next tick's batch. None: a
            quarter of the interval, at most 0.25 s.
    """

    interval_s: float = 1.0
    drain_s: float = 5.0
    series_idle_s: float = 600.0
    gather_s: float | None = None


@dataclass(slots=True)
class TickStats:
    """What the ticks did so far; durations in seconds, counts since the start."""

    ticks: int = 0
    missed_ticks: int = 0
    points: int = 0
    anomalous_points: int = 0
    conflicting_points: int = 0
    last_duration_s: float = 0.0
    last_late_s: float = 0.0


@dataclass(slots=True)
class _Hosted:
    collector: RunningCollector
    schedule: Schedule
    task: asyncio.Task[None]


@dataclass(slots=True)
class _Shipping:
    sender: Sender
    task: asyncio.Task[None]
    unsubscribe: Callable[[], None]


class Pipeline:
    """Ticks, and owns every task of the agent's work.

    Args:
        settings: See `PipelineSettings`.
        clock: Monotonic time for decisions, wall time for labels.
        table: Ids of the series.
        columns: Makes the columns of batches; plain ones suffice without an analysis.
        analysis: One call a tick; None when the transformer is switched off.
        events: Everything that happens is reported there.
        on_tick: Called after every tick (watchdog, readiness).
        on_batch: Called with every batch and what was seen in it (None without an analysis), after the sinks' buffers have it.
        sleep: Waits for seconds; tests pass their own.

    Attributes:
        interval_factor: By how much the intervals of collectors are stretched, >= 1, when the agent costs the host too much. What
            the agent knows of itself keeps its period.
    """

    def __init__(
        self,
        settings: PipelineSettings,
        *,
        clock: Clock,
        table: SeriesTable,
        columns: Columns,
        analysis: Analysis | None,
        events: EventBus,
        on_tick: Callable[[], None] = lambda: None,
        on_batch: Callable[[Batch, Seen | None], None] = lambda _, __: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self.stats = TickStats()
        self.interval_factor = 1.0
        self._clock = clock
        self._table = table
        self._columns = columns
        self._analysis = analysis
        self._events = events
        self._on_tick = on_tick
        self._on_batch = on_batch
        self._sleep = sleep
        self._gather = Gather()
        self._gather_s = min(MAX_GATHER_S, settings.interval_s / 4) if settings.gather_s is None else settings.gather_s
        self._collectors: dict[str, _Hosted] = {}
        self._senders: dict[str, _Shipping] = {}
        self._start_s = clock.monotonic_s()
        self._last_tick = (clock.wall_ns(), self._start_s)
        self._whole_tick = asyncio.Lock()
        self._group: asyncio.TaskGroup | None = None

    @property
    def collectors(self) -> list[RunningCollector]:
        return [hosted.collector for hosted in self._collectors.values()]

    @property
    def senders(self) -> list[Sender]:
        return [shipping.sender for shipping in self._senders.values()]

    async def run(self, prepare: Callable[[], None], stop: asyncio.Event) -> None:
        """Tick until `stop` is set, bring the tick that has begun to its end, drain and end.

        Args:
            prepare: Called once the loop can take collectors and senders, to add them.
            stop: Set it to end.
        """
        async with asyncio.TaskGroup() as self._group:
            prepare()
            ticking = self._group.create_task(self._tick_for_ever(), name="tick")
            await stop.wait()
            async with self._whole_tick:
                ticking.cancel()
            await self._drain()

    def add_collector(self, collector: RunningCollector) -> None:
        """Start a collector; its name must be free."""
        task = self._task_group().create_task(collector.run(self._gather.report), name=collector.component)
        schedule = Schedule(self._start_s, collector.settings.interval_s)
        self._collectors[collector.name] = _Hosted(collector, schedule, task)

    async def remove_collector(self, name: str) -> None:
        """Stop a collector and let it clean up."""
        hosted = self._collectors.pop(name)
        await _cancelled(hosted.task)
        await hosted.collector.close()

    def add_sender(self, sender: Sender) -> None:
        """Start shipping to a sink; its name must be free."""
        task = self._task_group().create_task(sender.run(), name=sender.component)
        self._senders[sender.name] = _Shipping(sender, task, self._events.subscribe(sender.put))

    async def remove_sender(self, name: str) -> Sender:
        """Stop shipping to a sink; what it still holds stays in the sender returned."""
        shipping = self._senders.pop(name)
        shipping.unsubscribe()
        await _cancelled(shipping.task)
        return shipping.sender

    async def pause_sender(self, name: str) -> Sender:
        """Stop delivering to a sink, and go on taking in for it until `replace_sender`: what comes meanwhile is not lost."""
        shipping = self._senders[name]
        await _cancelled(shipping.task)
        return shipping.sender

    def replace_sender(self, successor: Sender) -> None:
        """Let a sender take the place of the paused one of its name."""
        self._senders.pop(successor.name).unsubscribe()
        self.add_sender(successor)

    async def _tick_for_ever(self) -> None:
        schedule = Schedule(self._start_s, self.settings.interval_s)
        forgetting = Schedule(self._start_s + self.settings.series_idle_s, self.settings.series_idle_s)
        while True:
            await self._sleep(schedule.wait_s(self._clock.monotonic_s()))
            now_s = self._clock.monotonic_s()
            self.stats.last_late_s = now_s - schedule.take(now_s)
            self.stats.missed_ticks = schedule.missed_count
            async with self._whole_tick:
                await self._tick(now_s)
            if forgetting.is_due(now_s):
                forgetting.take(now_s)
                self._forget_unseen()

    async def _tick(self, now_s: float) -> None:
        wall_ns = self._clock.wall_ns()
        self._gather.expect(self._request_due(now_s))
        samples = await self._gather.collected(self._gather_s)
        self._ship_samples(self._gather.take_overtaken(), *self._last_tick)
        self._ship_samples(samples, wall_ns, now_s)
        self._last_tick = (wall_ns, now_s)
        self.stats.ticks += 1
        self.stats.last_duration_s = self._clock.monotonic_s() - now_s
        self._on_tick()

    def _request_due(self, now_s: float) -> list[str]:
        """Names of the collectors that were asked; one still busy with an earlier tick misses this one."""
        due = [hosted for hosted in self._collectors.values() if self._is_due(hosted, now_s)]
        return [one.collector.name for one in due if one.collector.request(one.schedule.take(now_s))]

    def _is_due(self, hosted: _Hosted, now_s: float) -> bool:
        schedule = hosted.schedule
        if hosted.collector.source.lane is PointFlag.CRITICAL or self.interval_factor <= 1.0:
            return schedule.is_due(now_s)
        return schedule.is_due(now_s - (self.interval_factor - 1.0) * schedule.interval_s)

    def _ship_samples(self, samples: dict[Series, float], wall_ns: int, now_s: float) -> None:
        if samples:
            batch, seen = self._judged(samples, wall_ns, now_s)
            self._ship(batch)
            self._on_batch(batch, seen)

    def _judged(self, samples: dict[Series, float], wall_ns: int, now_s: float) -> tuple[Batch, Seen | None]:
        known = self._table.ids(samples)
        if len(set(known)) < len(known):
            samples = self._told_once(known, samples)
            known = self._table.ids(samples)
        ids, values = self._columns.ids(known), self._columns.values(samples.values())
        flags = self._columns.flags([series.lane for series in samples])
        seen = self._analysis.look(ids, values) if self._analysis is not None else None
        if seen is not None:
            flags[seen.alert] |= PointFlag.ANOMALOUS.value
            self.stats.anomalous_points += int(seen.alert.sum())
        self.stats.points += len(samples)
        return Batch(wall_ns, now_s, ids, values, flags if flags.any() else None), seen

    def _told_once(self, known: list[int], samples: dict[Series, float]) -> dict[Series, float]:
        """Of two collectors that tell the same series the later one counts: the other end refuses a batch that has it twice."""
        newest = dict(zip(known, samples, strict=True))
        if self.stats.conflicting_points == 0:
            twice = next(
                str(series) for series_id, series in zip(known, samples, strict=True) if newest[series_id] is not series
            )
            self._events.emit(
                "series.conflicting", "agent", Level.WARNING, series=twice, points=len(known) - len(newest)
            )
        self.stats.conflicting_points += len(known) - len(newest)
        return {series: samples[series] for series in newest.values()}

    def _ship(self, record: Batch | Event) -> None:
        for shipping in self._senders.values():
            shipping.sender.put(record)

    def _forget_unseen(self) -> None:
        gone = self._table.forget_unseen()
        handles = [series for known in gone.values() for series in known]
        for hosted in self._collectors.values():
            hosted.collector.forget(handles)
        if self._analysis is not None and gone:
            self._analysis.forget(self._columns.ids(gone))

    async def _drain(self) -> None:
        """Let collectors end, then give the sinks their last seconds, all at once."""
        async with asyncio.TaskGroup() as ending:
            for name in list(self._collectors):
                ending.create_task(self.remove_collector(name))
        self._ship_samples(self._gather.take_overtaken(), *self._last_tick)
        self._ship_samples(self._gather.take(), self._clock.wall_ns(), self._clock.monotonic_s())
        async with asyncio.TaskGroup() as draining:
            for shipping in self._senders.values():
                shipping.unsubscribe()
                draining.create_task(self._drain_sender(shipping))
        self._senders.clear()

    async def _drain_sender(self, shipping: _Shipping) -> None:
        shipping.sender.finish()
        try:
            async with asyncio.timeout(self.settings.drain_s):
                await asyncio.wait([shipping.task])
        except TimeoutError:
            await _cancelled(shipping.task)
        await shipping.sender.close()

    def _task_group(self) -> asyncio.TaskGroup:
        if self._group is None:
            raise RuntimeError("the pipeline is not running")
        return self._group


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
