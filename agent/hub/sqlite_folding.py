"""Batches as they landed: rows of the main file, until upkeep folds them into chunks."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence

from agent.hub.chunk import chunk_of
from agent.hub.records import BatchWrite
from agent.hub.sqlite_chunks import POINT
from agent.hub.sqlite_parts import Part
from agent.hub.sqlite_steps import Steps

__all__ = ["BATCH_COLUMNS", "Folding", "batch_of"]

BATCH_COLUMNS = "agent_id, epoch_id, seq, 0, time_ns, received_ns, ids, points, flags, weights, bounds"

_STEP_ROWS = 1000
_STEP_AGENTS = 50
"""Each costs a chunk, and once its definitions, however few batches it sent; everything else waits for a step."""
_STEP_BYTES = 4_194_304


def batch_of(row: Sequence[object]) -> BatchWrite:
    """A row of BATCH_COLUMNS."""
    return BatchWrite(*row)  # type: ignore[arg-type]  # the columns have these types: the tables are STRICT


class Folding:
    """Brings batches into chunks of points, a loose one for each agent and cell.

    Args:
        main: The main file's connection.
        steps: Makes the steps.
    """

    def __init__(self, main: sqlite3.Connection, steps: Steps) -> None:
        self._main = main
        self._steps = steps

    def run(self, into: Part) -> Iterator[int]:
        """Fold every batch that is there now; of each step how many."""
        agents = [row[0] for row in self._main.execute("SELECT DISTINCT agent_id FROM batch")]
        rows: list[tuple[int, BatchWrite]] = []
        for number, agent_id in enumerate(agents, start=1):
            is_all = False
            while not is_all:
                is_all = self._take_landed(agent_id, rows)
                if not is_all or len(rows) >= _STEP_ROWS or number % _STEP_AGENTS == 0:
                    yield self._fold(rows, into)
                    rows.clear()
        if rows:
            yield self._fold(rows, into)

    def _take_landed(self, agent_id: int, rows: list[tuple[int, BatchWrite]]) -> bool:
        """Add the agent's batches, as many as one step takes; False when there are more."""
        found = self._main.execute(
            f"SELECT id, {BATCH_COLUMNS} FROM batch WHERE agent_id = ? ORDER BY time_ns",  # noqa: S608 - a constant
            (agent_id,),
        )
        size_bytes = 0
        for taken, row in enumerate(found):
            if taken >= _STEP_ROWS or size_bytes >= _STEP_BYTES:
                return False
            rows.append((row[0], batch_of(row[1:])))
            size_bytes += len(row[7])
        return True

    def _fold(self, rows: list[tuple[int, BatchWrite]], into: Part) -> int:
        cells: dict[tuple[int, int], list[BatchWrite]] = defaultdict(list)
        for _, batch in rows:
            cells[batch.agent_id, batch.time_ns // POINT.cell_ns].append(batch)
        with self._steps.making([into], lambda: self._forget_landed(rows)):
            for (agent_id, _), batches in cells.items():
                received_ns = max(batch.received_ns for batch in batches)
                self._steps.add(into, agent_id, POINT, chunk_of(batches), received_ns=received_ns, is_loose=True)
        return len(rows)

    def _forget_landed(self, rows: list[tuple[int, BatchWrite]]) -> None:
        """Delete what was folded; of each agent the newest batch stays known."""
        newest: dict[int, BatchWrite] = {}
        for _, batch in rows:
            known = newest.get(batch.agent_id)
            if known is None or batch.time_ns >= known.time_ns:
                newest[batch.agent_id] = batch
        self._main.executemany("DELETE FROM batch WHERE id = ?", [(row_id,) for row_id, _ in rows])
        self._main.executemany(
            "INSERT INTO latest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (agent_id) DO UPDATE SET"
            " (epoch_id, seq, time_ns, received_ns, ids, points, flags, weights, bounds) = (excluded.epoch_id,"
            " excluded.seq, excluded.time_ns, excluded.received_ns, excluded.ids, excluded.points, excluded.flags,"
            " excluded.weights, excluded.bounds)"
            " WHERE excluded.time_ns >= time_ns",
            [
                (b.agent_id, b.epoch_id, b.seq, b.time_ns, b.received_ns, b.ids, b.values, b.flags, b.weights, b.bounds)
                for b in newest.values()
            ],
        )
