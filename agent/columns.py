"""The columns of a batch without numpy, for an agent that computes nothing over its series: the lite profile."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from agent.model import BoundArray, FlagArray, FloatArray, IdArray

    Numbers = array[Any]
else:
    Numbers = array

__all__ = ["Columns", "PlainColumn", "PlainColumns", "column_of", "numbers_of"]


class Columns(Protocol):
    """Makes the columns of batches, all in the same way."""

    def ids(self, numbers: Collection[int], /) -> IdArray: ...
    def values(self, numbers: Collection[float], /) -> FloatArray: ...
    def flags(self, numbers: Collection[int], /) -> FlagArray: ...
    def bounds(self, numbers: Collection[float], /) -> BoundArray: ...


class PlainColumn(Numbers):
    """Numbers end to end, with as much of an array's face as buffers, spool, protocol and sinks ask for."""

    @property
    def nbytes(self) -> int:
        return len(self) * self.itemsize

    def any(self) -> bool:
        return any(self)

    def astype(self, form: str, *, copy: bool = True) -> PlainColumn:
        """The same numbers as they go on the wire, little-endian; `form` must say so and be of the same size."""
        if form[0] != "<" or int(form[2:]) != self.itemsize:
            raise TypeError(f"a column of {self.typecode!r} cannot be made {form!r}")
        if sys.byteorder == "little":
            return PlainColumn(self.typecode, self) if copy else self
        swapped = PlainColumn(self.typecode, self)
        swapped.byteswap()
        return swapped


class PlainColumns:
    """`Columns` as plain arrays."""

    def ids(self, numbers: Collection[int], /) -> IdArray:
        return cast("IdArray", PlainColumn("I", numbers))

    def values(self, numbers: Collection[float], /) -> FloatArray:
        return cast("FloatArray", PlainColumn("d", numbers))

    def flags(self, numbers: Collection[int], /) -> FlagArray:
        return cast("FlagArray", PlainColumn("B", numbers))

    def bounds(self, numbers: Collection[float], /) -> BoundArray:
        return cast("BoundArray", PlainColumn("f", numbers))


def numbers_of(data: bytes, typecode: str) -> Any:
    """The numbers of a column as it is on the wire; a list.

    Args:
        data: Little-endian, end to end.
        typecode: Of `array`: `I`, `d`, `B`, `f`.
    """
    column = array(typecode)
    column.frombytes(data)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tolist()


def column_of(numbers: Collection[float], typecode: str) -> bytes:
    """A column as it is on the wire; the reverse of `numbers_of`."""
    column = array(typecode, numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()
