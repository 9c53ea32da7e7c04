"""The one control loop: from all pressures to how much is sampled, retried and collected."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from agent.clock import Clock
from agent.contracts import Reading
from agent.resilience.control import AdaptiveRate, Hysteresis
from agent.resilience.pressure import GuardedReader, PressureReader, Pressures

__all__ = ["Decision", "LoadControl"]

MIN_DWELL_S = 10.0
INTERVAL_FLOOR_RATIO = 0.1


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done from now on, and why.

    Attributes:
        pressure: The worst figure, >= 0; 1 is the limit.
        reason: Its name; "" when nothing is known.
        is_pressed: On from 0.8, off at 0.5; changes at most once in ten seconds.
        sampling_ratio: Share of the ordinary points to take in, 0.06..1; critical and anomalous ones are always taken in.
        retry_ratio: Share of the retry budget to use, 0.1..1.
        interval_factor: By how much collection intervals are stretched, 1..10; set by what presses the host, not the queues.
        pressures: Every figure by name; None when it is not known.
    """

    pressure: float = 0.0
    reason: str = ""
    is_pressed: bool = False
    sampling_ratio: float = 1.0
    retry_ratio: float = 1.0
    interval_factor: float = 1.0
    pressures: Mapping[str, float | None] = field(default_factory=dict)


class LoadControl:
    """Decides once a second: fast down (at most halved a step), slow up (5 % a second), held in between. Sans-I/O.

    Args:
        clock: Measures the steps.
        queues: Figures of the agent's own queues by name: fill, delay.
        host: Figures of the host by name: CPU, memory, stalls.
        on_change: Called when `is_pressed` changes, with the decision.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        queues: Mapping[str, PressureReader],
        host: Mapping[str, PressureReader],
        on_change: Callable[[Decision], None] | None = None,
    ) -> None:
        self._clock = clock
        self._queues = {name: GuardedReader(read, clock) for name, read in queues.items()}
        self._host = {name: GuardedReader(read, clock) for name, read in host.items()}
        self._on_change = on_change
        self._switch = Hysteresis()
        self._changed_s = -math.inf
        self._sampling = AdaptiveRate(clock)
        self._retry = AdaptiveRate(clock, floor_ratio=INTERVAL_FLOOR_RATIO)
        self._interval = AdaptiveRate(clock, floor_ratio=INTERVAL_FLOOR_RATIO)
        self.decision = Decision()

    def step(self) -> Decision:
        """Read every figure and decide; call it about once a second."""
        host = {name: read() for name, read in self._host.items()}
        queues = {name: read() for name, read in self._queues.items()}
        every = Pressures({**queues, **host})
        reason, pressure = every.worst
        was_pressed = self.decision.is_pressed
        self.decision = Decision(
            pressure,
            reason,
            self._is_pressed(pressure),
            self._sampling.update(pressure),
            self._retry.update(pressure),
            1.0 / self._interval.update(Pressures(host).worst[1]),
            every.by_name,
        )
        if self.decision.is_pressed != was_pressed and self._on_change is not None:
            self._on_change(self.decision)
        return self.decision

    def readings(self) -> Iterator[Reading]:
        """The last decision and its figures, as the agent's own metrics."""
        decision = self.decision
        yield Reading("agent_pressure_ratio", decision.pressure, unit="ratio")
        yield Reading("agent_sampling_ratio", decision.sampling_ratio, unit="ratio")
        yield Reading("agent_retry_ratio", decision.retry_ratio, unit="ratio")
        yield Reading("agent_interval_factor", decision.interval_factor)
        for name, value in decision.pressures.items():
            if value is not None:
                yield Reading("agent_pressure_input_ratio", value, {"input": name}, "ratio")

    def _is_pressed(self, pressure: float) -> bool:
        was_on, now_s = self._switch.is_on, self._clock.monotonic_s()
        if now_s - self._changed_s < MIN_DWELL_S:
            return was_on
        if self._switch.update(pressure) != was_on:
            self._changed_s = now_s
        return self._switch.is_on
