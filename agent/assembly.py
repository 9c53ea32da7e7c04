"""Builds the running parts from a configuration: collectors, senders, recovery, transformer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from agent.collection.running import CollectorSettings, RunningCollector
from agent.collection.series_table import SeriesTable
from agent.collection.source import SeriesSource
from agent.columns import PlainColumns
from agent.contracts import Reading, RecoveryMethod, Sampler, Sink
from agent.delivery.sender import Sender, SenderSettings
from agent.delivery.spool import Spool, SpoolSettings
from agent.delivery.spool_bounds import SpoolBounds
from agent.errors import LoadError
from agent.hosting import CollectorHost, PluginHost, Shared, SinkHost
from agent.model import Level, PointFlag
from agent.numeric.rate import CounterRates
from agent.resilience.breaker import Breaker, BreakerEvent, BreakerSettings, CircuitState, deliver_now
from agent.resilience.buffer import BatchBuffer, BufferSettings
from agent.resilience.recovery import DEFAULT_POLICIES, Policy, RecoveryEngine

if TYPE_CHECKING:
    from agent.collection.analysis import Analysis
    from agent.collection.detection import RunningDetector
    from agent.columns import Columns
    from agent.config.loaded import CollectorInstance, LoadedConfig, SinkInstance
    from agent.config.schema import BreakerSection, BufferSection, PolicySection, SpoolSection, TransformerSection

__all__ = ["Assembly", "breaker_settings", "make_analysis", "make_columns", "make_rng"]

MAX_COLLECT_DEADLINE_S = 5.0
CRITICAL_COLLECTOR = "agent"
"""Its points ride in the critical lane: what the agent knows of itself is never sampled away."""
_LANE = {"critical": PointFlag.CRITICAL, "normal": PointFlag.NONE, "bulk": PointFlag.BULK}

_BREAKER_EVENT = {
    CircuitState.CLOSED: ("breaker.closed", Level.INFO),
    CircuitState.HALF_OPEN: ("breaker.half_opened", Level.INFO),
}
_BREAKER_REFUSES = ("breaker.opened", Level.WARNING)


class Assembly:
    """Makes parts for one configuration; a reload makes another assembly over the same `Shared`.

    Args:
        loaded: The checked configuration.
        shared: What all plugins share.
        table: Ids of the series.
        own_readings: The agent's readings of itself, for its own collector.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        shared: Shared,
        table: SeriesTable,
        own_readings: Callable[[], Iterable[Reading]],
    ) -> None:
        self._loaded = loaded
        self._shared = shared
        self._table = table
        self._own_readings = own_readings
        self.recovery = self._make_recovery()

    def collector(self, instance: CollectorInstance) -> RunningCollector:
        """A collector with its wrapper; the plugin itself is made at its first collect."""
        section, shared = instance.section, self._shared
        interval_s = section.interval_s or self._loaded.config.agent.interval_s
        deadline_s = section.deadline_s or min(interval_s, MAX_COLLECT_DEADLINE_S)
        lane = PointFlag.CRITICAL if instance.plugin == CRITICAL_COLLECTOR else _LANE[section.lane]
        labels = {"instance": instance.name} if instance.name != instance.plugin else {}
        source = SeriesSource(instance.name, section.max_series, labels, lane=lane)
        host = CollectorHost(
            instance.name, shared, interval_s=interval_s, source=source, own_readings=self._own_readings
        )
        return RunningCollector(
            instance.name,
            partial(instance.registration.factory, instance.settings, host),
            CollectorSettings(interval_s, deadline_s),
            source,
            CounterRates(),
            self._breaker(f"collector:{instance.name}", section.breaker, deadline_s),
            self.recovery,
            shared.workers,
            shared.clock,
        )

    def sink(self, instance: SinkInstance) -> Sink:
        """The sink itself, not connected to anything yet.

        Raises:
            LoadError: Its factory raised.
        """
        host = SinkHost(instance.name, self._shared, self._table.definition)
        try:
            made: Sink = instance.registration.factory(instance.settings, host)
        except Exception as error:
            raise LoadError(instance.name, "sink", f"could not be made: {type(error).__name__}: {error}") from error
        return made

    def sender(self, instance: SinkInstance, sink: Sink, predecessor: Sender | None = None) -> Sender:
        """Buffer, breaker and sender round a sink; the predecessor's buffer and group in hand when there is one."""
        section, shared = instance.section, self._shared
        component = f"sink:{instance.name}"
        sender = Sender(
            instance.name,
            sink,
            self._buffer(component, section.buffer, predecessor),
            breaker=self._breaker(component, section.breaker, section.deadline_s),
            recovery=self.recovery,
            settings=SenderSettings(section.deadline_s, section.max_group_count),
            clock=shared.clock,
            rng=shared.rng,
            emit=shared.events.emit,
            spool=None if predecessor is not None else self._spool(component, section.spool),
            epoch=shared.epoch,
        )
        if predecessor is not None:
            predecessor.hand_over(sender)
            if sender.outbox.spool is not None:
                sender.outbox.spool.settings = _spool_settings(section.spool)
        return sender

    def _spool(self, component: str, section: SpoolSection) -> Spool:
        return Spool(
            component,
            self._shared.state_dir / component.replace(":", "-") / "spool",
            _spool_settings(section),
            run=self._shared.epoch,
            table=self._table,
            columns=self._shared.columns,
            workers=self._shared.workers,
            clock=self._shared.clock,
            emit=self._shared.events.emit,
        )

    def _buffer(self, component: str, section: BufferSection, predecessor: Sender | None) -> BatchBuffer:
        settings = BufferSettings(
            max_points=section.max_points,
            max_bytes=section.max_bytes,
            max_age_s=section.max_age_s,
            sample_from_ratio=section.sample_from_ratio,
        )
        is_plain = isinstance(self._shared.columns, PlainColumns)
        sampler = None if is_plain else self._sampler(section.sampler)
        if predecessor is not None:
            predecessor.buffer.configure(settings, sampler)
            return predecessor.buffer
        report = partial(self._shared.events.emit, "sampler.misbehaved", component, Level.ERROR)
        return BatchBuffer(
            component,
            settings,
            sampler,
            clock=self._shared.clock,
            on_sampler_fault=lambda fault: report(sampler=section.sampler, fault=fault),
        )

    def _sampler(self, name: str) -> Sampler:
        made: Sampler = self._loaded.samplers[name].make(PluginHost("sampler", name, self._shared))
        return made

    def _breaker(self, target: str, section: BreakerSection, deadline_s: float) -> Breaker:
        settings = breaker_settings(section, deadline_s)
        breaker = Breaker(target, settings, clock=self._shared.clock, rng=self._shared.rng, deliver=deliver_now)
        breaker.add_listener(self._report_breaker)
        self._shared.breakers.adopt(breaker)
        return breaker

    def _report_breaker(self, event: BreakerEvent) -> None:
        kind, level = _BREAKER_EVENT.get(event.new_state, _BREAKER_REFUSES)
        self._shared.events.emit(
            kind,
            event.breaker,
            level,
            was=event.old_state.name,
            now=event.new_state.name,
            reason=event.reason,
            open_s=event.open_s,
        )

    def _make_recovery(self) -> RecoveryEngine:
        methods: dict[str, RecoveryMethod] = {
            name: choice.make(PluginHost("recovery", name, self._shared))
            for name, choice in self._loaded.recoveries.items()
        }
        return RecoveryEngine(
            [*DEFAULT_POLICIES, *map(_policy, self._loaded.config.policies)],
            methods,
            clock=self._shared.clock,
            rng=self._shared.rng,
            on_event=self._shared.events.emit,
        )


