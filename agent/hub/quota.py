"""What one agent may use of the hub, whatever the number of its connections: different series, and points a second. Sans-I/O."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

from agent.clock import Clock

__all__ = ["AgentQuota", "PointAllowance", "SeriesQuota"]

_WINDOW_S = 86_400.0


class SeriesQuota:
    """Different series within a day.

    A day and not for ever, so that hosts whose series come and go are not shut out in the end.

    Args:
        limit: Series within a day, >= 1.
        clock: Monotonic time.
    """

    def __init__(self, limit: int, clock: Clock) -> None:
        self.limit = limit
        self._clock = clock
        self._known: set[str] = set()
        self._began_s = clock.monotonic_s()

    def admit(self, texts: Iterable[str]) -> list[str] | None:
        """The same names, each once in memory for all agents; None when they would be too many, and then none is counted."""
        if self._clock.monotonic_s() - self._began_s >= _WINDOW_S:
            self._known = set()
            self._began_s = self._clock.monotonic_s()
        wanted = [sys.intern(text) for text in texts]
        fresh = set(wanted) - self._known
        if len(self._known) + len(fresh) > self.limit:
            return None
        self._known |= fresh
        return wanted


class PointAllowance:
    """A bucket of points that time fills; who empties it waits, and nothing is refused.

    Args:
        points_hz: Points a second, > 0; 0 = as many as come.
        clock: Monotonic time.
    """

    def __init__(self, points_hz: float, clock: Clock) -> None:
        self._points_hz = points_hz
        self._clock = clock
        self._points = self._burst
        self._filled_s = clock.monotonic_s()

    @property
    def _burst(self) -> float:
        """A second's worth, saved up at most."""
        return self._points_hz

    def spend(self, points: int) -> float:
        """Take so many out; seconds to wait, >= 0, before the next are taken."""
        if not self._points_hz:
            return 0.0
        now_s = self._clock.monotonic_s()
        self._points = min(self._burst, self._points + (now_s - self._filled_s) * self._points_hz) - points
        self._filled_s = now_s
        return max(0.0, -self._points / self._points_hz)


@dataclass(frozen=True, slots=True)
class AgentQuota:
    """What one agent may use."""

    series: SeriesQuota
    points: PointAllowance
