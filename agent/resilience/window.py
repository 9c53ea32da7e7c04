"""What a breaker remembers of its last calls: so many of them, or those of the last seconds."""

from __future__ import annotations

from math import inf
from typing import Final, Protocol

__all__ = ["FAILED", "PASSED", "SLOW", "CountWindow", "TimeWindow", "Window"]

PASSED: Final = 0
FAILED: Final = 1
SLOW: Final = 2
"""Bits of an outcome: a call may be both failed and slow."""

_LONG_AGO: Final = -(2**62)


class Window(Protocol):
    """Outcomes of the last calls. `calls`, `failures` and `slow` are right for the moment of the last `add` or `expire`."""

    calls: int
    failures: int
    slow: int

    def add(self, now_s: float, outcome: int) -> None:
        """Take in one outcome; the oldest leaves when the window is full."""
        ...

    def expire(self, now_s: float) -> None:
        """Let go of what is too old."""
        ...

    def good_until_s(self) -> float:
        """The moment before which `skip` may stand in for `add`."""
        ...

    def skip(self, passed: int) -> None:
        """Take in so many outcomes since the last `expire`, all PASSED, into a window that holds no other."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...


class CountWindow:
    """The last `size` outcomes, one byte each."""

    __slots__ = ("_next", "_ring", "calls", "failures", "slow")

    calls: int
    failures: int
    slow: int
    _next: int

    def __init__(self, size: int) -> None:
        self._ring = bytearray(size)
        self.clear()

    def add(self, now_s: float, outcome: int) -> None:
        ring, at = self._ring, self._next
        if self.calls == len(ring):
            oldest = ring[at]
            self.failures -= oldest & FAILED
            self.slow -= oldest >> 1
        else:
            self.calls += 1
        ring[at] = outcome
        self.failures += outcome & FAILED
        self.slow += outcome >> 1
        self._next = (at + 1) % len(ring)

    def expire(self, now_s: float) -> None:
        """Nothing grows too old here."""

    def good_until_s(self) -> float:
        return inf

    def skip(self, passed: int) -> None:
        """All bytes are 0 and stay so; where in the ring the next one goes makes no difference."""
        self.calls = min(self.calls + passed, len(self._ring))

    def clear(self) -> None:
        self._ring[:] = bytes(len(self._ring))
        self._next = self.calls = self.failures = self.slow = 0


class TimeWindow:
    """The outcomes of the last `span_s` seconds, counted in steps of a twentieth; nothing older than `span_s` is ever counted."""

    STEPS: Final = 20

    __slots__ = ("_counts", "_step", "_step_s", "calls", "failures", "slow")

    calls: int
    failures: int
    slow: int
    _counts: list[int]
    _step: int

    def __init__(self, span_s: float) -> None:
        self._step_s = span_s / self.STEPS
        self.clear()

    def add(self, now_s: float, outcome: int) -> None:
        self.expire(now_s)
        counts, at = self._counts, 3 * (self._step % self.STEPS)
        counts[at] += 1
        self.calls += 1
        if outcome:
            counts[at + 1] += outcome & FAILED
            counts[at + 2] += outcome >> 1
            self.failures += outcome & FAILED
            self.slow += outcome >> 1

    def expire(self, now_s: float) -> None:
        step = int(now_s // self._step_s)
        if step <= self._step:
            return
        for gone in range(max(self._step + 1, step - self.STEPS + 1), step + 1):
            self._empty(gone % self.STEPS)
        self._step = step

    def good_until_s(self) -> float:
        """The end of the current step."""
        return (self._step + 1) * self._step_s

    def skip(self, passed: int) -> None:
        self._counts[3 * (self._step % self.STEPS)] += passed
        self.calls += passed

    def clear(self) -> None:
        self._counts = [0] * (3 * self.STEPS)
        self._step = _LONG_AGO
        self.calls = self.failures = self.slow = 0

    def _empty(self, place: int) -> None:
        counts, at = self._counts, 3 * place
        self.calls -= counts[at]
        self.failures -= counts[at + 1]
        self.slow -= counts[at + 2]
        counts[at : at + 3] = [0, 0, 0]
