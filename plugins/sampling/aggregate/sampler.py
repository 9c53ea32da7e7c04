"""One number for many: the mean, smallest, largest or last value of each stretch of a series."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from agent.api import Block, Kept, PointFlag
from agent.numeric.allotment import allot, even_positions, series_rows

__all__ = ["Aggregate", "Function"]

Function = Literal["mean", "min", "max", "last"]


class Aggregate:
    """Replaces each stretch of a series by one point that stands at its end; the point's weight is the count.

    Args:
        function: What the point's value is; "mean" counts each point by its weight.
    """

    works_in_stretches = True

    def __init__(self, function: Function) -> None:
        self._value_of = _VALUE_OF[function]
        self.method = PointFlag.MERGED if function == "mean" else PointFlag.CHOSEN

    def keep(self, block: Block, budget: int, /) -> Kept:
        """At most `budget` points with values of their own. Values that are not finite are left out. O(n log n)."""
        finite = np.flatnonzero(np.isfinite(block.values))
        order, starts = series_rows(block.ids[finite])
        order = finite[order]
        counts = allot(np.diff(starts), budget) if len(order) else np.zeros(0, np.int64)
        if not counts.any():
            return Kept(np.zeros(0, np.int64), np.zeros(0))
        parts = even_positions(starts, counts)
        used = slice(int(parts[0]), None)
        order, parts = order[used], parts - parts[0]
        weights = block.weights[order]
        values = self._value_of(block.values[order], weights, parts)
        index = order[np.append(parts[1:], len(order)) - 1]
        rising = np.argsort(index)
        return Kept(index[rising], np.add.reduceat(weights, parts)[rising], values[rising])


Part = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

_VALUE_OF: dict[str, Part] = {
    "mean": lambda values, weights, parts: np.add.reduceat(values * weights, parts) / np.add.reduceat(weights, parts),
    "min": lambda values, _weights, parts: np.minimum.reduceat(values, parts),
    "max": lambda values, _weights, parts: np.maximum.reduceat(values, parts),
    "last": lambda values, _weights, parts: values[np.append(parts[1:], len(values)) - 1],
}