def _spool_settings(section: SpoolSection) -> SpoolSettings:
    bounds = SpoolBounds(section.max_bytes, section.max_age_s)
    return SpoolSettings(
        section.enabled,
        bounds,
        section.fsync == "batch",
        section.commit_s,
        section.drain_ratio,
        section.live_first,
    )


def _policy(section: PolicySection) -> Policy:
    return Policy(section.component, section.error, section.operation, (section.strategy,))


def make_rng() -> random.Random:
    """The one generator of the process, seeded by the system."""
    return random.Random()


def make_columns(section: TransformerSection) -> Columns:
    """How batches are made: for an agent that computes nothing over its series, without numpy."""
    if not section.enabled:
        return PlainColumns()
    from agent.array_columns import ArrayColumns

    return ArrayColumns()


def breaker_settings(section: BreakerSection, deadline_s: float) -> BreakerSettings:
    """The breaker of a collector or sink; a probe may take as long as two calls, `deadline_s` each (> 0)."""
    return BreakerSettings(
        consecutive_failures=section.consecutive_failures or None,
        failure_ratio=section.failure_ratio,
        min_calls=section.min_calls,
        window_calls=section.window_calls,
        slow_call_s=None,
        open_s=section.open_s,
        backoff_factor=section.backoff_factor,
        max_open_s=section.max_open_s,
        jitter_ratio=section.jitter_ratio,
        probes=section.probes,
        probe_lease_s=2 * deadline_s,
        max_half_open_s=0.0,
    )


def make_analysis(loaded: LoadedConfig, shared: Shared) -> Analysis | None:
    """Transformer and detector of a configuration; None when the transformer is switched off.

    Raises:
        LoadError: The detector could not be made.
    """
    section = loaded.config.transformer
    if not section.enabled:
        return None
    from agent.collection.analysis import Analysis
    from agent.numeric.transformer import Transformer

    transformer = Transformer(section.history_count, section.anomaly_threshold)
    return Analysis(transformer, _detector(loaded, shared) if section.detector else None)


def _detector(loaded: LoadedConfig, shared: Shared) -> RunningDetector:
    from agent.collection.detection import RunningDetector

    name = loaded.config.transformer.detector
    made = loaded.detectors[name].make(PluginHost("detector", name, shared))
    report = partial(shared.events.emit, "detector.failed", f"detector:{name}", Level.ERROR)
    return RunningDetector(name, made, lambda error: report(error=error))
