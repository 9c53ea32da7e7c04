"""The composition root: clocks, chance, signals, the parts of a configuration, and how they start and end."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from agent.assembly import Assembly, make_analysis, make_columns, make_rng
from agent.breaker_memory import BreakerMemory
from agent.clock import SystemClock
from agent.collection.schedule import Schedule
from agent.collection.series_table import SeriesTable
from agent.collection.threads import WorkerThreads
from agent.errors import ConfigError, LoadError
from agent.events import EventBus, ObserverThread
from agent.host_health import HostHealth
from agent.hosting import Shared
from agent.lean_start import give_back_free_memory
from agent.model import Event, Level
from agent.own_readings import OwnReadings, process_age_s
from agent.pipeline import Pipeline, PipelineSettings
from agent.regulator import Regulator, host_pressures
from agent.reload import reload_pipeline
from agent.systemd import notify, watchdog_s

if TYPE_CHECKING:
    from agent.anomaly_reports import AnomalyReports
    from agent.collection.analysis import Analysis, Seen
    from agent.config.loaded import LoadedConfig
    from agent.foresight import Foresight
    from agent.model import Batch
    from agent.status.port import StatusPort

__all__ = ["Agent", "run_agent"]

MAX_TICKS_WITHOUT_PROGRESS = 3
"""The watchdog is fed only while the last tick is at most so many intervals old."""


class Agent:
    """One agent in one process.

    Args:
        loaded: The configuration to start with.
        read_again: Reads the configuration anew, for SIGHUP; raises ConfigError or LoadError.
        gather_s: See `PipelineSettings`.
    """

    def __init__(
        self, loaded: LoadedConfig, read_again: Callable[[], LoadedConfig], *, gather_s: float | None = None
    ) -> None:
        self.stop = asyncio.Event()
        self._loaded = loaded
        self._read_again = read_again
        self._clock = SystemClock()
        self._log = structlog.get_logger()
        self._events = EventBus(self._clock, self._log)
        self._observers = ObserverThread(loaded.manager.observers(), self._log)
        self._workers = WorkerThreads()
        self._table = SeriesTable()
        self._shared = self._make_shared()
        analysis = make_analysis(loaded, self._shared)
        self._pipeline = Pipeline(
            _settings(loaded, gather_s),
            clock=self._clock,
            table=self._table,
            columns=self._shared.columns,
            analysis=analysis,
            events=self._events,
            on_tick=self._ticked,
            on_batch=self._batched,
        )
        self._regulator = Regulator(self._pipeline, self._clock, self._events, host_pressures(self._clock))
        self._foresight = self._make_foresight(loaded)
        self._health = HostHealth(self._table.definition, self._pipeline, self._foresight, self._events)
        self._anomalies = self._make_anomalies(analysis)
        self._own_readings = OwnReadings(
            self._pipeline,
            table=self._table,
            workers=self._workers,
            events=self._events,
            observers=self._observers,
            regulator=self._regulator,
            foresight=self._foresight,
            health=self._health,
            anomalies=self._anomalies,
        )
        self._status = self._make_status_port(loaded)
        self._assembly = self._assemble(loaded)
        self._last_tick_s = self._clock.monotonic_s()
        self._reload_asked = asyncio.Event()

    async def run(self) -> None:
        """Run until `stop` is set, then drain.

        Raises:
            LoadError: A sink could not be made.
        """
        self._observers.start()
        self._events.subscribe(self._observers.put)
        self._events.subscribe(self._note_first_ack)
        if self._status is not None:
            self._events.subscribe(self._status.note_event)
        sinks = [(instance, self._assembly.sink(instance)) for instance in self._loaded.sinks]

        if not self.stop.is_set():
            self._shared.breakers.load()

        def prepare() -> None:
            for one in self._loaded.collectors:
                self._pipeline.add_collector(self._assembly.collector(one))
            for instance, sink in sinks:
                self._pipeline.add_sender(self._assembly.sender(instance, sink))
            self._say_started()

        async with asyncio.TaskGroup() as group:
            side_tasks = [
                group.create_task(self._feed_watchdog(), name="watchdog"),
                group.create_task(self._reload_for_ever(), name="reload"),
            ]
            if self._status is not None:
                side_tasks.append(group.create_task(self._status.run(), name="status"))
            await self._pipeline.run(prepare, self.stop)
            self._shared.breakers.save()
            for task in side_tasks:
                task.cancel()
        self._say_stopped()

    def request_reload(self) -> None:
        """Read the configuration again soon (SIGHUP)."""
        self._reload_asked.set()

    def request_stop(self) -> None:
        """Drain and end (SIGTERM, SIGINT)."""
        notify("STOPPING=1")
        self.stop.set()

    def _make_shared(self) -> Shared:
        section, rng = self._loaded.config.agent, make_rng()
        return Shared(
            agent=section.name or socket.gethostname(),
            epoch=f"{self._clock.wall_ns():x}-{rng.getrandbits(32):08x}",
            labels=section.labels,
            state_dir=self._loaded.state_dir,
            clock=self._clock,
            rng=rng,
            log=self._log,
            events=self._events,
            workers=self._workers,
            breakers=BreakerMemory(self._loaded.state_dir / "breakers.json", self._log),
            columns=make_columns(self._loaded.config.transformer),
        )

    def _assemble(self, loaded: LoadedConfig) -> Assembly:
        return Assembly(loaded, self._shared, self._table, self._own_readings)

    def _make_status_port(self, loaded: LoadedConfig) -> StatusPort | None:
        section = loaded.config.status
        if not section.listen:
            return None
        from agent.status.api import StatusApi
        from agent.status.history import History
        from agent.status.port import StatusPort

        history = History(section.history_s, section.history_bytes)
        api = StatusApi(self._shared, self._pipeline, self._regulator, self._table, history, anomalies=self._anomalies)
        return StatusPort(section.listen, api, self._clock, self._log)

    def _make_foresight(self, loaded: LoadedConfig) -> Foresight | None:
        section = loaded.config.forecast
        if not section.enabled or not loaded.config.transformer.enabled:
            return None
        from agent.foresight import Foresight

        return Foresight(self._table.definition, self._events, section.horizon_s)

    def _make_anomalies(self, analysis: Analysis | None) -> AnomalyReports | None:
        if analysis is None:
            return None
        from agent.anomaly_reports import AnomalyReports

        return AnomalyReports(self._table.definition, self._events, lambda: analysis.judge)

    def _batched(self, batch: Batch, seen: Seen | None) -> None:
        if self._foresight is not None:
            self._foresight.take(batch)
        self._health.take(batch)
        if self._anomalies is not None and seen is not None:
            self._anomalies.take(batch, seen)
        if self._status is not None:
            self._status.note_batch(batch)

    def _ticked(self) -> None:
        self._last_tick_s = self._clock.monotonic_s()
        self._regulator.step()
        if self._pipeline.stats.ticks == 1:
            notify("READY=1")
            gc.collect()
            gc.freeze()
            give_back_free_memory()

    async def _feed_watchdog(self) -> None:
        period_s = watchdog_s()
        if period_s is None:
            return
        patience_s = period_s + MAX_TICKS_WITHOUT_PROGRESS * self._pipeline.settings.interval_s
        schedule = Schedule(self._clock.monotonic_s(), period_s / 3)
        while True:
            now_s = self._clock.monotonic_s()
            schedule.take(now_s)
            if now_s - self._last_tick_s <= patience_s:
                notify("WATCHDOG=1")
            await asyncio.sleep(schedule.wait_s(now_s))

    async def _reload_for_ever(self) -> None:
        while True:
            await self._reload_asked.wait()
            self._reload_asked.clear()
            notify("RELOADING=1")
            await self._reload()
            notify("READY=1")

    async def _reload(self) -> None:
        try:
            loaded = await self._workers.run(self._read_again)
            assembly = self._assemble(loaded)
            await reload_pipeline(self._pipeline, assembly, self._loaded, loaded, self._events)
        except (ConfigError, LoadError) as error:
            for line in str(error).splitlines():
                self._events.emit("config.refused", "agent", Level.ERROR, problem=line)
            return
        self._loaded, self._assembly = loaded, assembly

    def _note_first_ack(self, event: Event) -> None:
        if event.kind == "sink.acked_first":
            self._log.info("agent.acked_first", component=event.component, since_process_start_s=process_age_s())

    def _say_started(self) -> None:
        loaded = self._loaded
        self._events.emit(
            "agent.started",
            "agent",
            collectors=len(loaded.collectors),
            sinks=len(loaded.sinks),
            epoch=self._shared.epoch,
        )
        if not loaded.sinks:
            self._log.warning("agent.has_no_sink", hint="add [sinks.websocket], [sinks.file] or [sinks.console]")

    def _say_stopped(self) -> None:
        self._workers.stop()
        self._observers.stop()
        stats = self._pipeline.stats
        self._log.info("agent.stopped", ticks=stats.ticks, missed_ticks=stats.missed_ticks, points=stats.points)


def run_agent(loaded: LoadedConfig, read_again: Callable[[], LoadedConfig], *, stop_at_once: bool = False) -> int:
    """Run the agent until SIGTERM or SIGINT; the exit code.

    Args:
        loaded: The configuration to start with.
        read_again: Reads the configuration anew, for SIGHUP.
        stop_at_once: True only delivers what waits already, for at most `agent.drain_s`.

    Raises:
        LoadError: A sink could not be made.
    """
    asyncio.run(_run_agent(loaded, read_again, stop_at_once))
    return 0


async def _run_agent(loaded: LoadedConfig, read_again: Callable[[], LoadedConfig], stop_at_once: bool) -> None:
    agent = Agent(loaded, read_again)
    if stop_at_once:
        agent.stop.set()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.request_stop)
    loop.add_signal_handler(signal.SIGHUP, agent.request_reload)
    await agent.run()


def _settings(loaded: LoadedConfig, gather_s: float | None) -> PipelineSettings:
    section = loaded.config.agent
    asked_s = [one.section.interval_s for one in loaded.collectors if one.section.interval_s > 0]
    settings = PipelineSettings(section.interval_s, section.drain_s, section.series_idle_s)
    return replace(settings, interval_s=min([section.interval_s, *asked_s]), gather_s=gather_s)
