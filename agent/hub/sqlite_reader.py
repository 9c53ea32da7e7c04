"""Queries of the embedded store, on connections of their own: they see what is durable and never wait for the writer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.hub.chunk import Chunk, chunk_of, join
from agent.hub.chunk_codec import ChunkDamaged, decode
from agent.hub.records import AgentRow, BatchWrite, EventRow, Points, SeriesRow, Stretches
from agent.hub.rollup import COLUMNS, completed, rolled_up
from agent.hub.sqlite_chunks import HOUR, MINUTE, POINT, Level, chunks_between, purged_step
from agent.hub.sqlite_folding import BATCH_COLUMNS, batch_of
from agent.hub.sqlite_parts import PartKind, parts_in
from agent.hub.sqlite_rescue import parts_folder
from agent.hub.sqlite_schema import has_tables, is_damage, open_for_reading
from agent.hub.store import TooManyPoints

__all__ = ["SqliteReader"]

_AGENT_COLUMNS = (
    "id, name, labels, version, epoch, last_seq, last_seen_ns, last_time_ns, series_count,"
    " points_total, batches_total, duplicates_total, gap_points_total"
)
_LATEST_COLUMNS = "agent_id, epoch_id, seq, 0, time_ns, received_ns, ids, points, flags, weights, bounds"
_MAX_NS = 2**63 - 1

Ask = tuple[Level, bool]
"""Chunks of one level, and whether only loose ones."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Series of one agent, from <= time <= to."""

    agent_id: int
    series_ids: Sequence[int]
    from_ns: int
    to_ns: int


class _Overtaken(Exception):
    """Upkeep removed what this snapshot still needed."""


