"""When ticks are due: on a fixed grid of the monotonic clock, without drift and without piling up."""

from __future__ import annotations

from math import floor

__all__ = ["Schedule"]

_EARLY_RATIO = 1e-6
"""A timer may fire a hair early; within this share of the interval the tick still counts as due."""


class Schedule:
    """A grid of moments `interval_s` apart.

    Args:
        start_s: The first moment, monotonic seconds.
        interval_s: Seconds between moments, > 0.
    """

    def __init__(self, start_s: float, interval_s: float) -> None:
        self.interval_s = interval_s
        self._start_s = start_s
        self._index = 0
        self.missed_count = 0

    @property
    def next_s(self) -> float:
        """The next moment, monotonic seconds."""
        return self._start_s + self._index * self.interval_s

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next moment, >= 0."""
        return max(0.0, self.next_s - now_s)

    def is_due(self, now_s: float) -> bool:
        return now_s >= self.next_s - self.interval_s * _EARLY_RATIO

    def take(self, now_s: float) -> float:
        """The moment that is due now; later ones already past are skipped and counted as missed.

        A suspended machine or a busy loop thus costs ticks, never a burst of catch-up ticks. A clock that stepped back by
        more than an interval moves the grid back with it.
        """
        if now_s < self.next_s - self.interval_s:
            self._start_s, self._index = now_s, 0
        current = max(self._index, floor((now_s - self._start_s) / self.interval_s + _EARLY_RATIO))
        self.missed_count += current - self._index
        self._index = current + 1
        return self._start_s + current * self.interval_s
