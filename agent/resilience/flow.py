"""How fast items come and go."""

from __future__ import annotations

import math

from agent.clock import Clock

__all__ = ["FlowMeter"]


class FlowMeter:
    """Arrivals and departures a second, exponentially forgotten.

    Args:
        clock: Measures the time between looks.
        memory_s: Time constant of forgetting, seconds, > 0.
    """

    def __init__(self, clock: Clock, memory_s: float = 10.0) -> None:
        self._clock = clock
        self._memory_s = memory_s
        self._seen_s = clock.monotonic_s()
        self._in = 0
        self._out = 0
        self.in_hz = 0.0
        self.out_hz = 0.0

    def update(self, total_in: int, total_out: int) -> None:
        """Look at the running totals."""
        now_s = self._clock.monotonic_s()
        elapsed_s = now_s - self._seen_s
        if elapsed_s <= 0:
            return
        keep = math.exp(-elapsed_s / self._memory_s)
        self.in_hz = keep * self.in_hz + (1 - keep) * (total_in - self._in) / elapsed_s
        self.out_hz = keep * self.out_hz + (1 - keep) * (total_out - self._out) / elapsed_s
        self._seen_s, self._in, self._out = now_s, total_in, total_out

    @property
    def pressure(self) -> float:
        """Share of the arrivals that departures do not keep up with, 0..1; 0 while nothing arrives."""
        return max(0.0, 1.0 - self.out_hz / self.in_hz) if self.in_hz > 0 else 0.0
