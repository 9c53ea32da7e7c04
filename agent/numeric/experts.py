"""Simple forecasts, each made at many moments of the past at once, so that they can be judged on the series itself.

Each takes values on a grid, moments (positions of the newest value known), and how many steps to look ahead, and gives
an array (moments, steps). None sees anything after its moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.median import medians

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray

    Places = NDArray[np.int64]

__all__ = ["expert_forecasts", "theil_sen"]

_LEVEL_ALPHAS = (0.5, 0.2, 0.05)
_LEVEL_COUNTS = (12, 48, 192)
_TREND_COUNT = 60
_DAMPINGS = (0.8, 0.95, 1.0)
_SEASON_ALPHAS = (0.05, 0.3)
_SEASON_DAMPING = 0.98
_SEASON_CYCLES = 4


def expert_forecasts(values: FloatArray, moments: Places, steps: int, periods: tuple[int, ...]) -> FloatArray:
    """Every expert's forecast.

    The last value; exponential averages; medians of the recent values; a robust line that levels off, or goes on; and for each
    period the same phase of earlier cycles, as it is and moved by how far the series lately ran from it.

    Args:
        values: Shape (n,), no NaN.
        moments: Positions of the newest value known, rising.
        steps: How many values ahead, >= 1.
        periods: Cycle lengths in steps; those without two whole cycles are left out.
    Returns:
        Shape (experts, moments, steps).
    """
    levels = [values[moments], *(_averages(values, alpha)[moments] for alpha in _LEVEL_ALPHAS)]
    levels += [medians(_recent(values, moments, count), axis=1) for count in _LEVEL_COUNTS]
    made = [np.repeat(level[:, None], steps, axis=1) for level in levels]
    made += _damped_lines(values, moments, steps)
    for period in periods:
        if len(values) >= 2 * period + steps:
            made += _seasons(values, moments, steps, period)
    return np.array(made)


def theil_sen(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Robust line through each row, abscissa 0 at its newest value, one step between values.

    Args:
        rows: Shape (k, n), n >= 2, no NaN.
    Returns:
        Slope per step and fitted value now, shape (k,) each. Pairs closer than a third of the row are left out: they
        say little of the slope. O(k n^2) time and space.
    Source:
        P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968.
    """
    count = rows.shape[1]
    earlier, later = np.triu_indices(count, max(1, count // 3))
    slope: FloatArray = medians((rows[:, later] - rows[:, earlier]) / (later - earlier), axis=1)
    ages = np.arange(count) - (count - 1)
    now: FloatArray = medians(rows - slope[:, None] * ages, axis=1)
    return slope, now


def _averages(values: FloatArray, alpha: float) -> FloatArray:
    averaged, level = np.empty(len(values)), float(values[0])
    for place, value in enumerate(values.tolist()):
        level += alpha * (value - level)
        averaged[place] = level
    return averaged


def _recent(values: FloatArray, moments: Places, count: int) -> FloatArray:
    """The `count` newest values of each moment, oldest first; the first value stands for those before it."""
    places = moments[:, None] + np.arange(1 - count, 1)
    found: FloatArray = values[np.maximum(places, 0)]
    return found


def _damped_lines(values: FloatArray, moments: Places, steps: int) -> list[FloatArray]:
    slope, now = theil_sen(_recent(values, moments, min(_TREND_COUNT, len(values))))
    ahead = np.arange(1, steps + 1)
    return [now[:, None] + slope[:, None] * np.cumsum(damping**ahead) for damping in _DAMPINGS]


def _seasons(values: FloatArray, moments: Places, steps: int, period: int) -> list[FloatArray]:
    expected = _same_phase(values, moments, steps, period)
    everywhere = np.arange(period - 1, len(values) - 1)
    apart = np.zeros(len(values))
    apart[period:] = values[period:] - _same_phase(values, everywhere, 1, period)[:, 0]
    fade = _SEASON_DAMPING ** np.arange(1, steps + 1)
    moved = [expected + _averages(apart, alpha)[moments][:, None] * fade for alpha in _SEASON_ALPHAS]
    return [expected, *moved]


def _same_phase(values: FloatArray, moments: Places, steps: int, period: int) -> FloatArray:
    """Median of the same phase in the last four cycles; where there are fewer, the newest stands for those missing."""
    ahead = np.arange(1, steps + 1)
    newest = moments[:, None] + ahead - period * -(-ahead // period)
    earlier = newest - period * np.arange(_SEASON_CYCLES)[:, None, None]
    usable = np.where(earlier >= 0, earlier, newest)
    median: FloatArray = medians(values[np.where(usable >= 0, usable, moments[:, None])], axis=0)
    return median
