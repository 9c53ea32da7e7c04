"""Queries of the embedded store, on connections of their own: they see what is durable and never wait for the writer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from agent.hub.chunk import Chunk, join
from agent.hub.records import AgentRow, BatchWrite, EventRow, Points, SeriesRow, Stretches
from agent.hub.rollup import COLUMNS, rolled_up
from agent.hub.sqlite_chunk_reader import ChunkReader, Wanted, snapshot
from agent.hub.sqlite_folding import BATCH_COLUMNS, batch_of
from agent.hub.sqlite_rescue import parts_folder
from agent.hub.sqlite_schema import open_for_reading
from agent.hub.store import TooManyPoints

__all__ = ["SqliteReader"]

_AGENT_COLUMNS = (
    "id, name, labels, version, epoch, last_seq, last_seen_ns, last_time_ns, series_count,"
    " points_total, batches_total, duplicates_total, gap_points_total"
)
_LATEST_COLUMNS = "agent_id, epoch_id, seq, 0, time_ns, received_ns, ids, points, flags, weights, bounds"
_MAX_NS = 2**63 - 1
_POINT_COLUMNS = ("values", "weights", "flags", "bounds")


class SqliteReader:
    """`StoreReader` of what a `SqliteStore` writes.

    Args:
        path: The main file.
        on_damage: Told in words of what cannot be read; the query goes on without it.
    """

    def __init__(self, path: Path, on_damage: Callable[[str], None] = lambda text: None) -> None:
        self._main = open_for_reading(path)
        self._stored = ChunkReader(self._main, parts_folder(path), on_damage)

    def agents(self) -> list[AgentRow]:
        """See `StoreReader.agents`."""
        rows = self._main.execute(f"SELECT {_AGENT_COLUMNS} FROM agent ORDER BY name")  # noqa: S608 - a constant
        return [AgentRow(agent_id, name, json.loads(labels), *rest) for agent_id, name, labels, *rest in rows]

    def series(self, agent_id: int | None, name: str = "", text: str = "") -> list[SeriesRow]:
        """See `StoreReader.series`. Only conditions that are asked for stand in the query, so that an index answers it."""
        asked = {"agent_id": agent_id, "name": name or text.partition("{")[0], "text": text}
        asked = {column: value for column, value in asked.items() if value}
        where = " AND ".join(f"{column} = :{column}" for column in asked) or "TRUE"
        columns = "id, text, name, labels, unit, kind"
        rows = self._main.execute(f"SELECT {columns} FROM series WHERE {where} ORDER BY text", asked)  # noqa: S608
        return [SeriesRow(row[0], row[1], row[2], json.loads(row[3]), row[4], row[5]) for row in rows.fetchall()]

    def points(
        self, agent_id: int, series_ids: Sequence[int], from_ns: int, to_ns: int, *, limit: int
    ) -> dict[int, Points]:
        """See `StoreReader.points`."""
        chunks = self._stored.chunks(Wanted(agent_id, series_ids, from_ns, to_ns), step_ns=1)
        count = sum(chunk.points for chunk in chunks)
        if count > limit:
            raise TooManyPoints(f"more than {limit} points; ask for less time, for fewer series, or with step=")
        found = dict.fromkeys(series_ids, _NO_POINTS)
        if chunks:
            made = join(chunks)
            whole = Chunk(made.ids, made.times_ns, {name: made.column(name) for name in _POINT_COLUMNS})
            found.update((int(one), _points_of(whole, row)) for row, one in enumerate(whole.ids))
        return found

    def stretches(
        self, agent_id: int, series_ids: Sequence[int], from_ns: int, to_ns: int, *, step_ns: int, limit: int
    ) -> dict[int, Stretches]:
        """See `StoreReader.stretches`."""
        from_ns, to_ns = from_ns // step_ns * step_ns, min(to_ns // step_ns * step_ns + step_ns - 1, _MAX_NS)
        chunks = self._stored.chunks(Wanted(agent_id, series_ids, from_ns, to_ns), step_ns=step_ns)
        found = dict.fromkeys(series_ids, _NO_STRETCHES)
        if chunks:
            made = rolled_up(chunks, step_ns)
            whole = Chunk(made.ids, made.times_ns, {name: made.column(name) for name in COLUMNS})
            if int(np.count_nonzero(whole.columns["count"])) > limit:
                raise TooManyPoints(
                    f"more than {limit} stretches; ask for less time, for fewer series, or a longer step="
                )
            found.update((int(one), _stretches_of(whole, row)) for row, one in enumerate(whole.ids))
        return found

    def latest(self, agent_id: int | None = None) -> list[BatchWrite]:
        """See `StoreReader.latest`."""
        newest: dict[int, BatchWrite] = {}
        columns = BATCH_COLUMNS.replace("time_ns", "max(time_ns)", 1)
        with snapshot(self._main):
            for query in (
                f"SELECT {_LATEST_COLUMNS} FROM latest WHERE ?1 IS NULL OR agent_id = ?1",  # noqa: S608 - constants
                f"SELECT {columns} FROM batch WHERE ?1 IS NULL OR agent_id = ?1 GROUP BY agent_id",  # noqa: S608
            ):
                for batch in map(batch_of, self._main.execute(query, (agent_id,))):
                    known = newest.get(batch.agent_id)
                    if known is None or batch.time_ns >= known.time_ns:
                        newest[batch.agent_id] = batch
        return list(newest.values())

    def events(self, agent_id: int | None, from_ns: int, to_ns: int, limit: int) -> list[EventRow]:
        """See `StoreReader.events`."""
        rows = self._main.execute(
            "SELECT time_ns, agent.name, kind, component, level, detail FROM event JOIN agent ON agent.id = agent_id"
            " WHERE time_ns BETWEEN ?1 AND ?2 AND (?3 IS NULL OR agent_id = ?3) ORDER BY time_ns DESC, event.id DESC LIMIT ?4",
            (from_ns, to_ns, agent_id, limit),
        ).fetchall()
        return [EventRow(*row) for row in reversed(rows)]

    def close(self) -> None:
        """See `StoreReader.close`; safe twice."""
        self._stored.close()
        self._main.close()


_NO_POINTS = Points(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0, np.uint8), np.empty(0))
_NO_STRETCHES = Stretches(np.empty(0, np.int64), {name: np.empty(0) for name in COLUMNS})


def _points_of(whole: Chunk, row: int) -> Points:
    is_there = whole.columns["weights"][row] > 0
    values, weights, flags, bounds = (whole.columns[name][row][is_there] for name in _POINT_COLUMNS)
    return Points(whole.times_ns[is_there], values, weights, flags.astype(np.uint8), bounds)


def _stretches_of(whole: Chunk, row: int) -> Stretches:
    is_there = whole.columns["count"][row] > 0
    return Stretches(whole.times_ns[is_there], {name: column[row][is_there] for name, column in whole.columns.items()})
