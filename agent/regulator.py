"""Puts the control loop's decisions to work: how much is taken in, how often sinks are tried, how often collectors are asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from agent.collection.schedule import Schedule
from agent.contracts import Reading
from agent.model import Level
from agent.resilience.breaker import CircuitState
from agent.resilience.codel import QueueDelay
from agent.resilience.host_readers import OwnCpu, OwnMemory, StallRatio
from agent.resilience.load_control import Decision, LoadControl
from agent.resilience.pressure import PressureReader

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.events import EventBus
    from agent.pipeline import Pipeline

__all__ = ["Regulator", "host_pressures"]

STEP_S = 1.0
DELAY_TARGET_S = 5.0
DELAY_INTERVAL_S = 30.0
"""A queue stands when for so long nothing in it was younger than the target."""
REFUSED_RATIO = 0.65
OWN_MEMORY_LIMIT_BYTES = 256 * 2**20
"""What the agent allows itself where no control group limits it; five times what it needs."""


class Regulator:
    """Steps the control loop once a second and sets the pipeline by it.

    Args:
        pipeline: What is regulated.
        clock: Time.
        events: Where a change between calm and pressed is reported, with its reason.
        host: What presses beside the queues; see `host_pressures`.
    """

    def __init__(self, pipeline: Pipeline, clock: Clock, events: EventBus, host: Mapping[str, PressureReader]) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._events = events
        self._schedule = Schedule(clock.monotonic_s(), STEP_S)
        self._delay = QueueDelay(clock, DELAY_TARGET_S, DELAY_INTERVAL_S)
        self._control = LoadControl(
            clock,
            queues={
                "buffer": self._fullest_buffer,
                "queue_delay": self._standing_queue,
                "sink_breaker": self._refused_sink,
            },
            host=host,
            on_change=self._report,
        )

    def step(self) -> None:
        """Decide and apply, when a second has passed since the last time; cheap otherwise."""
        now_s = self._clock.monotonic_s()
        if not self._schedule.is_due(now_s):
            return
        self._schedule.take(now_s)
        decision = self._control.step()
        self._pipeline.interval_factor = decision.interval_factor
        for sender in self._pipeline.senders:
            sender.buffer.keep_ratio = decision.sampling_ratio
            sender.retry_ratio = decision.retry_ratio

    @property
    def decision(self) -> Decision:
        """The last decision."""
        return self._control.decision

    def readings(self) -> Iterator[Reading]:
        """The last decision and what it was made from."""
        return self._control.readings()

    def _fullest_buffer(self) -> float:
        return max((sender.buffer.fill_ratio for sender in self._pipeline.senders), default=0.0)

    def _standing_queue(self) -> float:
        """1 while what waits in memory for a sink that does take it never gets younger; a sink that is away is no queue."""
        serving = [one for one in self._pipeline.senders if one.breaker.state is CircuitState.CLOSED]
        return float(self._delay.observe(max((one.buffer.oldest_age_s for one in serving), default=0.0)))

    def _refused_sink(self) -> float:
        """Between the thresholds while a breaker refuses a sink: nothing is cut for that alone, and nothing is loosened."""
        is_refused = any(one.breaker.state is not CircuitState.CLOSED for one in self._pipeline.senders)
        return REFUSED_RATIO if is_refused else 0.0

    def _report(self, decision: Decision) -> None:
        kind, level = ("load.pressed", Level.WARNING) if decision.is_pressed else ("load.relieved", Level.INFO)
        self._events.emit(
            kind,
            "agent",
            level,
            reason=decision.reason,
            pressure=round(decision.pressure, 3),
            sampling_ratio=round(decision.sampling_ratio, 3),
        )


def host_pressures(clock: Clock) -> dict[str, PressureReader]:
    """The agent's own processor time (half a core is the limit) and memory, and stalls of the host for want of memory.

    A busy processor of the host is not among them: that is when its metrics matter most.
    """
    return {
        "own_cpu": OwnCpu(clock),
        "own_memory": OwnMemory(OWN_MEMORY_LIMIT_BYTES),
        "memory_stall": StallRatio("memory"),
    }
