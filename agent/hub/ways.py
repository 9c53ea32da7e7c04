"""Ways: from each kept point of a series the value goes in a straight line to the next, as far off as that one's bound says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.model import PointFlag

__all__ = ["BY_WEIGHT", "MARKS", "METHODS", "Ways", "known_bounds", "methods_of", "ways_between"]

Floats = NDArray[np.float64]
Flags = NDArray[np.uint8]

METHODS = {
    "drawn": PointFlag.DRAWN,
    "shape": PointFlag.SHAPED,
    "merged": PointFlag.MERGED,
    "chosen": PointFlag.CHOSEN,
}
"""How points were kept where others were left out."""
BY_WEIGHT = {"drawn", "merged"}
"""Methods of which the mean by weight says more than that over time."""
MARKS = np.uint8(sum(flag.value for flag in METHODS.values()))

_GAP_FACTOR = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """The ways between n points, float64, shape (n - 1,).

    Attributes:
        levels: The mean over each.
        spans_s: How many seconds each counts: the time between, in a silence no more than the points beside it stand for.
        bounds: No produced point on the way is farther from it; NaN: not known; 0 in a silence, of which nothing is said.
    """

    levels: Floats
    spans_s: Floats
    bounds: Floats


def ways_between(times_ns: NDArray[np.int64], values: Floats, weights: Floats, bounds: Floats, flags: Flags) -> Ways:
    """The ways between the points of one series in the order of time; all values finite, all arrays of shape (n,).

    What one produced point stands for is the median over the ways; over the points where these were kept for their shape, whose
    weights say how far it is to both sides.
    """
    apart_s = np.diff(times_ns) / 1e9
    levels, stated = (values[1:] + values[:-1]) / 2, np.where(np.isnan(bounds[:-1]), np.nan, bounds[1:])
    if not len(apart_s):
        return Ways(levels, apart_s, stated)
    stood_for = (weights[1:] + weights[:-1]) / 2
    if len(apart_s) > 1 and (flags & PointFlag.SHAPED.value).any():
        period_s = float(np.median((apart_s[1:] + apart_s[:-1]) / 2 / weights[1:-1]))
    else:
        period_s = float(np.median(apart_s / stood_for))
    expected_s = period_s * stood_for
    is_silence = apart_s > _GAP_FACTOR * expected_s
    return Ways(levels, np.where(is_silence, expected_s, apart_s), np.where(is_silence, 0.0, stated))


def methods_of(flags: Flags) -> tuple[str, ...]:
    """How points with these flags were kept; () when nothing says that any was left out."""
    seen = int(np.bitwise_or.reduce(flags)) if len(flags) else 0
    return tuple(name for name, flag in METHODS.items() if seen & flag)


def known_bounds(weights: Floats, flags: Flags, bounds: Floats | None) -> Floats:
    """The bounds of points, None = nothing is said of any; NaN where one stands for several without a word about the others."""
    says_nothing = (weights > 1.0) & ((flags & MARKS) == 0)
    stated = np.where(weights > 1.0, np.nan, 0.0) if bounds is None else bounds
    return np.where(says_nothing, np.nan, stated)
