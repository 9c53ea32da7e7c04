"""An event loop whose time passes only while everybody waits, and then at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from agent.testing.clock import FakeClock

__all__ = ["TimeTravelLoop", "run_with_time_travel"]

T = TypeVar("T")


class _NeverWaits(selectors.DefaultSelector):
    """Lets the clock pass instead of waiting; waits for real only when no timer is set."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self._clock.advance(timeout)
        return ready


class TimeTravelLoop(asyncio.SelectorEventLoop):
    """Event loop on a `FakeClock`: `asyncio.sleep(60)` takes no time and moves the clock by 60 s, exactly.

    For timers only: while a thread or a process is at work the clock would run away.

    Args:
        clock: The clock that it moves.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        super().__init__(_NeverWaits(clock))

    def time(self) -> float:
        return self._clock.monotonic_s()


def run_with_time_travel(coroutine: Coroutine[Any, Any, T], clock: FakeClock) -> T:
    """Run a coroutine on a `TimeTravelLoop`, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=lambda: TimeTravelLoop(clock)) as runner:
        return runner.run(coroutine)
