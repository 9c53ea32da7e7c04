"""The median, without what numpy's own brings along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from agent.model import FloatArray

__all__ = ["median", "medians"]


def median(values: FloatArray) -> float:
    """Median of all values, to the bit what `numpy.median` gives.

    numpy's imports `numpy.ma` when it is first called, to see whether it was given a masked array: 1.3 MiB for a question.

    Args:
        values: Shape (n,), n >= 1; a NaN among them makes the median NaN.
    """
    return float(medians(values, 0))


def medians(values: FloatArray, axis: int) -> FloatArray:
    """Median along an axis, which the result lacks; see `median`. O(n) time."""
    count = values.shape[axis]
    middle = [(count - 1) // 2, count // 2]
    parted = np.partition(values, [*middle, count - 1], axis=axis)
    made = parted.take(middle, axis=axis).mean(axis=axis)
    return np.where(np.isnan(parted.take(-1, axis=axis)), np.nan, made)
