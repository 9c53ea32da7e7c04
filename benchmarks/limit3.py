"""The least that a useful breaker can cost: what one would write by hand for one service, and nothing more.

A ring of the last 100 outcomes, two counters (failures, slow calls), two clock reads a call, and a generation that keeps late
results out. No listeners, no predicates, no lock, no probe limit, no cancellation, nothing in flight is watched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any


class Limit3:
    """Failure ratio and slow-call ratio over the last 100 calls."""

    __slots__ = ("count", "failures", "generation", "is_open", "opened_s", "position", "ring", "slow")

    def __init__(self) -> None:
        self.ring = bytearray(100)
        self.position = self.count = self.failures = self.slow = self.generation = 0
        self.is_open = False
        self.opened_s = 0.0

    async def execute(self, function: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        if self.is_open:
            self.admit()
        generation = self.generation
        started_s = monotonic()
        try:
            result = await function(*args, **kwargs)
        except Exception:
            self.record(generation, 1, started_s)
            raise
        self.record(generation, 0, started_s)
        return result

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.is_open:
            self.admit()
        generation = self.generation
        started_s = monotonic()
        try:
            result = function(*args, **kwargs)
        except Exception:
            self.record(generation, 1, started_s)
            raise
        self.record(generation, 0, started_s)
        return result

    def admit(self) -> None:
        if monotonic() - self.opened_s < 5.0:
            raise ConnectionError("open")
        self.is_open = False

    def record(self, generation: int, outcome: int, started_s: float) -> None:
        if generation != self.generation:
            return
        if monotonic() - started_s >= 10.0:
            outcome |= 2
        position = self.position
        before = self.ring[position]
        if before != outcome:
            self.failures += (outcome & 1) - (before & 1)
            self.slow += (outcome >> 1) - (before >> 1)
            self.ring[position] = outcome
        self.position = position + 1 if position < 99 else 0
        if self.count < 100:
            self.count += 1
        if self.count >= 10 and (self.failures >= 0.5 * self.count or self.slow >= 0.8 * self.count):
            self.is_open = True
            self.opened_s = monotonic()
            self.generation += 1
            self.count = self.failures = self.slow = 0
            self.ring = bytearray(100)
