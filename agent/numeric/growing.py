"""Arrays that grow with the number of series."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)

__all__ = ["grown"]


def grown(array: NDArray[T], row_count: int, axis: int = 0) -> NDArray[T]:
    """The array with at least so many rows (zeros), a quarter more than before when it must grow."""
    have = array.shape[axis]
    if have >= row_count:
        return array
    shape = list(array.shape)
    shape[axis] = max(row_count, have + have // 4) - have
    return np.concatenate((array, np.zeros(shape, dtype=array.dtype)), axis=axis)
