"""Upkeep of the embedded store: fold batches into chunks, bring these together, roll up, let go of what is old or too much."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.hub.chunk import Chunk, chunk_of, join
from agent.hub.chunk_codec import ChunkDamaged, decode
from agent.hub.rollup import completed, is_sampled, rolled_up
from agent.hub.sqlite_chunks import (
    HOUR,
    LEVELS,
    MINUTE,
    POINT,
    ChunkRow,
    Level,
    add_chunk,
    chunks_between,
    kill,
    purge,
    recover,
)
from agent.hub.sqlite_parts import Part, PartDamaged, PartKind, Parts
from agent.hub.store import BatchWrite, Limits, Upkept

__all__ = ["BATCH_COLUMNS", "Upkeep", "batch_of"]

BATCH_COLUMNS = "agent_id, epoch_id, seq, 0, time_ns, received_ns, ids, points, flags, weights, bounds"

_STEP_ROWS = 1000
_STEP_BYTES = 4_194_304
_STEP_CELLS = 2
_GROUP_CELLS = 2_000_000
_MAX_NS = 2**63 - 1
_EXPIRE_ROWS = 500
_SHARE = 8
_ROLLUP_SHARE = 0.25
_MIN_PART_S = 600.0
_MAX_PART_S = {PartKind.POINTS: 86_400.0, PartKind.ROLLUPS: 2_592_000.0}
_ABOVE: dict[Level, Level] = {POINT: MINUTE, MINUTE: HOUR}


def batch_of(row: Sequence[object]) -> BatchWrite:
    """A row of BATCH_COLUMNS."""
    return BatchWrite(*row)  # type: ignore[arg-type]  # the columns have these types: the tables are STRICT


@dataclass(frozen=True, slots=True)
class _Cell:
    """Chunks of one agent to be brought together."""

    part: Part
    level: Level
    agent_id: int
    number: int


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
        self._step = 0
        self._defined: dict[Path, set[int]] = {}

    def run(self, now_ns: int, limits: Limits) -> Iterator[Upkept]:
        """See `Store.upkeep`."""
        try:
            self._begin()
            yield self._told(Upkept())
            yield from self._expire(now_ns, limits)
            into = {kind: self._current(kind, now_ns, limits) for kind in PartKind}
            yield from self._fold(into[PartKind.POINTS])
            for level in LEVELS:
                yield from self._compact(level, into[PartKind.ROLLUPS], now_ns - level.settle_ns)
            self._purge()
            yield self._told(Upkept(expired=self._let_go(now_ns, limits)))
        except PartDamaged as error:
            moved = self._parts.set_aside(error.part)
            self._found.append(f"{error.part.path}: damaged ({error}), now {moved.name}; its points cannot be queried")
            yield self._told(Upkept())
        except BaseException:
            self._defined.clear()
            raise

    def _begin(self) -> None:
        """Know the step that happened last, and undo what a killed or failed round left of the next one."""
        self._parts.roll_back()
        self._step = self._main.execute("SELECT step FROM progress").fetchone()[0]
        for part in self._parts.all():
            with self._parts.using(part) as connection:
                recover(connection, self._step)

    def _told(self, upkept: Upkept) -> Upkept:
        upkept.damaged = tuple(self._found)
        self._found.clear()
        return upkept

    def _current(self, kind: PartKind, now_ns: int, limits: Limits) -> Part:
        _, max_age_s = _kept_s(kind, limits)
        return self._parts.current(kind, now_ns, max_age_s=max_age_s, max_bytes=limits.max_bytes // _SHARE)

    def _publish(self, changed: Sequence[Part], main_work: Callable[[], None]) -> None:
        """Make a step happen: first whatever the parts hold of it, then the main file with its number."""
        for part in changed:
            with self._parts.using(part) as connection:
                connection.execute("COMMIT")
        self._main.execute("BEGIN IMMEDIATE")
        try:
            main_work()
            self._main.execute("UPDATE progress SET step = ?", (self._step + 1,))
            self._main.execute("COMMIT")
        except BaseException:
            if self._main.in_transaction:
                self._main.execute("ROLLBACK")
            raise
        self._step += 1

    def _expire(self, now_ns: int, limits: Limits) -> Iterator[Upkept]:
        """Delete batches and events that came too long ago. Rows stand in the order in which they came: no index is needed."""
        before_ns = now_ns - round(limits.points_s * 1e9)
        deleted = _EXPIRE_ROWS
        while deleted >= _EXPIRE_ROWS:
            deleted = 0
            for table in ("batch", "event"):
                oldest = f"SELECT id, received_ns FROM {table} ORDER BY id LIMIT {_EXPIRE_ROWS}"  # noqa: S608 - names from above
                doomed = f"SELECT id FROM ({oldest}) WHERE received_ns < ?"  # noqa: S608
                deleted += self._main.execute(f"DELETE FROM {table} WHERE id IN ({doomed})", (before_ns,)).rowcount  # noqa: S608
            self._main.execute(f"PRAGMA incremental_vacuum({_EXPIRE_ROWS})").fetchall()
            yield self._told(Upkept(expired=deleted))

    def _fold(self, into: Part) -> Iterator[Upkept]:
        """Bring every batch that is there now into chunks."""
        agents = [row[0] for row in self._main.execute("SELECT DISTINCT agent_id FROM batch")]
        rows: list[tuple[int, BatchWrite]] = []
        for agent_id in agents:
            is_all = False
            while not is_all:
                is_all = self._take_landed(agent_id, rows)
                if not is_all or len(rows) >= _STEP_ROWS:
                    yield self._fold_step(rows, into)
                    rows.clear()
        if rows:
            yield self._fold_step(rows, into)

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

    def _fold_step(self, rows: list[tuple[int, BatchWrite]], into: Part) -> Upkept:
        cells: dict[tuple[int, int], list[BatchWrite]] = defaultdict(list)
        for _, batch in rows:
            cells[batch.agent_id, batch.time_ns // POINT.cell_ns].append(batch)
        with self._parts.using(into) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for (agent_id, _), batches in cells.items():
                received_ns = max(batch.received_ns for batch in batches)
                self._add(into, agent_id, POINT, chunk_of(batches), received_ns=received_ns, is_loose=True)
        self._publish([into], lambda: self._forget_landed(rows))
        return self._told(Upkept(folded=len(rows)))

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

    def _compact(self, level: Level, rollups: Part, before_ns: int) -> Iterator[Upkept]:
        """Bring together the chunks of cells in which nothing more came in since that time."""
        for part in self._parts.all():
            with self._parts.using(part) as connection:
                found = connection.execute(
                    "SELECT agent_id, cell FROM chunk WHERE is_loose AND level = ? AND dead IS NULL"
                    " GROUP BY agent_id, cell HAVING max(received_ns) <= ?",
                    (level.number, before_ns),
                ).fetchall()
            for first in range(0, len(found), _STEP_CELLS):
                cells = [_Cell(part, level, *one) for one in found[first : first + _STEP_CELLS]]
                yield self._compact_step(part, cells, rollups)

    def _compact_step(self, part: Part, cells: list[_Cell], rollups: Part) -> Upkept:
        changed = [part] if part == rollups else [part, rollups]
        for one in changed:
            with self._parts.using(one) as connection:
                connection.execute("BEGIN IMMEDIATE")
        for cell in cells:
            self._compact_cell(cell, rollups)
        self._publish(changed, lambda: None)
        return self._told(Upkept())

    def _compact_cell(self, cell: _Cell, rollups: Part) -> None:
        first_ns = cell.number * cell.level.cell_ns
        last_ns = min(first_ns + cell.level.cell_ns - 1, _MAX_NS)
        with self._parts.using(cell.part) as connection:
            rows = chunks_between(connection, cell.agent_id, cell.level, first_ns, last_ns, step=self._step)
            kill(connection, [row.row_id for row in rows], self._step + 1)
        received_ns = max(row.received_ns for row in rows)
        for group in self._groups(cell, rows):
            self._bring_together(cell, group, rollups, received_ns)

    def _bring_together(self, cell: _Cell, group: list[tuple[Chunk, bool]], rollups: Part, received_ns: int) -> None:
        level, chunks = cell.level, [chunk for chunk, _ in group]
        made = join(chunks) if level is POINT else rolled_up(chunks, level.step_ns)
        self._add(cell.part, cell.agent_id, level, made, received_ns=received_ns, is_loose=False)
        loose = [chunk for chunk, is_loose in group if is_loose]
        if level in _ABOVE and loose:
            above = self._rolled_up(cell, loose)
            self._add(rollups, cell.agent_id, _ABOVE[level], above, received_ns=received_ns, is_loose=True)

    def _rolled_up(self, cell: _Cell, chunks: list[Chunk]) -> Chunk:
        """For the level above. Where points were left out the way to the first one here begins in the cell before."""
        step_ns = _ABOVE[cell.level].step_ns
        if cell.level is not POINT or not any(map(is_sampled, chunks)):
            return rolled_up(chunks, step_ns)
        first_ns = cell.number * POINT.cell_ns
        with self._parts.using(cell.part) as connection:
            span = (first_ns - POINT.cell_ns, first_ns - 1)
            rows = chunks_between(connection, cell.agent_id, POINT, *span, step=self._step)
        before = [chunk for chunk, _ in self._decoded(cell, rows)]
        return rolled_up([*before, *chunks], step_ns).between(first_ns, _MAX_NS)

    def _groups(self, cell: _Cell, rows: list[ChunkRow]) -> Iterator[list[tuple[Chunk, bool]]]:
        """The chunks in groups that fit into memory well; mostly one."""
        group: list[tuple[Chunk, bool]] = []
        cells = 0
        for chunk, is_loose in self._decoded(cell, rows):
            group.append((chunk, is_loose))
            cells += len(chunk.ids) * len(chunk.times_ns) * len(chunk.columns)
            if cells >= _GROUP_CELLS:
                yield group
                group, cells = [], 0
        if group:
            yield group

    def _decoded(self, cell: _Cell, rows: list[ChunkRow]) -> Iterator[tuple[Chunk, bool]]:
        """Each chunk, and whether it is loose; a damaged one is left out and told."""
        for row in rows:
            try:
                chunk = decode(row.data)
            except ChunkDamaged as error:
                self._found.append(f"{cell.part.path}: {error}; left out")
                continue
            yield chunk if cell.level is POINT else completed(chunk, cell.level.step_ns), row.is_loose

    def _add(self, part: Part, agent_id: int, level: Level, chunk: Chunk, *, received_ns: int, is_loose: bool) -> None:
        with self._parts.using(part) as connection:
            self._define(part, connection, agent_id, chunk)
            step = self._step + 1
            add_chunk(connection, agent_id, level, chunk, received_ns=received_ns, is_loose=is_loose, step=step)

    def _define(self, part: Part, connection: sqlite3.Connection, agent_id: int, chunk: Chunk) -> None:
        """Let a part say itself what its numbers mean, so that it outlives the main file."""
        known = self._defined.get(part.path)
        if known is None:
            known = self._defined[part.path] = {row[0] for row in connection.execute("SELECT id FROM series")}
        if known.issuperset(chunk.ids.tolist()):
            return
        agent = self._main.execute("SELECT id, name FROM agent WHERE id = ?", (agent_id,))
        connection.executemany("INSERT OR IGNORE INTO agent VALUES (?, ?)", agent.fetchall())
        columns = "id, agent_id, name, labels, text, unit, kind"
        series = self._main.execute(f"SELECT {columns} FROM series WHERE agent_id = ?", (agent_id,)).fetchall()  # noqa: S608
        connection.executemany("INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?, ?, ?, ?)", series)
        known.update(row[0] for row in series)

    def _purge(self) -> None:
        for part in self._parts.all():
            with self._parts.using(part) as connection:
                connection.execute("BEGIN IMMEDIATE")
                purge(connection, self._step)
                connection.execute("COMMIT")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _let_go(self, now_ns: int, limits: Limits) -> int:
        """Remove parts that are too old, then the oldest while together they are too large; never one that takes new chunks."""
        removed = 0
        for kind in PartKind:
            kept_ns, max_age_ns = (round(seconds * 1e9) for seconds in _kept_s(kind, limits))
            parts = self._parts.of(kind)
            for index, part in enumerate(parts):
                closed_ns = parts[index + 1].opened_ns if index + 1 < len(parts) else part.opened_ns + max_age_ns
                if closed_ns < now_ns - kept_ns:
                    self._remove(part)
                    removed += 1
        return removed + self._let_go_of_too_much(limits.max_bytes)

    def _let_go_of_too_much(self, max_bytes: int) -> int:
        """Remove the oldest parts while there are too many bytes: of roll-ups where these take more than their share of them."""
        removed = 0
        while max_bytes:
            rollup_bytes = self._parts.size_bytes(PartKind.ROLLUPS)
            if self._parts.size_bytes(PartKind.POINTS) + rollup_bytes <= max_bytes:
                break
            closed = {kind: self._parts.of(kind)[:-1] for kind in PartKind}
            are_rollups_too_large = rollup_bytes > max_bytes * _ROLLUP_SHARE
            order = (
                (PartKind.ROLLUPS, PartKind.POINTS) if are_rollups_too_large else (PartKind.POINTS, PartKind.ROLLUPS)
            )
            oldest = next((closed[kind][0] for kind in order if closed[kind]), None)
            if oldest is None:
                break
            self._remove(oldest)
            removed += 1
        return removed

    def _remove(self, part: Part) -> None:
        self._parts.remove(part)
        self._defined.pop(part.path, None)


def _kept_s(kind: PartKind, limits: Limits) -> tuple[float, float]:
    """For how long a part is kept after it took its last chunk, and for how long it takes them."""
    kept_s = limits.points_s if kind is PartKind.POINTS else limits.rollups_s
    return kept_s, min(max(kept_s / _SHARE, _MIN_PART_S), _MAX_PART_S[kind])
