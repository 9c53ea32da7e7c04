"""Tells a standing queue from a burst."""

from __future__ import annotations

from agent.clock import Clock

__all__ = ["QueueDelay"]


class QueueDelay:
    """Watches how long items waited. A queue stands when even the shortest wait of a whole interval was long.

    Source:
        K. Nichols and V. Jacobson, Controlling queue delay, ACM Queue 10(5), 2012: judge by the minimum over an interval, for a
        burst that drains within it is what queues are for.

    Args:
        clock: Measures the interval.
        target_s: A wait below this, seconds, > 0, shows that the queue drains.
        interval_s: For so many seconds, > 0, every wait must have been longer for the queue to count as standing.
    """

    def __init__(self, clock: Clock, target_s: float = 0.005, interval_s: float = 0.1) -> None:
        if not (target_s > 0 and interval_s > 0):
            raise ValueError(f"target_s and interval_s must be > 0 (got {target_s} and {interval_s})")
        self._clock = clock
        self._target_s = target_s
        self._interval_s = interval_s
        self._long_since_s: float | None = None
        self.is_standing = False

    def observe(self, delay_s: float) -> bool:
        """Note how long the item that just left had waited (0 when the queue is empty).

        Returns:
            Whether the queue stands, so that something had better be shed.
        """
        now_s = self._clock.monotonic_s()
        if delay_s < self._target_s:
            self._long_since_s, self.is_standing = None, False
        elif self._long_since_s is None:
            self._long_since_s = now_s
        elif now_s - self._long_since_s >= self._interval_s:
            self.is_standing = True
        return self.is_standing
