"""A clock that moves only when told."""

from __future__ import annotations

__all__ = ["FakeClock"]


class FakeClock:
    """`Clock` for tests.

    Args:
        monotonic_s: Where the monotonic clock starts, seconds.
        wall_ns: Where the wall clock starts, UTC nanoseconds.
    """

    def __init__(self, monotonic_s: float = 1000.0, wall_ns: int = 1_700_000_000_000_000_000) -> None:
        self._monotonic_s = monotonic_s
        self._wall_ns = wall_ns

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def wall_ns(self) -> int:
        return self._wall_ns

    def advance(self, seconds: float) -> None:
        """Let this many seconds pass on both clocks; a negative number steps the monotonic clock back, as a faulty one may."""
        self._monotonic_s += seconds
        self._wall_ns += round(seconds * 1e9)

    def set_wall_ns(self, wall_ns: int) -> None:
        """Set the wall clock alone, as an operator or NTP does."""
        self._wall_ns = wall_ns
