"""Chunks as rows of a part, and which of them are there at a given step.

Upkeep changes several files, and no transaction spans them. So its steps are numbered: what a step writes is `born` in it
and what it replaces is `dead` from it on, in whatever file; at last the main file's transaction moves its own number forward,
and with that the step has happened, everywhere. Killed before, it never was. Readers take the number with their snapshot of
the main file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter

from agent.hub.chunk import Chunk
from agent.hub.chunk_codec import encode

__all__ = [
    "HOUR",
    "LEVELS",
    "MINUTE",
    "POINT",
    "ChunkRow",
    "Level",
    "add_chunk",
    "chunks_between",
    "kill",
    "purge",
    "purged_step",
    "recover",
]

_S = 1_000_000_000
_FIND = (
    "SELECT first_ns, id, received_ns, is_loose, data FROM chunk"
    " WHERE agent_id = ? AND level = ? AND last_ns >= ? AND first_ns <= ?"
    " AND born <= ? AND (dead IS NULL OR dead > ?) AND is_loose >= ?"
)
_OF_SERIES = " AND first_id <= ? AND last_id >= ?"


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution.

    Attributes:
        number: In the column `level`: length of its stretches in seconds; 0 = the points themselves.
        cell_ns: Chunks do not cross multiples of this, and those of one cell are brought together into one,
        settle_ns: when for so long nothing more came in for it.
    """

    number: int
    cell_ns: int
    settle_ns: int

    @property
    def step_ns(self) -> int:
        return self.number * _S


POINT = Level(0, 600 * _S, 120 * _S)
MINUTE = Level(60, 6 * 3600 * _S, 1200 * _S)
HOUR = Level(3600, 240 * 3600 * _S, 8 * 3600 * _S)
LEVELS = (POINT, MINUTE, HOUR)


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A stored chunk; `is_loose` until it was brought together with the others of its cell and into the next level."""

    row_id: int
    received_ns: int
    is_loose: bool
    data: bytes


def add_chunk(
    part: sqlite3.Connection, agent_id: int, level: Level, chunk: Chunk, *, received_ns: int, is_loose: bool, step: int
) -> None:
    """Store a chunk that holds at least one series and one time."""
    first_ns, last_ns = int(chunk.times_ns[0]), int(chunk.times_ns[-1])
    part.execute(
        "INSERT INTO chunk (agent_id, level, cell, first_ns, last_ns, received_ns, is_loose, born, first_id, last_id, data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            agent_id,
            level.number,
            first_ns // level.cell_ns,
            first_ns,
            last_ns,
            received_ns,
            int(is_loose),
            step,
            int(chunk.ids[0]),
            int(chunk.ids[-1]),
            encode(chunk),
        ),
    )


def chunks_between(
    part: sqlite3.Connection,
    agent_id: int,
    level: Level,
    from_ns: int,
    to_ns: int,
    *,
    step: int,
    loose_only: bool = False,
    series_ids: Sequence[int] = (),
) -> list[ChunkRow]:
    """The chunks that are there at that step and hold, or might hold, times with from <= time <= to; oldest first.

    Args:
        series_ids: Only chunks that might hold one of these; () = all. The part must tell (see `tells_series`).
    """
    span = (max(series_ids), min(series_ids)) if series_ids else ()
    rows = part.execute(
        _FIND + _OF_SERIES if series_ids else _FIND,
        (agent_id, level.number, from_ns, to_ns, step, step, int(loose_only), *span),
    ).fetchall()
    rows.sort(key=itemgetter(0, 1))  # SQLite would copy the data to sort: ten times as long as finding it
    return [ChunkRow(row_id, received_ns, bool(is_loose), data) for _, row_id, received_ns, is_loose, data in rows]


def kill(part: sqlite3.Connection, row_ids: Iterable[int], step: int) -> None:
    """Let these be gone from that step on."""
    part.executemany("UPDATE chunk SET dead = ? WHERE id = ?", [(step, row_id) for row_id in row_ids])


def purge(part: sqlite3.Connection, step: int) -> None:
    """Remove what is gone at that step; what readers of earlier steps would see is incomplete from here on."""
    if part.execute("DELETE FROM chunk WHERE dead <= ?", (step,)).rowcount:
        part.execute("UPDATE purge SET step = ?", (step,))


def purged_step(part: sqlite3.Connection) -> int:
    """Readers of a step before this one miss something."""
    return int(part.execute("SELECT step FROM purge").fetchone()[0])


def recover(part: sqlite3.Connection, step: int) -> None:
    """Undo what belongs to steps that never happened: all after this one."""
    part.execute("DELETE FROM chunk WHERE born > ?", (step,))
    part.execute("UPDATE chunk SET dead = NULL WHERE dead > ?", (step,))
