"""Steps of upkeep: changes of several files that happen together, by their number (see `agent.hub.sqlite_chunks`)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.hub.chunk import Chunk
from agent.hub.sqlite_chunks import ChunkRow, Level, add_chunk, chunks_between, kill, purge, recover
from agent.hub.sqlite_parts import Part, Parts

__all__ = ["Steps"]

Ids = NDArray[np.uint32]

_NONE = np.empty(0, np.uint32)


class Steps:
    """Makes one step after the other, on the writer's thread.

    Args:
        main: The main file's connection.
        parts: The other files.
    """

    def __init__(self, main: sqlite3.Connection, parts: Parts) -> None:
        self._main = main
        self._parts = parts
        self._number = 0
        self._defined: dict[Path, dict[int, Ids]] = {}
        """Of each part the series of each agent that it explains."""

    def begin(self) -> None:
        """Know the step that happened last, and undo what a killed or failed round left of the next one."""
        self._parts.roll_back()
        self._number = self._main.execute("SELECT step FROM progress").fetchone()[0]
        parts = self._parts.all()
        for part in parts:
            with self._parts.using(part) as connection:
                recover(connection, self._number)
        self._defined = {part.path: self._defined[part.path] for part in parts if part.path in self._defined}

    def abandon(self) -> None:
        """Forget what may not have been written; `begin` comes next."""
        self._defined.clear()

    @contextmanager
    def making(self, changed: Sequence[Part], main_work: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Change these parts, then the main file by `main_work`; with its number the step happens, unless anything failed."""
        for part in changed:
            with self._parts.using(part) as connection:
                connection.execute("BEGIN IMMEDIATE")
        yield
        for part in changed:
            with self._parts.using(part) as connection:
                connection.execute("COMMIT")
        self._publish(main_work)

    def chunks(self, part: Part, agent_id: int, level: Level, from_ns: int, to_ns: int) -> list[ChunkRow]:
        """The chunks that there were before the step that is being made; see `chunks_between`."""
        with self._parts.using(part) as connection:
            return chunks_between(connection, agent_id, level, from_ns, to_ns, step=self._number)

    def add(self, part: Part, agent_id: int, level: Level, chunk: Chunk, *, received_ns: int, is_loose: bool) -> None:
        """Store a chunk in a part that is being changed; one of batches without points is none."""
        if not len(chunk.ids):
            return
        with self._parts.using(part) as connection:
            self._define(part, connection, agent_id, chunk.ids)
            step = self._number + 1
            add_chunk(connection, agent_id, level, chunk, received_ns=received_ns, is_loose=is_loose, step=step)

    def kill(self, part: Part, rows: Sequence[ChunkRow]) -> None:
        """Let these be gone from a part that is being changed."""
        with self._parts.using(part) as connection:
            kill(connection, [row.row_id for row in rows], self._number + 1)

    def purge(self) -> None:
        """Remove from all parts what is gone."""
        for part in self._parts.all():
            with self._parts.using(part) as connection:
                connection.execute("BEGIN IMMEDIATE")
                purge(connection, self._number)
                connection.execute("COMMIT")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _publish(self, main_work: Callable[[], None]) -> None:
        self._main.execute("BEGIN IMMEDIATE")
        try:
            main_work()
            self._main.execute("UPDATE progress SET step = ?", (self._number + 1,))
            self._main.execute("COMMIT")
        except BaseException:
            if self._main.in_transaction:
                self._main.execute("ROLLBACK")
            raise
        self._number += 1

    def _define(self, part: Part, connection: sqlite3.Connection, agent_id: int, ids: Ids) -> None:
        """Let a part say itself what its numbers mean, so that it outlives the main file."""
        if part.path not in self._defined:
            self._defined[part.path] = _defined_in(connection)
        defined = self._defined[part.path]
        if np.isin(ids, defined.get(agent_id, _NONE)).all():
            return
        agent = self._main.execute("SELECT id, name FROM agent WHERE id = ?", (agent_id,))
        connection.executemany("INSERT OR IGNORE INTO agent VALUES (?, ?)", agent.fetchall())
        columns = "id, agent_id, name, labels, text, unit, kind"
        series = self._main.execute(f"SELECT {columns} FROM series WHERE agent_id = ?", (agent_id,)).fetchall()  # noqa: S608
        connection.executemany("INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?, ?, ?, ?)", series)
        defined[agent_id] = np.array([row[0] for row in series], np.uint32)


def _defined_in(part: sqlite3.Connection) -> dict[int, Ids]:
    rows = part.execute("SELECT agent_id, id FROM series ORDER BY agent_id")
    pairs = np.fromiter(chain.from_iterable(rows), np.uint32).reshape(-1, 2)
    agents, starts = np.unique(pairs[:, 0], return_index=True)
    return dict(zip(agents.tolist(), np.split(pairs[:, 1], starts[1:]), strict=False))
