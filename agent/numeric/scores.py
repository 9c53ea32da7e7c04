"""How far the newest value lies from the series' own history, and whether that is news."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from agent.model import FloatArray
    from agent.numeric.rings import Block

__all__ = ["MAD_TO_SIGMA", "MIN_HISTORY_COUNT", "flag_anomalies", "robust_score", "score"]

MIN_HISTORY_COUNT = 8
"""Values a history must hold before a score is given."""
MAD_TO_SIGMA = 0.6744897501960817
"""MAD of a normal distribution in standard deviations: its 75 % quantile."""
_ROUNDING_RATIO = 1e-12
_NEWS_RATIO = 1e-9


def score(block: Block) -> None:
    """z: newest minus the mean of the history, in standard deviations of the history.

    NaN when the newest is missing or the history holds fewer than 8 values; +-inf when the history is constant and the
    newest is not; 0 when deviation and spread both are mere rounding (within 1e-12 of the centre).
    """
    scratch = block.scratch
    np.add(block.shift, scratch.history_mean, out=scratch.t3)
    _relate(block, scratch.deviation, scratch.history_std, scratch.t3, out=block.z)


def robust_score(block: Block) -> None:
    """Robust z: newest minus the median of the history, in MAD / 0.6745; NaN, +-inf and 0 as in `score`.

    Source: B. Iglewicz, D. Hoaglin, "How to detect and handle outliers", 1993, the modified z-score.
    """
    scratch = block.scratch
    np.subtract(block.newest, block.median, out=scratch.t4)
    np.divide(block.mad, MAD_TO_SIGMA, out=scratch.t5)
    _relate(block, scratch.t4, scratch.t5, block.median, out=block.robust_z)


def flag_anomalies(block: Block, threshold: float) -> None:
    """Mark values whose severity reaches the threshold and that differ from the median by more than 1e-9 of it.

    Severity is |robust z|. Where more than half of the history is one value the MAD is 0 and every other value would be
    infinitely far off; there |z| decides instead, as it does while the median is not known yet. NaN while there is no score.
    """
    scratch = block.scratch
    np.abs(block.robust_z, out=block.severity)
    np.greater(block.mad, 0.0, out=scratch.mask)
    np.logical_not(scratch.mask, out=scratch.mask)
    np.copyto(block.severity, block.z, where=scratch.mask)
    np.abs(block.severity, out=block.severity)
    np.greater_equal(block.severity, threshold, out=block.is_anomaly)
    np.subtract(block.newest, block.median, out=scratch.t1)
    np.abs(scratch.t1, out=scratch.t1)
    np.abs(block.median, out=scratch.t2)
    np.multiply(scratch.t2, _NEWS_RATIO, out=scratch.t2)
    np.less_equal(scratch.t1, scratch.t2, out=scratch.mask)
    np.copyto(block.is_anomaly, False, where=scratch.mask)


def _relate(block: Block, deviation: FloatArray, spread: FloatArray, centre: FloatArray, *, out: FloatArray) -> None:
    scratch = block.scratch
    np.divide(deviation, spread, out=out)
    np.abs(deviation, out=scratch.t1)
    np.maximum(scratch.t1, spread, out=scratch.t1)
    np.abs(centre, out=scratch.t2)
    np.multiply(scratch.t2, _ROUNDING_RATIO, out=scratch.t2)
    np.less_equal(scratch.t1, scratch.t2, out=scratch.mask)
    np.copyto(out, 0.0, where=scratch.mask)
    np.less(scratch.history_count, MIN_HISTORY_COUNT, out=scratch.mask)
    np.copyto(out, np.nan, where=scratch.mask)
