"""`Records` of one series in plain Python."""

from __future__ import annotations

from agent.numeric.records import LEAST_RANGE, LEAST_RANGE_RATIO, MEMORY_COUNT, START_COUNT

__all__ = ["SingleRecords"]


class SingleRecords:
    """The same rule as `Records`, with the same results to the last bit.

    Args:
        smoothing_counts, two_sided_count: See there.
    """

    __slots__ = ("_settled_age", "_two_sided_count", "_weights", "high", "low", "smooth")

    def __init__(self, smoothing_counts: tuple[int, ...], two_sided_count: int) -> None:
        self._weights = tuple(2.0 / (count + 1.0) for count in smoothing_counts)
        self._settled_age = max(smoothing_counts)
        self._two_sided_count = two_sided_count
        self.smooth, self.high, self.low = ([0.0] * len(smoothing_counts) for _ in range(3))

    def excess(self, views: tuple[float, ...], age: int) -> float:
        """Largest excess of any view over its range, in units of that range; 0 inside. Learns the values.

        Args:
            views: Newest value of each view, finite, within +-1e150.
            age: Values there were before; 0 starts afresh.
        """
        smooth, high, low, found = self.smooth, self.high, self.low, 0.0
        weights = self._weights if age >= self._settled_age else [max(one, 1.0 / (age + 1.0)) for one in self._weights]
        for place, value in enumerate(views):
            now = smooth[place]
            now += weights[place] * (value - now)
            smooth[place] = now
            if age <= START_COUNT:
                high[place] = low[place] = now
                continue
            over, under = now - high[place], low[place] - now
            if over > 0.0 or under > 0.0:
                found = max(found, self._excess_at(place, over, under))
            high[place] = now if over >= 0.0 else high[place] + over / MEMORY_COUNT
            low[place] = now if under >= 0.0 else low[place] - under / MEMORY_COUNT
        return found

    def _excess_at(self, place: int, over: float, under: float) -> float:
        outside = max(over, under) if place < self._two_sided_count else over
        least = abs(self.smooth[place]) * LEAST_RANGE_RATIO + LEAST_RANGE
        return outside / max(self.high[place] - self.low[place], least)
