"""From a pressure to a decision: fast down, slow up, and no flapping in between."""

from __future__ import annotations

import math

from agent.clock import Clock

__all__ = ["AdaptiveRate", "Hysteresis"]


class Hysteresis:
    """A switch that goes on at one level and off at a lower one.

    Args:
        on_ratio: Level from which it is on.
        off_ratio: Level at and below which it is off again, < `on_ratio`.

    Raises:
        ValueError: `off_ratio` is not below `on_ratio`.
    """

    def __init__(self, on_ratio: float = 0.8, off_ratio: float = 0.5) -> None:
        if not off_ratio < on_ratio:
            raise ValueError(f"off_ratio must be < on_ratio, {on_ratio} (got {off_ratio})")
        self._on_ratio = on_ratio
        self._off_ratio = off_ratio
        self.is_on = False

    def update(self, level: float) -> bool:
        """Whether it is on, now that the level is this; NaN changes nothing."""
        if level >= self._on_ratio:
            self.is_on = True
        elif level <= self._off_ratio:
            self.is_on = False
        return self.is_on


class AdaptiveRate:
    """A share in [floor, 1]: halved, at most once a second, at high pressure; held in between; in calm up by 5 % a second.

    Source:
        D.-M. Chiu and R. Jain, Analysis of the increase and decrease algorithms for congestion avoidance, 1989: decrease by a
        factor is what makes many senders converge. The increase is a factor too, but a small one; a minute of calm brings any
        rate from 0.054 up back to 1.

    Args:
        clock: Measures the steps.
        on_ratio: Pressure from which the rate falls.
        off_ratio: Pressure at and below which it rises, < `on_ratio`.
        floor_ratio: Never lower than this, in (0, 1].

    Raises:
        ValueError: A figure is out of its range.
    """

    def __init__(
        self, clock: Clock, *, on_ratio: float = 0.8, off_ratio: float = 0.5, floor_ratio: float = 0.06
    ) -> None:
        if not 0 < floor_ratio <= 1:
            raise ValueError(f"floor_ratio must be in (0, 1] (got {floor_ratio})")
        if not off_ratio < on_ratio:
            raise ValueError(f"off_ratio must be < on_ratio, {on_ratio} (got {off_ratio})")
        self._clock = clock
        self._on_ratio = on_ratio
        self._off_ratio = off_ratio
        self._floor_ratio = floor_ratio
        self._fell_s = -math.inf
        self._seen_s = clock.monotonic_s()
        self.ratio = 1.0

    def update(self, pressure: float) -> float:
        """The rate from now on; a pressure of NaN holds it."""
        now_s = self._clock.monotonic_s()
        elapsed_s, self._seen_s = max(0.0, now_s - self._seen_s), now_s
        if pressure >= self._on_ratio:
            if now_s - self._fell_s >= 1.0:
                self.ratio = max(self._floor_ratio, self.ratio * 0.5)
                self._fell_s = now_s
        elif pressure <= self._off_ratio:
            self.ratio = min(1.0, self.ratio * 1.05 ** min(elapsed_s, 1.0))
        return self.ratio
