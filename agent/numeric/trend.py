"""Least-squares line over (age, value) of the window, where it leads, and when it reaches a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from agent.numeric.rings import Block

__all__ = ["fit_line", "forecast", "time_to_limit"]

_INTERVAL_SIGMAS = 1.96
_ROUNDING_RATIO = 1e-14
"""Less than this of the spread is what rounding leaves of a line that fits exactly; its root would be seen."""


def fit_line(block: Block) -> None:
    """slope (per tick), intercept (fitted value now) and R2; missing ticks are left out, not squeezed together.

    NaN with fewer than 2 values; R2 is NaN when all values are equal. Leaves the centred sum of squared ages in t1 and the
    mean age in t2.
    """
    scratch = block.scratch
    age_squares, mean_age = scratch.t1, scratch.t2
    np.divide(block.sum_t, block.count, out=mean_age)
    np.multiply(block.sum_t, mean_age, out=age_squares)
    np.subtract(block.sum_tt, age_squares, out=age_squares)
    products = scratch.t3
    np.multiply(block.sum_t, scratch.shifted_mean, out=products)
    np.subtract(block.sum_td, products, out=products)
    np.divide(products, age_squares, out=block.slope)
    np.multiply(block.slope, mean_age, out=block.intercept)
    np.subtract(scratch.shifted_mean, block.intercept, out=block.intercept)
    np.add(block.intercept, block.shift, out=block.intercept)
    np.multiply(block.slope, products, out=products)
    np.divide(products, scratch.square_sum, out=block.r2)
    np.minimum(block.r2, 1.0, out=block.r2)


def forecast(block: Block, horizon: float) -> None:
    """The line's value `horizon` ticks ahead, with a 95 % prediction interval (1.96 sigma); call after `fit_line`.

    The interval is NaN with fewer than 3 values.
    """
    scratch = block.scratch
    age_squares, mean_age, explained, half = scratch.t1, scratch.t2, scratch.t3, scratch.t4
    np.subtract(scratch.square_sum, explained, out=half)
    np.multiply(scratch.square_sum, _ROUNDING_RATIO, out=scratch.t5)
    np.less_equal(half, scratch.t5, out=scratch.mask)
    np.copyto(half, 0.0, where=scratch.mask)
    np.subtract(block.count, 2.0, out=scratch.t5)
    np.divide(half, scratch.t5, out=half)
    np.subtract(horizon, mean_age, out=scratch.t6)
    np.multiply(scratch.t6, scratch.t6, out=scratch.t6)
    np.divide(scratch.t6, age_squares, out=scratch.t6)
    np.divide(1.0, block.count, out=mean_age)
    np.add(scratch.t6, mean_age, out=scratch.t6)
    np.add(scratch.t6, 1.0, out=scratch.t6)
    np.multiply(half, scratch.t6, out=half)
    np.sqrt(half, out=half)
    np.multiply(half, _INTERVAL_SIGMAS, out=half)
    np.less_equal(scratch.t5, 0.0, out=scratch.mask)
    np.copyto(half, np.nan, where=scratch.mask)
    np.multiply(block.slope, horizon, out=block.forecast)
    np.add(block.forecast, block.intercept, out=block.forecast)
    np.subtract(block.forecast, half, out=block.forecast_low)
    np.add(block.forecast, half, out=block.forecast_high)


def time_to_limit(block: Block) -> None:
    """Ticks until the line reaches the series' limit: 0 when it is there, +inf when it never will be, NaN without a line."""
    scratch = block.scratch
    out = block.ticks_to_limit
    np.subtract(block.limit, block.intercept, out=scratch.t1)
    np.divide(scratch.t1, block.slope, out=out)
    np.less_equal(block.slope, 0.0, out=scratch.mask)
    np.copyto(out, np.inf, where=scratch.mask)
    np.less_equal(scratch.t1, 0.0, out=scratch.mask)
    np.copyto(out, 0.0, where=scratch.mask)
