"""Upkeep of the embedded store: fold batches into chunks, bring these together, roll up, let go of what is old or too much."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from agent.hub.sqlite_chunks import LEVELS
from agent.hub.sqlite_compaction import Compaction
from agent.hub.sqlite_folding import Folding
from agent.hub.sqlite_parts import PartDamaged, PartKind, Parts
from agent.hub.sqlite_retention import current_part, expire, let_go
from agent.hub.sqlite_steps import Steps
from agent.hub.store import Limits, Upkept

__all__ = ["Upkeep"]


class Upkeep:
    """One round of upkeep at a time, on the writer's thread.

    Args:
        main: The main file's connection.
        parts: The other files.
        found: Told in words of what was damaged and what became of it.
    """

    def __init__(self, main: sqlite3.Connection, parts: Parts, found: list[str]) -> None:
        self._main = main
        self._parts = parts
        self._found = found
        self._steps = Steps(main, parts)
        self._folding = Folding(main, self._steps)
        self._compaction = Compaction(parts, self._steps, found)

    def run(self, now_ns: int, limits: Limits) -> Iterator[Upkept]:
        """See `Store.upkeep`."""
        try:
            for done in self._steps_of_a_round(now_ns, limits):
                yield self._told(done)
        except PartDamaged as error:
            moved = self._parts.set_aside(error.part)
            self._found.append(f"{error.part.path}: damaged ({error}), now {moved.name}; its points cannot be queried")
            yield self._told(Upkept())
        except BaseException:
            self._steps.abandon()
            raise

    def _steps_of_a_round(self, now_ns: int, limits: Limits) -> Iterator[Upkept]:
        self._steps.begin()
        yield Upkept()
        for expired in expire(self._main, now_ns - round(limits.points_s * 1e9)):
            yield Upkept(expired=expired)
        points, rollups = (current_part(self._parts, kind, now_ns, limits) for kind in PartKind)
        for folded in self._folding.run(points):
            yield Upkept(folded=folded)
        for level in LEVELS:
            for _ in self._compaction.run(level, rollups, now_ns - level.settle_ns):
                yield Upkept()
        self._steps.purge()
        yield Upkept(expired=let_go(self._parts, now_ns, limits))

    def _told(self, upkept: Upkept) -> Upkept:
        upkept.damaged = tuple(self._found)
        self._found.clear()
        return upkept
