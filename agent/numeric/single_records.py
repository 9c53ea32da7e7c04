"""`Records` of one series in plain Python."""

from __future__ import annotations

from agent.numeric.records import FADE, LEAST_RANGE, LEAST_RANGE_RATIO, Departure

__all__ = ["SingleRecords"]


class SingleRecords:
    """The same rule as `Records`, with the same results to the last bit.

    Args:
        smoothing_counts, two_sided_count, least_excess: See there.
    """

    __slots__ = ("_least_excess", "_settled_age", "_two_sided_count", "_weights", "high", "low", "smooth")

    def __init__(self, smoothing_counts: tuple[int, ...], two_sided_count: int, least_excess: float) -> None:
        self._least_excess = least_excess
        self._weights = tuple(2.0 / (count + 1.0) for count in smoothing_counts)
        self._settled_age = max(smoothing_counts)
        self._two_sided_count = two_sided_count
        self.smooth, self.high, self.low = ([0.0] * len(smoothing_counts) for _ in range(3))

    def departures(self, views: tuple[float, ...], age: int) -> list[Departure]:
        """Every view that is far enough outside its range. Learns the values.

        Args:
            views: Newest value of each view, finite, within +-1e150.
            age: Values there were before; 0 starts afresh.
        """
        smooth, high, low, settled_age = self.smooth, self.high, self.low, self._settled_age
        weights = self._weights if age >= settled_age else [max(one, 1.0 / (age + 1.0)) for one in self._weights]
        found: list[Departure] = []
        for place, value in enumerate(views):
            now = smooth[place]
            now += weights[place] * (value - now)
            smooth[place] = now
            if age <= settled_age:
                high[place] = low[place] = now
                continue
            over, under = now - high[place], low[place] - now
            if over > 0.0 or under > 0.0:
                outside = max(over, under) if place < self._two_sided_count else over
                if outside > self._least_excess * (high[place] - low[place]):
                    found.append(self._departure(place, outside))
            high[place] = now if over >= 0.0 else high[place] + over * FADE
            low[place] = now if under >= 0.0 else low[place] - under * FADE
        return found

    def _departure(self, place: int, outside: float) -> Departure:
        value, low, high = self.smooth[place], self.low[place], self.high[place]
        least = abs(value) * LEAST_RANGE_RATIO + LEAST_RANGE
        return Departure(place, outside / max(high - low, least), value, low, high)
