"""Everything that upkeep does to a store, in order, to be interrupted: python upkeep_scenario.py FOLDER DIE_AT.

As a program it kills itself by SIGKILL when it comes to the statement of that number.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from agent.hub import sqlite_parts
from agent.hub.sqlite_reader import SqliteReader
from agent.hub.sqlite_schema import open_part
from agent.hub.sqlite_store import SqliteStore
from agent.hub.store import Limits
from agent.testing.store_suite import DAY_S, OpenedStore

__all__ = ["FIRST_LOST", "LATER_S", "LIMITS", "ROUNDS", "Record", "open_traced", "play", "records_of"]

LIMITS = Limits(points_s=float(DAY_S), rollups_s=100.0 * DAY_S)
LATER_S = 6 * DAY_S
"""By then every point of the scenario is older than points are kept, and every roll-up is made."""

Record = tuple[float, float, float]
"""Seconds, value, weight."""

ROUNDS: tuple[tuple[range, float, float], ...] = (
    (range(1, 31), 1.0, 60),
    (range(31, 61), 31.0, 90),
    (range(61, 62), 590.0, 700),
    (range(62, 64), 660.0, 1000),
    (range(64, 65), 5.0, 1100),
    (range(65, 66), 4000.0, 9000),
    (range(66, 67), 20.0, 45_000),
    (range(67, 68), 80_000.0, 2 * DAY_S),
    (range(68, 68), 0.0, LATER_S),
)
"""Sequence numbers that are appended, the second of the first of them, and when upkeep runs after that."""
FIRST_LOST = 7
"""From that round on points may be too old."""


def records_of(round_index: int) -> list[tuple[int, Record]]:
    """What a round appends, by number."""
    seqs, first_s, _ = ROUNDS[round_index]
    return [(seq, (first_s + seq - seqs.start, seq * 0.5, 1.0 + seq % 3)) for seq in seqs]


def open_traced(folder: Path, on_statement: Callable[[], None]) -> OpenedStore:
    """The store, which tells of every statement before the writer executes it."""

    def open_and_trace(path: Path) -> object:
        part = open_part(path)
        part.set_trace_callback(lambda _: on_statement())
        return part

    sqlite_parts.open_part = open_and_trace  # type: ignore[assignment]
    path = folder / "hub.sqlite3"
    opened = OpenedStore(SqliteStore(path), SqliteReader(path))
    opened.store._connection.set_trace_callback(lambda _: on_statement())
    return opened


def play(opened: OpenedStore, on_round: Callable[[int], None] = lambda index: None) -> None:
    """All rounds; each is told of after its records are durable and before upkeep begins."""
    for index, (_, _, now_s) in enumerate(ROUNDS):
        batches = [
            opened.batch(seq, second, {opened.load: value}, weights=[weight], received_s=now_s - 1)
            for seq, (second, value, weight) in records_of(index)
        ]
        opened.append(*batches)
        on_round(index)
        opened.keep_up(now_s, LIMITS)


def main(folder: str, die_at: str) -> None:
    left = [int(die_at)]

    def count() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    play(open_traced(Path(folder), count))


if __name__ == "__main__":
    main(*sys.argv[1:])
