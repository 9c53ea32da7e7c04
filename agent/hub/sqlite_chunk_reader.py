"""Chunks for a query of the embedded store, all of one moment: what landed in the main file, and what stands in parts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.hub.chunk import Chunk, chunk_of
from agent.hub.chunk_codec import ChunkDamaged, decode
from agent.hub.rollup import completed
from agent.hub.sqlite_chunks import HOUR, MINUTE, POINT, Level, chunks_between, purged_step
from agent.hub.sqlite_folding import BATCH_COLUMNS, batch_of
from agent.hub.sqlite_parts import PartKind, parts_in
from agent.hub.sqlite_schema import has_tables, is_damage, open_for_reading, tells_series

__all__ = ["ChunkReader", "Wanted", "snapshot"]

Ask = tuple[Level, bool]
"""Chunks of one level, and whether only loose ones."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Series of one agent, from <= time <= to."""

    agent_id: int
    series_ids: Sequence[int]
    from_ns: int
    to_ns: int


class _Overtaken(Exception):
    """Upkeep removed what this snapshot still needed."""


@contextmanager
def snapshot(main: sqlite3.Connection) -> Iterator[int]:
    """See the main file as it is now, whatever is written meanwhile; the step of upkeep that happened last."""
    main.execute("BEGIN")
    try:
        yield int(main.execute("SELECT step FROM progress").fetchone()[0])
    finally:
        main.execute("COMMIT")


class ChunkReader:
    """Reads chunks, on connections of its own.

    Args:
        main: The main file's connection, for reading.
        folder: Where the parts are.
        on_damage: Told in words of what cannot be read; the query goes on without it.
    """

    def __init__(self, main: sqlite3.Connection, folder: Path, on_damage: Callable[[str], None]) -> None:
        self._main = main
        self._folder = folder
        self._on_damage = on_damage
        self._parts: dict[Path, sqlite3.Connection] = {}

    def chunks(self, wanted: Wanted, *, step_ns: int) -> list[Chunk]:
        """What stands in parts and what has landed since, cut to the time asked for.

        Args:
            step_ns: Roll-ups will do where these are of steps that this is a multiple of.
        """
        while True:
            try:
                with snapshot(self._main) as step:
                    found = [*self._landed(wanted)]
                    for kind, levels in _asks(step_ns).items():
                        found += self._stored(kind, levels, wanted, step)
            except _Overtaken:
                continue
            cut = (chunk.between(wanted.from_ns, wanted.to_ns) for chunk in found)
            return [chunk for chunk in cut if len(chunk.ids) and len(chunk.times_ns)]

    def close(self) -> None:
        """Close the parts; safe twice."""
        for part in self._parts.values():
            part.close()
        self._parts.clear()

    def _landed(self, wanted: Wanted) -> Iterator[Chunk]:
        rows = self._main.execute(
            f"SELECT {BATCH_COLUMNS} FROM batch WHERE agent_id = ? AND time_ns BETWEEN ? AND ? ORDER BY time_ns",  # noqa: S608
            (wanted.agent_id, wanted.from_ns, wanted.to_ns),
        )
        while batches := [batch_of(row) for row in rows.fetchmany(1000)]:
            chunk = chunk_of(batches)
            yield chunk.picked(np.flatnonzero(np.isin(chunk.ids, np.array(wanted.series_ids, np.uint32))))

    def _stored(self, kind: PartKind, asks: list[Ask], wanted: Wanted, step: int) -> list[Chunk]:
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

    def _read_part(self, path: Path, asks: list[Ask], wanted: Wanted, step: int) -> list[Chunk]:
        part = self._part(path)
        found: list[Chunk] = []
        part.execute("BEGIN")
        try:
            if purged_step(part) > step:
                raise _Overtaken
            series_ids = wanted.series_ids if tells_series(part) else ()
            for level, loose_only in asks:
                rows = chunks_between(
                    part,
                    wanted.agent_id,
                    level,
                    wanted.from_ns,
                    wanted.to_ns,
                    step=step,
                    loose_only=loose_only,
                    series_ids=series_ids,
                )
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
