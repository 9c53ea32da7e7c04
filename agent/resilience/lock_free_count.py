"""Counts what many threads do, without a lock."""

from __future__ import annotations

import itertools
from collections.abc import Callable

__all__ = ["LockFreeCount"]


class LockFreeCount:
    """Any thread may `add()`; one thread at a time may `take()`. Nothing is counted twice or not at all.

    Adding is one call of a C function, which no other thread can interrupt. Such a counter cannot be read without counting, so
    what was read is taken off the next time.

    Attributes:
        add: Count one.
    """

    __slots__ = ("_taken", "add")

    add: Callable[[], int]

    def __init__(self) -> None:
        self.add = itertools.count().__next__
        self._taken = 0

    def take(self) -> int:
        """How many were added since the last time."""
        added = self.add() - self._taken
        self._taken += added + 1
        return added
