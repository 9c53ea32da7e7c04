"""Series whose values are decimals of few digits, exactly: as whole numbers of the last digit's unit they change by little.

Source:
    Afroozeh, Kuffo, Boncz, ALP: Adaptive Lossless floating-Point Compression, SIGMOD 2024, section 3: a double that was written
    as a decimal is a whole number after multiplying by a power of ten, and comes back by dividing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOT_DECIMAL", "decimal_changes", "digits_of", "from_decimal_changes"]

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]
Digits = NDArray[np.uint8]

NOT_DECIMAL = 255
"""Digits of a series that is none of these."""

_MAX_DIGITS = 6
_UNITS = np.array([10.0**digits for digits in range(_MAX_DIGITS + 1)])
_MAX_UNITS = 2.0**52
_LOOKED_AT = 8


def digits_of(column: Floats) -> Digits:
    """How many digits after the point the values of each series have; shape (s, t) becomes (s,).

    A few values of a series propose, all of them decide: exact to the bit, so that neither -0.0 nor NaN is a decimal.
    """
    proposed = np.full(len(column), NOT_DECIMAL, np.uint8)
    some = column[:, :: max(1, column.shape[1] // _LOOKED_AT)]
    for digits in range(_MAX_DIGITS, -1, -1):
        proposed[_are_decimals(some, _UNITS[digits]).all(axis=1)] = digits
    candidates = np.flatnonzero(proposed != NOT_DECIMAL)
    refused = ~_are_decimals(column[candidates], _UNITS[proposed[candidates], None]).all(axis=1)
    proposed[candidates[refused]] = NOT_DECIMAL
    return proposed


def decimal_changes(column: Floats, digits: Digits) -> Words:
    """Of each value the difference to the one before it, in units of the last digit; its sign is the lowest bit."""
    units: NDArray[np.int64] = np.rint(column * _UNITS[digits, None]).astype(np.int64)
    changes = np.diff(units, axis=1, prepend=np.int64(0))
    return ((changes << 1) ^ (changes >> 63)).view(np.uint64)


def from_decimal_changes(changes: Words, digits: Digits) -> Floats:
    """The opposite of `decimal_changes`."""
    signed = (changes >> np.uint64(1)).view(np.int64) ^ -(changes & np.uint64(1)).view(np.int64)
    whole: Floats = np.cumsum(signed, axis=1) / _UNITS[digits, None]
    return whole


def _are_decimals(values: Floats, unit: Floats | np.float64) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore", over="ignore"):
        units = np.rint(values * unit)
    is_small = np.abs(units) < _MAX_UNITS
    again = np.where(is_small, units, 0.0).astype(np.int64) / unit
    is_same: NDArray[np.bool_] = again.view(np.uint64) == np.ascontiguousarray(values).view(np.uint64)
    return is_small & is_same