class SqliteReader:
    """`StoreReader` of what a `SqliteStore` writes.

    Args:
        path: The main file.
        on_damage: Told in words of what cannot be read; the query goes on without it.
    """

    def __init__(self, path: Path, on_damage: Callable[[str], None] = lambda text: None) -> None:
        self._main = open_for_reading(path)
        self._folder = parts_folder(path)
        self._on_damage = on_damage
        self._parts: dict[Path, sqlite3.Connection] = {}

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
        chunks = self._chunks(_Wanted(agent_id, series_ids, from_ns, to_ns), _asks(1))
        count = sum(chunk.points for chunk in chunks)
        if count > limit:
            raise TooManyPoints(f"more than {limit} points; ask for less time, for fewer series, or with step=")
        found = dict.fromkeys(series_ids, _NO_POINTS)
        if chunks:
            whole = join(chunks)
            found.update((int(one), _points_of(whole, row)) for row, one in enumerate(whole.ids))
        return found

    def stretches(
        self, agent_id: int, series_ids: Sequence[int], from_ns: int, to_ns: int, *, step_ns: int, limit: int
    ) -> dict[int, Stretches]:
        """See `StoreReader.stretches`."""
        from_ns, to_ns = from_ns // step_ns * step_ns, min(to_ns // step_ns * step_ns + step_ns - 1, _MAX_NS)
        chunks = self._chunks(_Wanted(agent_id, series_ids, from_ns, to_ns), _asks(step_ns))
        found = dict.fromkeys(series_ids, _NO_STRETCHES)
        if chunks:
            whole = rolled_up(chunks, step_ns)
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
        with self._snapshot():
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
        for part in self._parts.values():
            part.close()
        self._parts.clear()
        self._main.close()

    @contextmanager
    def _snapshot(self) -> Iterator[int]:
        """See the main file as it is now, whatever is written meanwhile; the step of upkeep that happened last."""
        self._main.execute("BEGIN")
        try:
            yield int(self._main.execute("SELECT step FROM progress").fetchone()[0])
        finally:
            self._main.execute("COMMIT")

    def _chunks(self, wanted: _Wanted, asks: dict[PartKind, list[Ask]]) -> list[Chunk]:
        """What stands in parts and what has landed since, cut to the time asked for."""
        while True:
            try:
                with self._snapshot() as step:
                    found = [*self._landed(wanted)]
                    for kind, levels in asks.items():
                        found += self._stored(kind, levels, wanted, step)
            except _Overtaken:
                continue
            cut = (chunk.between(wanted.from_ns, wanted.to_ns) for chunk in found)
            return [chunk for chunk in cut if len(chunk.ids) and len(chunk.times_ns)]

    def _landed(self, wanted: _Wanted) -> Iterator[Chunk]:
        rows = self._main.execute(
            f"SELECT {BATCH_COLUMNS} FROM batch WHERE agent_id = ? AND time_ns BETWEEN ? AND ? ORDER BY time_ns",  # noqa: S608
            (wanted.agent_id, wanted.from_ns, wanted.to_ns),
        )
        while batches := [batch_of(row) for row in rows.fetchmany(1000)]:
            chunk = chunk_of(batches)
            yield chunk.picked(np.flatnonzero(np.isin(chunk.ids, np.array(wanted.series_ids, np.uint32))))

    def _stored(self, kind: PartKind, asks: list[Ask], wanted: _Wanted, step: int) -> list[Chunk]:
        found: list[Chunk] = []
        parts = parts_in(self._folder, kind)
        self._forget_removed({part.path for part in parts}, kind)
        for part in parts:
            try:
                found += self._read_part(part.path, asks, wanted, step)
            except FileNotFoundError:
                continue
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._on_damage(f"{part.path}: cannot be read ({error}); queries leave it out")
        return found

    def _read_part(self, path: Path, asks: list[Ask], wanted: _Wanted, step: int) -> list[Chunk]:
        part = self._part(path)
        found: list[Chunk] = []
        part.execute("BEGIN")
        try:
            if purged_step(part) > step:
                raise _Overtaken
            for level, loose_only in asks:
                span = (wanted.from_ns, wanted.to_ns)
                rows = chunks_between(part, wanted.agent_id, level, *span, step=step, loose_only=loose_only)
                chunks = self._decoded(path, [row.data for row in rows], wanted.series_ids)
                found += chunks if level is POINT else (completed(chunk, level.step_ns) for chunk in chunks)
        finally:
            if part.in_transaction:
                part.execute("COMMIT")
        return found

    def _decoded(self, path: Path, blobs: list[bytes], series_ids: Sequence[int]) -> Iterator[Chunk]:
        for blob in blobs:
            try:
                yield decode(blob, series_ids)
            except ChunkDamaged as error:
                self._on_damage(f"{path}: {error}; queries leave it out")

    def _part(self, path: Path) -> sqlite3.Connection:
        """A part's connection.

        Raises:
            FileNotFoundError: It was removed a moment ago, or is being made at this moment and holds nothing yet.
        """
        if path not in self._parts:
            try:
                self._parts[path] = open_for_reading(path)
            except sqlite3.OperationalError as error:
                raise FileNotFoundError(path) from error
            if not has_tables(self._parts[path]):
                self._parts.pop(path).close()
                raise FileNotFoundError(path)
        return self._parts[path]

    def _forget_removed(self, existing: set[Path], kind: PartKind) -> None:
        for path in [path for path in self._parts if path.name.startswith(kind.value) and path not in existing]:
            self._parts.pop(path).close()


def _asks(step_ns: int) -> dict[PartKind, list[Ask]]:
    """The coarsest chunks that can answer, and below them only what is not in those yet."""
    if step_ns % HOUR.step_ns == 0:
        return {PartKind.ROLLUPS: [(HOUR, False), (MINUTE, True)], PartKind.POINTS: [(POINT, True)]}
    if step_ns % MINUTE.step_ns == 0:
        return {PartKind.ROLLUPS: [(MINUTE, False)], PartKind.POINTS: [(POINT, True)]}
    return {PartKind.POINTS: [(POINT, False)]}


_NO_POINTS = Points(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0, np.uint8), np.empty(0))
_NO_STRETCHES = Stretches(np.empty(0, np.int64), {name: np.empty(0) for name in COLUMNS})


def _points_of(whole: Chunk, row: int) -> Points:
    values, times_ns = whole.columns["values"][row], whole.times_ns
    weights = whole.columns["weights"][row] if "weights" in whole.columns else np.ones(len(values))
    flags = whole.columns["flags"][row] if "flags" in whole.columns else np.zeros(len(values))
    bounds = whole.columns["bounds"][row] if "bounds" in whole.columns else np.zeros(len(values))
    is_there = weights > 0
    columns = (weights[is_there], flags[is_there].astype(np.uint8), bounds[is_there])
    return Points(times_ns[is_there], values[is_there], *columns)


def _stretches_of(whole: Chunk, row: int) -> Stretches:
    is_there = whole.columns["count"][row] > 0
    return Stretches(whole.times_ns[is_there], {name: whole.column(name)[row][is_there] for name in COLUMNS})
