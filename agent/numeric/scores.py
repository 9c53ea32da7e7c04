"""How far the newest value lies from the series' own history, and whether that is news."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from agent.numeric.rings import Block

__all__ = ["MAD_TO_SIGMA", "MIN_HISTORY_COUNT", "flag_anomalies", "score"]

MIN_HISTORY_COUNT = 8
"""Values a history must hold before a score is given."""
MAD_TO_SIGMA = 0.6744897501960817
"""MAD of a normal distribution in standard deviations: its 75 % quantile."""
_ROUNDING_RATIO = 1e-12
_NEWS_RATIO = 1e-9


def score(block: Block) -> None:
    """z and robust z: newest minus the centre of the history, in units of its spread.

    z takes mean and standard deviation, robust z median and MAD / 0.6745. NaN when the newest is missing or the history holds
    fewer than 8 values; +-inf when the spread is 0 and the newest lies off the centre; 0 when deviation and spread both are
    mere rounding (within 1e-12 of the centre). Leaves |deviation| in `sizes` and |centre| in `centres`.

    Source: B. Iglewicz, D. Hoaglin, "How to detect and handle outliers", 1993, the modified z-score.
    """
    scratch = block.scratch
    np.add(block.shift, scratch.history_mean, out=scratch.centres[0])
    np.copyto(scratch.centres[1], block.median)
    np.subtract(block.newest, block.median, out=scratch.deviations[1])
    np.divide(block.mad, MAD_TO_SIGMA, out=scratch.spreads[1])
    np.divide(scratch.deviations, scratch.spreads, out=block.both_z)
    np.abs(scratch.deviations, out=scratch.sizes)
    np.abs(scratch.centres, out=scratch.centres)
    np.maximum(scratch.sizes, scratch.spreads, out=scratch.spreads)
    np.multiply(scratch.centres, _ROUNDING_RATIO, out=scratch.limits)
    np.less_equal(scratch.spreads, scratch.limits, out=scratch.masks)
    np.copyto(block.both_z, 0.0, where=scratch.masks)
    np.less(scratch.history_count, MIN_HISTORY_COUNT, out=scratch.mask)
    np.copyto(block.both_z, np.nan, where=scratch.mask)


def flag_anomalies(block: Block, threshold: float) -> None:
    """Mark values whose severity reaches the threshold and that differ from the median by more than 1e-9 of it.

    Severity is |robust z|. Where more than half of the history is one value the MAD is 0 and every other value would be
    infinitely far off; there |z| decides instead, as it does while the median is not known yet. NaN while there is no score.
    Call after `score`.
    """
    scratch = block.scratch
    np.copyto(block.severity, block.z)
    np.greater(block.mad, 0.0, out=scratch.mask)
    np.copyto(block.severity, block.robust_z, where=scratch.mask)
    np.abs(block.severity, out=block.severity)
    np.greater_equal(block.severity, threshold, out=block.is_anomaly)
    np.multiply(scratch.centres[1], _NEWS_RATIO, out=scratch.t1)
    np.less_equal(scratch.sizes[1], scratch.t1, out=scratch.mask)
    np.copyto(block.is_anomaly, False, where=scratch.mask)
