"""The columns of a batch as numpy arrays."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from agent.model import BoundArray, FlagArray, FloatArray, IdArray

__all__ = ["ArrayColumns"]


class ArrayColumns:
    """`Columns` that can be computed with."""

    def ids(self, numbers: Collection[int], /) -> IdArray:
        return np.fromiter(numbers, np.uint32, len(numbers))

    def values(self, numbers: Collection[float], /) -> FloatArray:
        return np.fromiter(numbers, np.float64, len(numbers))

    def flags(self, numbers: Collection[int], /) -> FlagArray:
        return np.fromiter(numbers, np.uint8, len(numbers))

    def bounds(self, numbers: Collection[float], /) -> BoundArray:
        return np.fromiter(numbers, np.float32, len(numbers))
