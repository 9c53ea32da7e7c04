"""A breaker with the settings that the scenarios call "C", a clock that moves when told, and every event it tells."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from agent.errors import BreakerOpen
from agent.resilience.breaker import Breaker, BreakerEvent, BreakerSettings, CircuitState, Permit, deliver_now
from agent.testing.clock import FakeClock

C = BreakerSettings(
    failure_ratio=0.5,
    window_calls=10,
    min_calls=4,
    slow_call_s=None,
    open_s=10.0,
    backoff_factor=2.0,
    max_open_s=60.0,
    jitter_ratio=0.0,
    probes=2,
    concurrent_probes=1,
    probe_lease_s=5.0,
    max_half_open_s=30.0,
)


class Rig:
    """A breaker under test, with short words for what is done to it again and again."""

    def __init__(self, clock: FakeClock, *, seed: int = 7, name: str = "target", **settings: Any) -> None:
        self.clock = clock
        self.start_s = clock.monotonic_s()
        self.settings = replace(C, **settings)
        self.breaker = Breaker(name, self.settings, clock=clock, rng=random.Random(seed), deliver=deliver_now)
        self.events: list[BreakerEvent] = []
        self.breaker.add_listener(self.events.append)

    @property
    def state(self) -> CircuitState:
        return self.breaker.state

    @property
    def steps(self) -> list[tuple[str, str]]:
        return [(event.old_state.name, event.new_state.name) for event in self.events]

    @property
    def waits(self) -> list[float]:
        return [event.open_s for event in self.events if event.new_state is CircuitState.OPEN]

    def at(self, seconds: float) -> None:
        """Let it be so many seconds after the start."""
        self.clock.advance(self.start_s + seconds - self.clock.monotonic_s())

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.acquire().fail(OSError("down"))

    def succeed(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.acquire().succeed()

    def trip(self) -> None:
        self.fail(self.settings.min_calls)
        assert self.state is CircuitState.OPEN

    def wait(self) -> None:
        """Let the wait pass."""
        self.clock.advance(self.breaker.retry_in_s)

    def probe(self) -> Permit:
        """Trip it, let the wait pass, and start the first probe."""
        self.trip()
        self.wait()
        return self.breaker.acquire()

    def is_refusing(self) -> bool:
        try:
            self.breaker.acquire().cancel()
        except BreakerOpen:
            return True
        return False


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def rig(clock: FakeClock) -> Any:
    """`rig(**settings)` makes a breaker with settings C and these changes."""

    def make(**settings: Any) -> Rig:
        return Rig(clock, **settings)

    return make
