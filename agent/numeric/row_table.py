"""Which row belongs to which series id."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import IdArray

    Rows = NDArray[np.int64] | slice

__all__ = ["RowTable"]


class RowTable:
    """Ids in rising order with their rows, 8 bytes a series; rows of forgotten ids are given out again, lowest first."""

    def __init__(self) -> None:
        self.ids: IdArray = np.empty(0, dtype=np.uint32)
        self.rows: NDArray[np.uint32] = np.empty(0, dtype=np.uint32)
        self.row_count = 0
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self.ids)

    def nbytes(self) -> int:
        return self.ids.nbytes + self.rows.nbytes

    def find(self, ids: IdArray) -> NDArray[np.int64]:
        """Row of each id; -1 for those unknown."""
        if not len(self.ids):
            return np.full(len(ids), -1, dtype=np.int64)
        places = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[places] == ids, self.rows[places].astype(np.int64), -1)

    def add(self, ids: IdArray) -> NDArray[np.int64]:
        """Give rows to new ids (each once, none known); `row_count` says how many rows there must be then."""
        reused = [heappop(self._free) for _ in range(min(len(ids), len(self._free)))]
        fresh = len(ids) - len(reused)
        rows = np.array(reused + list(range(self.row_count, self.row_count + fresh)), dtype=np.uint32)
        self.row_count += fresh
        order = np.argsort(ids)
        places = np.searchsorted(self.ids, ids[order])
        self.ids, self.rows = _inserted(self.ids, places, ids[order]), _inserted(self.rows, places, rows[order])
        return rows.astype(np.int64)

    def remove(self, ids: IdArray) -> NDArray[np.int64]:
        """Forget ids and return the rows they had; unknown ids are fine."""
        asked = np.array(sorted(set(ids.tolist())), dtype=np.uint32)
        asked = asked[self.find(asked) >= 0]
        places = np.searchsorted(self.ids, asked)
        rows = self.rows[places]
        self.ids, self.rows = _without(self.ids, places), _without(self.rows, places)
        for row in rows.tolist():
            heappush(self._free, row)
        return rows.astype(np.int64)


def _inserted(array: NDArray[np.uint32], places: NDArray[np.int64], values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The array with values put before these places, rising; one value, which is the usual, by two copies."""
    if len(values) == 1:
        return np.concatenate((array[: places[0]], values, array[places[0] :]))
    return np.insert(array, places, values)


def _without(array: NDArray[np.uint32], places: NDArray[np.int64]) -> NDArray[np.uint32]:
    """The array without these places."""
    if len(places) == 1:
        return np.concatenate((array[: places[0]], array[places[0] + 1 :]))
    return np.delete(array, places)


def as_slice(rows: NDArray[np.int64]) -> Rows:
    """The same rows as a slice where each follows the one before, which spares the engine a gather."""
    count = len(rows)
    if not count:
        return rows
    first, last = int(rows[0]), int(rows[-1])
    follows = last - first == count - 1 and (count == 1 or np.array_equal(rows, np.arange(first, last + 1)))
    return slice(first, last + 1) if follows else rows
