"""Thinning out as points come, without a buffer: a swinging door for each series, its width steered to a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray

    Sent = tuple[NDArray[np.int64], FloatArray, FloatArray]

__all__ = ["SteeredDoors"]

GAIN = 0.06
"""By how much of its size a door grows with each point it sends."""
SCALE_MEMORY = 0.005
"""Weight of the newest step in a series' typical step."""
MIN_WIDTH_RATIO = 1e-6


class SteeredDoors:
    """One door a series, all moved in one call a tick.

    From the last point sent two lines run, half a door's width above and below it; each new point pushes them apart. When they
    no longer leave room for a straight line, the point before the new one is sent, and the door hangs there. No point between is
    then farther from the line than the width was. The width is steered so that the wished share of points is sent.

    Args:
        capacity: Series at most, >= 1.
        keep_ratio: Share of the points to send, in (0, 1].

    Source:
        E. H. Bristol, Swinging door trending: adaptive trend recording, ISA National Conference, 1990. The steering is integral
        control of the logarithm of the width.
    """

    def __init__(self, capacity: int, keep_ratio: float) -> None:
        if not 0 < keep_ratio <= 1:
            raise ValueError(f"keep_ratio must be in (0, 1] (got {keep_ratio})")
        self._keep_ratio = keep_ratio
        self._hinge_s, self._hinge = np.zeros(capacity), np.full(capacity, np.nan)
        self._last_s, self._last = np.zeros(capacity), np.full(capacity, np.nan)
        self._above, self._below = np.full(capacity, -np.inf), np.full(capacity, np.inf)
        self._scale = np.zeros(capacity)
        self._log_width = np.zeros(capacity)

    def offer(
        self, slots: NDArray[np.int64], time_s: float, values: FloatArray
    ) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
        """Take one tick in.

        Args:
            slots: Row of each series, shape (n,), no row twice.
            time_s: Monotonic seconds of the tick, later than the one before.
            values: Shape (n,), finite.
        Returns:
            Rows whose last point is to be sent, with that point's time and value. O(n).
        """
        is_new = np.isnan(self._last[slots])
        self._hang(slots[is_new], time_s, values[is_new])
        slots, values = slots[~is_new], values[~is_new]
        self._learn_scale(slots, values)
        width = self.width(slots)
        run = time_s - self._hinge_s[slots]
        hinge = self._hinge[slots]
        above = np.maximum(self._above[slots], (values - hinge - width) / run)
        below = np.minimum(self._below[slots], (values - hinge + width) / run)
        is_shut = above > below
        self._log_width[slots] += GAIN * (is_shut - self._keep_ratio)
        sent = slots[is_shut]
        sent_s, sent_values = self._last_s[sent], self._last[sent]
        self._hinge_s[sent], self._hinge[sent] = sent_s, sent_values
        fresh, step = values[is_shut], time_s - sent_s
        above[is_shut] = (fresh - sent_values - width[is_shut]) / step
        below[is_shut] = (fresh - sent_values + width[is_shut]) / step
        self._above[slots], self._below[slots] = above, below
        self._last_s[slots], self._last[slots] = time_s, values
        return sent, sent_s, sent_values

    def width(self, slots: NDArray[np.int64]) -> FloatArray:
        """How far from the line a point of each series may be, in the series' own unit."""
        wide: FloatArray = self._scale[slots] * np.maximum(np.exp(self._log_width[slots]), MIN_WIDTH_RATIO)
        return wide

    def flush(self) -> Sent:
        """The last point of every series, to be sent at the end."""
        known = np.flatnonzero(~np.isnan(self._last))
        return known, self._last_s[known], self._last[known]

    def _hang(self, slots: NDArray[np.int64], time_s: float, values: FloatArray) -> None:
        for moment, value in ((self._hinge_s, self._hinge), (self._last_s, self._last)):
            moment[slots], value[slots] = time_s, values

    def _learn_scale(self, slots: NDArray[np.int64], values: FloatArray) -> None:
        """The typical step of each series, exponentially forgotten."""
        step, scale = np.abs(values - self._last[slots]), self._scale[slots]
        self._scale[slots] = np.where(scale > 0, scale + SCALE_MEMORY * (step - scale), step)
