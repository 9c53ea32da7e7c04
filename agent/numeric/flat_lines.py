"""Series that stand still for longer than they ever did: a sensor that is stuck, a service that stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.growing import grown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray
    from agent.numeric.novelty import Places

    Index = NDArray[np.int64]

__all__ = ["FlatLines", "FlatStretches", "SingleFlatLine"]

FIRST_COUNT = 16
"""Equal values in a row that are worth a look. Each length is news once in a series' life; then it takes twice as many."""
LEAST_AGE_RATIO = 16
"""A series must be so many times as old as the stretch is long: what seldom moves may stand still."""


@dataclass(frozen=True, slots=True, eq=False)
class FlatStretches:
    """Those of many series that stand still for longer than ever.

    Attributes:
        at: Their places in the call, rising, shape (k,).
        counts: For how many values, shape (k,).
    """

    at: Index
    counts: Index

    def of(self, place: int) -> list[int]:
        """For how many values one series has; empty for a series that is not among them."""
        count: list[int] = self.counts[self.at == place].tolist()
        return count


_NOTHING = np.zeros(0, dtype=np.int64)
_NONE = FlatStretches(_NOTHING, _NOTHING)


class FlatLines:
    """Tells when a series has had one value 16, 32, 64, ... times in a row for the first time in its life.

    `SingleFlatLine` is the same for one series.
    """

    def __init__(self) -> None:
        self._last = np.zeros(0)
        self._held = np.zeros(0, dtype=np.int32)
        self._due = np.zeros(0, dtype=np.int32)

    def nbytes(self) -> int:
        return sum(array.nbytes for array in vars(self).values())

    def reserve(self, row_count: int) -> None:
        """Have at least so many rows."""
        have = len(self._due)
        for name, array in vars(self).items():
            setattr(self, name, grown(array, row_count))
        self._due[have:] = FIRST_COUNT

    def clear(self, rows: Index) -> None:
        """Forget everything of these rows."""
        self._held[rows], self._due[rows] = 0, FIRST_COUNT

    def adopt(self, row: int, single: SingleFlatLine) -> None:
        """Go on with a series that was looked at alone."""
        self._last[row], self._held[row], self._due[row] = single.last, single.held, single.due

    def reached(self, places: Places, values: FloatArray, age: Index) -> FlatStretches:
        """Which of the rows have just stood still for so long. Learns the values.

        Args:
            places: Of distinct rows, n of them.
            values: Newest value of each, shape (n,), finite.
            age: Values that each row has had before.
        """
        rows = places.rows
        held = self._held[rows]
        held *= values == self._last[rows]
        held += 1
        self._last[rows] = values
        if not isinstance(rows, slice):
            self._held[rows] = held
        due = self._due[rows]
        found = np.flatnonzero(held == due)
        if not len(found):
            return _NONE
        counts = due[found].astype(np.int64)
        self._due[places.index[found]] *= 2
        is_old = counts * LEAST_AGE_RATIO <= age[found] + 1
        return FlatStretches(found[is_old], counts[is_old])


class SingleFlatLine:
    """The same rule as `FlatLines`, for one series in plain Python."""

    __slots__ = ("due", "held", "last")

    def __init__(self) -> None:
        self.last, self.held, self.due = 0.0, 0, FIRST_COUNT

    def reached(self, value: float, age: int) -> int:
        """For how many values it has just stood still, where that is news; 0 else. Learns the value."""
        if value != self.last:
            self.last, self.held = value, 1
            return 0
        self.held = held = self.held + 1
        if held != self.due:
            return 0
        self.due = 2 * held
        return held if held * LEAST_AGE_RATIO <= age + 1 else 0
