"""Figures that say how hard the agent is pressed, from readers that may fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.clock import Clock

__all__ = ["GuardedReader", "PressureReader", "Pressures"]

PressureReader = Callable[[], float]
"""Gives a ratio: 0 at rest, 1 at the limit. May raise or give NaN."""

HOLD_S = 10.0


class GuardedReader:
    """A reader that cannot do harm: while it fails its last good value holds for a while, then nothing is known.

    Args:
        read: The reader.
        clock: Measures how old the last good value is.
        hold_s: Seconds that it holds, >= 0.
    """

    def __init__(self, read: PressureReader, clock: Clock, hold_s: float = HOLD_S) -> None:
        self._read = read
        self._clock = clock
        self._hold_s = hold_s
        self._good: float | None = None
        self._good_s = -math.inf
        self.failure_count = 0

    def __call__(self) -> float | None:
        """The value, >= 0; None when it is not known."""
        value = self._tried()
        now_s = self._clock.monotonic_s()
        if math.isfinite(value):
            self._good, self._good_s = max(0.0, value), now_s
            return self._good
        self.failure_count += 1
        return self._good if now_s - self._good_s <= self._hold_s else None

    def _tried(self) -> float:
        try:
            return float(self._read())
        except Exception:  # noqa: BLE001 - a broken reader is a figure that is not known, nothing worse
            return math.nan


@dataclass(frozen=True, slots=True)
class Pressures:
    """All figures of one moment.

    Attributes:
        by_name: Each figure; None when it is not known.
    """

    by_name: Mapping[str, float | None]

    @property
    def worst(self) -> tuple[str, float]:
        """Name and value of the largest; ("", 0.0) when nothing is known, for the unknown is no reason to act."""
        known = [(value, name) for name, value in self.by_name.items() if value is not None]
        value, name = max(known, default=(0.0, ""))
        return name, value
