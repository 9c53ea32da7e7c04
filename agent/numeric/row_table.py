"""Which row belongs to which series id."""

from __future__ import annotations

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
        reused = [self._free.pop() for _ in range(min(len(ids), len(self._free)))]
        fresh = len(ids) - len(reused)
        rows = np.array(reused + list(range(self.row_count, self.row_count + fresh)), dtype=np.uint32)
        self.row_count += fresh
        order = np.argsort(ids)
        places = np.searchsorted(self.ids, ids[order])
        self.ids = np.insert(self.ids, places, ids[order])
        self.rows = np.insert(self.rows, places, rows[order])
        return rows.astype(np.int64)

    def remove(self, ids: IdArray) -> NDArray[np.int64]:
        """Forget ids and return the rows they had; unknown ids are fine."""
        asked = np.unique(ids)
        asked = asked[self.find(asked) >= 0]
        places = np.searchsorted(self.ids, asked)
        rows = self.rows[places]
        self.ids, self.rows = np.delete(self.ids, places), np.delete(self.rows, places)
        self._free = sorted([*self._free, *rows.tolist()], reverse=True)
        return rows.astype(np.int64)


def as_slice(rows: NDArray[np.int64]) -> Rows:
    """The same rows as a slice where they are 0, 1, 2, ..., which spares the engine a gather."""
    count = len(rows)
    is_likely = count > 0 and rows[0] == 0 and rows[-1] == count - 1
    return slice(0, count) if is_likely and np.array_equal(rows, np.arange(count)) else rows
