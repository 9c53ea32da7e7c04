"""The only module that reads the machine's clocks."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

__all__ = ["Clock", "SystemClock"]


@runtime_checkable
class Clock(Protocol):
    """Where time comes from. Decisions use `monotonic_s`; `wall_ns` is a label."""

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start; never affected by setting the wall clock."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        ...


class SystemClock:
    """The machine's own clocks. `monotonic_s` is the C function itself, so reading it costs no Python frame."""

    monotonic_s = staticmethod(time.monotonic)
    wall_ns = staticmethod(time.time_ns)
