"""Keeps the health of each subsystem and of the host, and says when the host's changes for the better or the worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.contracts import Reading
from agent.model import Level, PointFlag
from agent.numeric.health import HOST, Loss, SubsystemHealth, band_of, graded, health, is_better_band
from agent.resilience.breaker import CircuitState

if TYPE_CHECKING:
    from agent.events import EventBus
    from agent.foresight import Foresight
    from agent.model import Batch, Series
    from agent.pipeline import Pipeline

__all__ = ["SIGNALS", "HostHealth", "Signal", "subsystem_of"]

PERIOD_S = 5.0
SMOOTHING = 0.15
CONFIRMING_LOOKS = 2
TOLD_REASONS = 3
MAX_ROLES_RATIO = 10
"""Series remembered for each one in a tick, before those that are gone are forgotten."""
ANOMALOUS_GOOD, ANOMALOUS_BAD, ANOMALOUS_WEIGHT = 0.05, 0.5, 0.3
LEAST_PREDICTED, PREDICTED_WEIGHT = 0.15, 0.6
BREAKER_WEIGHT = {"sink": 0.4, "collector": 0.25}
DROPPED_WEIGHT = 0.3

SUBSYSTEMS = {
    "cpu": "cpu",
    "load": "cpu",
    "memory": "memory",
    "swap": "memory",
    "disk": "disk",
    "filesystem": "disk",
    "network": "network",
    "process": "processes",
    "processes": "processes",
    "file": "processes",
    "sensor": "sensors",
    "agent": "agent",
}
"""First word of a series' name -> subsystem; others are in none."""
PRESSED = {"cpu": "cpu", "memory": "memory", "io": "disk", "irq": "cpu"}
EXHAUSTED = {"filesystem": "disk", "inodes": "disk", "memory": "memory", "swap": "memory", "cgroup_memory": "memory"}
"""First word of a resource -> subsystem; the others are of `processes`."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A series whose value alone says that something is wrong: no loss up to `good`, `weight` from `bad` on."""

    good: float
    bad: float
    weight: float


SIGNALS: dict[tuple[str, ...], Signal] = {
    ("cpu_used_ratio",): Signal(0.85, 1.0, 0.4),
    ("cpu_steal_ratio",): Signal(0.05, 0.5, 0.5),
    ("cgroup_cpu_throttled_ratio",): Signal(0.1, 0.9, 0.5),
    ("pressure_waiting_10s_ratio", "cpu", "some"): Signal(0.2, 0.8, 0.6),
    ("memory_used_ratio",): Signal(0.9, 1.0, 0.6),
    ("swap_used_ratio",): Signal(0.6, 1.0, 0.4),
    ("cgroup_memory_used_ratio",): Signal(0.9, 1.0, 0.6),
    ("memory_oom_kills_per_s",): Signal(0.0, 0.05, 0.8),
    ("cgroup_memory_oom_kills_per_s",): Signal(0.0, 0.05, 0.8),
    ("pressure_waiting_10s_ratio", "memory", "some"): Signal(0.1, 0.5, 0.6),
    ("pressure_waiting_10s_ratio", "memory", "full"): Signal(0.05, 0.4, 0.8),
    ("pressure_waiting_10s_ratio", "io", "some"): Signal(0.3, 0.9, 0.4),
    ("pressure_waiting_10s_ratio", "io", "full"): Signal(0.2, 0.8, 0.6),
    ("disk_busy_ratio",): Signal(0.9, 1.0, 0.2),
    ("filesystem_used_ratio",): Signal(0.9, 1.0, 0.8),
    ("filesystem_inodes_used_ratio",): Signal(0.9, 1.0, 0.8),
    ("filesystem_read_only",): Signal(0.0, 1.0, 0.15),
    ("filesystem_responding",): Signal(1.0, 0.0, 0.9),
    ("network_receive_errors_per_s",): Signal(0.0, 100.0, 0.5),
    ("network_send_errors_per_s",): Signal(0.0, 100.0, 0.5),
    ("network_tcp_listen_drops_per_s",): Signal(0.0, 20.0, 0.6),
    ("network_tcp_retransmitted_segments_per_s",): Signal(50.0, 1000.0, 0.3),
    ("file_descriptors_used_ratio",): Signal(0.8, 1.0, 0.8),
    ("cgroup_processes_used_ratio",): Signal(0.8, 1.0, 0.8),
    ("agent_buffer_fill_ratio",): Signal(0.5, 1.0, 0.5),
    ("agent_pressure_ratio",): Signal(0.8, 1.2, 0.3),
}
"""Name, and label values where it has any that matter, -> how it is graded. Read-only may be meant, so it costs little."""
_LABELLED = {"pressure_waiting_10s_ratio"}


