"""A series on an even grid of time, as forecasts need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.median import median

if TYPE_CHECKING:
    from agent.model import FloatArray

__all__ = ["RegularSeries", "averaged", "regular"]

_MAX_STRETCH = 4
"""A grid with more cells than this for each value says that the times are not regular at all."""


@dataclass(frozen=True, slots=True)
class RegularSeries:
    """Values an even step apart.

    Attributes:
        step_s: Seconds from one value to the next, > 0.
        values: float64, shape (n,), no NaN; a gap repeats the value before it.
        start_s, end_s: Time of the first and the last value, in the clock they were given in.
    """

    step_s: float
    values: FloatArray
    start_s: float
    end_s: float

    def last(self, count: int) -> RegularSeries:
        """The newest `count` values."""
        kept = self.values[-count:]
        return RegularSeries(self.step_s, kept, self.end_s - self.step_s * (len(kept) - 1), self.end_s)


def regular(times_s: FloatArray, values: FloatArray) -> RegularSeries:
    """Put a series on the grid of its median step.

    Args:
        times_s: Rising seconds, shape (n,); any epoch. Only differences count.
        values: Shape (n,); what is not finite is a gap.
    Returns:
        Gaps filled with the value before. Where times are so irregular that the grid would be mostly gaps, the values one after
        the other. O(n) time.
    """
    times, kept = _valid(times_s, values)
    if len(kept) < 2:
        at_s = float(times[-1]) if len(times) else 0.0
        return RegularSeries(1.0, kept, at_s, at_s)
    step_s = median(np.diff(times))
    start_s, end_s = float(times[0]), float(times[-1])
    cells = round((end_s - start_s) / step_s) + 1 if step_s > 0 else len(kept) * _MAX_STRETCH + 1
    if cells > len(kept) * _MAX_STRETCH:
        return RegularSeries((end_s - start_s) / (len(kept) - 1) or 1.0, kept, start_s, end_s)
    places = np.rint((times - start_s) / step_s).astype(np.int64)
    newest = np.searchsorted(places, np.arange(cells), side="right") - 1
    return RegularSeries(step_s, kept[newest], start_s, end_s)


def averaged(series: RegularSeries, step_s: float) -> tuple[FloatArray, FloatArray]:
    """The same series with a wider step, each value the mean of those it stands for; the newest step ends with the newest value.

    Args:
        series: At least one value.
        step_s: Rounded down to whole steps of the series, at least one.
    Returns:
        Times (ends of the steps) and values; up to one step of the oldest values is left out.
    """
    count = min(max(1, int(step_s / series.step_s + 1e-9)), len(series.values))
    whole = len(series.values) // count
    values: FloatArray = series.values[len(series.values) - whole * count :].reshape(whole, count).mean(axis=1)
    times: FloatArray = series.end_s - series.step_s * count * np.arange(whole - 1, -1, -1, dtype=np.float64)
    return times, values


def _valid(times_s: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    times, found = np.asarray(times_s, dtype=np.float64), np.asarray(values, dtype=np.float64)
    is_there = np.isfinite(found) & np.isfinite(times)
    return times[is_there], found[is_there]
