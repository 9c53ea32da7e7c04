"""Minimum and maximum of long windows: kept by stretches of the ring, so that a tick reads one stretch and the summaries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from agent.model import FloatArray
    from agent.numeric.rings import Block, Rings
    from agent.numeric.row_table import Rows

__all__ = ["Extrema"]

_STRETCH = 60


class Extrema:
    """Lowest and highest value of each stretch of 60 slots of each row.

    A tick changes one stretch; there is no bad case, whatever the values do. Cost: 60 + window / 60 values a row. Held stretch by
    stretch, not row by row: what is compared of many rows at once lies side by side.
    """

    def __init__(self, window: int) -> None:
        self._stretches = -(-window // _STRETCH)
        self._low: FloatArray = np.empty((self._stretches, 0))
        self._high: FloatArray = np.empty((self._stretches, 0))

    def nbytes(self) -> int:
        return self._low.nbytes + self._high.nbytes

    def grow_to(self, row_count: int) -> None:
        """Have this many rows; new ones are empty."""
        more = np.full((self._stretches, row_count - self._low.shape[1]), np.nan)
        self._low = np.concatenate((self._low, more), axis=1)
        self._high = np.concatenate((self._high, more), axis=1)

    def clear(self, rows: Rows) -> None:
        self._low[:, rows] = np.nan
        self._high[:, rows] = np.nan

    def rebuild(self, rings: Rings) -> None:
        """Measure every row again, after rings were written without `update`."""
        for stretch in range(self._stretches):
            self._measure(rings.ring, slice(0, len(rings.ring)), stretch)

    def update(self, block: Block, slot: int) -> None:
        """Measure the stretch of `slot` again, and give minimum and maximum of each row; NaN for one without values."""
        rows = slice(block.start, block.stop)
        self._measure(block.ring, rows, slot // _STRETCH)
        np.fmin.reduce(self._low[:, rows], axis=0, out=block.minimum)
        np.fmax.reduce(self._high[:, rows], axis=0, out=block.maximum)

    def _measure(self, ring: FloatArray, rows: slice, stretch: int) -> None:
        values = ring[:, stretch * _STRETCH : (stretch + 1) * _STRETCH]
        np.fmin.reduce(values, axis=1, out=self._low[stretch, rows])
        np.fmax.reduce(values, axis=1, out=self._high[stretch, rows])