def subsystem_of(series: Series) -> str:
    """Which subsystem a series tells of; "" for none."""
    words = series.name.split("_", 2)
    if words[0] == "cgroup":
        return SUBSYSTEMS.get(words[1], "") if len(words) > 1 else ""
    if words[0] == "pressure":
        return PRESSED.get(dict(series.labels).get("resource", ""), "")
    return SUBSYSTEMS.get(words[0], "")


@dataclass(frozen=True, slots=True)
class _Role:
    subsystem: str
    text: str
    signal: Signal | None


@dataclass(frozen=True, slots=True)
class _Cast:
    """The roles of one tick's series, in its order; the next tick mostly has the same.

    Attributes:
        ids: Of the series, as bytes.
        subsystems: Of each series.
        signals: Place, role and grading of those whose value alone tells.
        sizes: Series of each subsystem.
    """

    ids: bytes
    subsystems: list[str]
    signals: list[tuple[int, _Role, Signal]]
    sizes: Counter[str]


class HostHealth:
    """Looks at one tick every 5 s.

    Args:
        definition: What a series id stands for.
        pipeline: Its breakers and drops are losses of the subsystem `agent`.
        foresight: Its predictions are losses of what will run out; None when it is switched off.
        events: `health.worsened` and `health.improved` of the host are told there, with the three greatest reasons.
    """

    def __init__(
        self, definition: Callable[[int], Series], pipeline: Pipeline, foresight: Foresight | None, events: EventBus
    ) -> None:
        self._definition = definition
        self._pipeline = pipeline
        self._foresight = foresight
        self._events = events
        self._roles: dict[int, _Role] = {}
        self._cast: _Cast | None = None
        self._anomalous: dict[str, float] = {}
        self._dropped = 0
        self._next_s = 0.0
        self._band = "good"
        self._other_looks = 0
        self.found: dict[str, SubsystemHealth] = {}

    def take(self, batch: Batch) -> None:
        """Judge a tick, when 5 s have passed since the last one; some 0.2 ms for 200 series."""
        if batch.monotonic_s < self._next_s:
            return
        self._next_s = batch.monotonic_s + PERIOD_S
        cast = self._cast_of(batch)
        losses = list(self._graded(cast, batch.values.tolist()))
        losses += self._anomalies(cast, batch)
        losses += self._predicted()
        losses += self._resilience()
        self.found = health(losses, dict.fromkeys(["agent", *cast.sizes]))
        self._tell(self.found[HOST])

    def readings(self) -> Iterator[Reading]:
        """The score of every subsystem and of the host, 0..100."""
        for name, one in self.found.items():
            yield Reading("health_score", one.score, {"subsystem": name})

    def _cast_of(self, batch: Batch) -> _Cast:
        ids = batch.ids.tobytes()
        if self._cast is not None and self._cast.ids == ids:
            return self._cast
        if len(self._roles) > MAX_ROLES_RATIO * len(batch.ids):
            self._roles.clear()
        roles = [self._role(series_id) for series_id in batch.ids.tolist()]
        subsystems = [role.subsystem for role in roles]
        signals = [(place, role, role.signal) for place, role in enumerate(roles) if role.signal is not None]
        self._cast = _Cast(ids, subsystems, signals, Counter(filter(None, subsystems)))
        return self._cast

    def _role(self, series_id: int) -> _Role:
        known = self._roles.get(series_id)
        return known if known is not None else self._learn(series_id)

    def _learn(self, series_id: int) -> _Role:
        series = self._definition(series_id)
        values = [value for _, value in series.labels] if series.name in _LABELLED else []
        role = _Role(subsystem_of(series), str(series), SIGNALS.get((series.name, *values)))
        self._roles[series_id] = role
        return role

    def _graded(self, cast: _Cast, values: list[float]) -> Iterator[Loss]:
        for place, role, signal in cast.signals:
            share = graded(values[place], signal.good, signal.bad, signal.weight)
            if share > 0:
                yield Loss(role.subsystem, f"{role.text} is {values[place]:.3g}", share)

    def _anomalies(self, cast: _Cast, batch: Batch) -> Iterator[Loss]:
        """The share of a subsystem's series that are anomalous, smoothed over some 30 s."""
        marked = () if batch.flags is None else zip(cast.subsystems, batch.flags.tolist(), strict=True)
        flagged = Counter(subsystem for subsystem, flags in marked if flags & PointFlag.ANOMALOUS.value)
        for subsystem, count in cast.sizes.items():
            was = self._anomalous.get(subsystem, 0.0)
            now = self._anomalous[subsystem] = was + SMOOTHING * (flagged[subsystem] / count - was)
            share = graded(now, ANOMALOUS_GOOD, ANOMALOUS_BAD, ANOMALOUS_WEIGHT)
            yield Loss(subsystem, f"{now:.0%} of its series are anomalous", share)

    def _predicted(self) -> Iterator[Loss]:
        """The nearer and the surer the end, the greater the loss."""
        if self._foresight is None:
            return
        for one in self._foresight.predictions():
            nearness = max(1.0 - one.found.eta_s / one.horizon_s, LEAST_PREDICTED)
            subsystem = EXHAUSTED.get(one.resource.partition(":")[0], "processes")
            text = f"{one.resource} runs out in {one.found.eta_s / 60:.0f} min"
            yield Loss(subsystem, text, PREDICTED_WEIGHT * nearness * one.found.confidence)

    def _resilience(self) -> Iterator[Loss]:
        parts = [(one.component, one.breaker.state) for one in self._pipeline.senders]
        parts += [(one.component, one.breaker.state) for one in self._pipeline.collectors]
        for component, state in parts:
            if state in (CircuitState.OPEN, CircuitState.FORCED_OPEN, CircuitState.HALF_OPEN):
                weight = BREAKER_WEIGHT[component.partition(":")[0]]
                yield Loss("agent", f"the breaker of {component} is {state.name}", weight)
        dropped = sum(sender.outbox.counts().dropped_points for sender in self._pipeline.senders)
        fresh, self._dropped = dropped - self._dropped, dropped
        if fresh > 0:
            yield Loss("agent", f"{fresh} points were dropped", DROPPED_WEIGHT)

    def _tell(self, host: SubsystemHealth) -> None:
        """Two looks in a row must agree on another band before it is told."""
        band = band_of(host.score, self._band)
        self._other_looks = self._other_looks + 1 if band != self._band else 0
        if self._other_looks < CONFIRMING_LOOKS:
            return
        was, self._band, self._other_looks = self._band, band, 0
        is_better = is_better_band(band, was)
        self._events.emit(
            "health.improved" if is_better else "health.worsened",
            HOST,
            Level.INFO if is_better else Level.WARNING,
            was=was,
            now=band,
            score=round(host.score, 1),
            **{f"reason_{place}": loss.cause for place, loss in enumerate(host.reasons[:TOLD_REASONS], 1)},
        )
