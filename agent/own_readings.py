"""The agent's own state as readings: ticks, queues, breakers, drops, collectors, threads, cost."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agent.contracts import Reading
from agent.model import Kind
from agent.procfs import ProcFile, resident_bytes
from agent.resilience.breaker import Breaker, CircuitState

if TYPE_CHECKING:
    from agent.anomaly_reports import AnomalyReports
    from agent.collection.running import RunningCollector
    from agent.collection.series_table import SeriesTable
    from agent.collection.threads import WorkerThreads
    from agent.delivery.sender import Sender
    from agent.events import EventBus, ObserverThread
    from agent.foresight import Foresight
    from agent.host_health import HostHealth
    from agent.pipeline import Pipeline, TickStats
    from agent.regulator import Regulator

__all__ = ["OwnReadings", "process_age_s"]

BREAKER_STATE_VALUE = {CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 2, CircuitState.FORCED_OPEN: 2}
"""What `agent_breaker_state` shows; every state that lets all calls through is 0."""


class OwnReadings:
    """Call it for the agent's readings of this moment."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        table: SeriesTable,
        workers: WorkerThreads,
        events: EventBus,
        observers: ObserverThread,
        regulator: Regulator,
        foresight: Foresight | None,
        health: HostHealth,
        anomalies: AnomalyReports | None,
    ) -> None:
        self._pipeline = pipeline
        self._table = table
        self._workers = workers
        self._events = events
        self._observers = observers
        self._regulator = regulator
        self._foresight = foresight
        self._health = health
        self._statm = ProcFile("/proc/self/statm")
        self._anomalies = anomalies

    def __call__(self) -> Iterator[Reading]:
        yield from _ticks(self._pipeline.stats)
        yield from self._process()
        yield from self._counts()
        yield from self._regulator.readings()
        if self._foresight is not None:
            yield from self._foresight.readings()
        yield from self._health.readings()
        if self._anomalies is not None:
            yield from self._anomalies.readings()
        for collector in self._pipeline.collectors:
            yield from _collector(collector)
        for sender in self._pipeline.senders:
            yield from _sender(sender)

    def _counts(self) -> Iterator[Reading]:
        workers = self._workers.stats()
        yield Reading("agent_series_count", len(self._table))
        yield Reading("agent_worker_threads", workers.threads)
        yield Reading("agent_worker_queue_count", workers.queued)
        yield Reading("agent_events_total", self._events.count, kind=Kind.COUNTER)
        yield Reading("agent_observer_dropped_events_total", self._observers.dropped_count, kind=Kind.COUNTER)

    def _process(self) -> Iterator[Reading]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        yield Reading("agent_cpu_ratio", usage.ru_utime + usage.ru_stime, unit="ratio", kind=Kind.RATE)
        yield Reading("agent_rss_bytes", resident_bytes(self._statm), unit="bytes")
        yield Reading("agent_threads", threading.active_count())


def _ticks(stats: TickStats) -> Iterator[Reading]:
    yield Reading("agent_tick_duration_s", stats.last_duration_s, unit="s")
    yield Reading("agent_tick_late_s", stats.last_late_s, unit="s")
    yield Reading("agent_ticks_total", stats.ticks, kind=Kind.COUNTER)
    yield Reading("agent_missed_ticks_total", stats.missed_ticks, kind=Kind.COUNTER)
    yield Reading("agent_points_total", stats.points, kind=Kind.COUNTER)
    yield Reading("agent_anomalous_points_total", stats.anomalous_points, kind=Kind.COUNTER)
    yield Reading("agent_conflicting_points_total", stats.conflicting_points, kind=Kind.COUNTER)


def _collector(collector: RunningCollector) -> Iterator[Reading]:
    labels = {"collector": collector.name}
    stats = collector.stats
    yield Reading("agent_collector_duration_s", stats.last_duration_s, labels, "s")
    yield Reading("agent_collector_failures_total", stats.failures, labels, kind=Kind.COUNTER)
    yield Reading("agent_collector_missed_ticks_total", stats.missed_ticks, labels, kind=Kind.COUNTER)
    yield _breaker(collector.component, collector.breaker)


def _sender(sender: Sender) -> Iterator[Reading]:
    labels = {"sink": sender.name}
    counts = sender.outbox.counts()
    yield Reading("agent_buffer_fill_ratio", sender.buffer.fill_ratio, labels, "ratio")
    yield Reading("agent_buffer_points", counts.buffered, labels)
    yield Reading("agent_in_flight_points", counts.in_flight, labels)
    yield Reading("agent_accepted_points_total", counts.accepted, labels, kind=Kind.COUNTER)
    yield Reading("agent_delivered_points_total", counts.delivered, labels, kind=Kind.COUNTER)
    yield Reading("agent_failed_deliveries_total", sender.stats.failed_deliveries, labels, kind=Kind.COUNTER)
    if (spool := sender.outbox.spool) is not None:
        yield Reading("agent_spooled_points", counts.spooled, labels)
        yield Reading("agent_spool_bytes", spool.bytes, labels, "bytes")
        fill_ratio = spool.bytes / spool.settings.bounds.max_bytes
        yield Reading("agent_spool_fill_ratio", fill_ratio, labels, "ratio")
        yield Reading("agent_spool_damaged_records_total", spool.damaged_records, labels, kind=Kind.COUNTER)
        yield Reading("agent_spool_failures_total", spool.failures, labels, kind=Kind.COUNTER)
    for reason, points in counts.dropped.items():
        yield Reading("agent_dropped_points_total", points, {**labels, "reason": reason}, kind=Kind.COUNTER)
    for (reason, lane), points in counts.dropped_by_lane.items():
        told = {**labels, "reason": reason, "lane": lane}
        yield Reading("agent_lane_dropped_points_total", points, told, kind=Kind.COUNTER)
    yield _breaker(sender.component, sender.breaker)


def _breaker(target: str, breaker: Breaker) -> Reading:
    return Reading("agent_breaker_state", BREAKER_STATE_VALUE.get(breaker.state, 0), {"target": target})


def process_age_s() -> float:
    """Seconds since this process was started, by the kernel's own record (resolution 0.01 s)."""
    started_ticks = int(Path("/proc/self/stat").read_bytes().rsplit(b")", 1)[1].split()[19])
    uptime_s = float(Path("/proc/uptime").read_bytes().split()[0])
    return round(uptime_s - started_ticks / os.sysconf("SC_CLK_TCK"), 2)
