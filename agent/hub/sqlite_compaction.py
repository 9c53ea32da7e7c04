"""Chunks of a cell in which nothing more comes in are brought together, and into the level above.

They are parted by series instead, so that a query of one series does not read those of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.hub.chunk import Chunk, join
from agent.hub.chunk_codec import ChunkDamaged, decode
from agent.hub.rollup import completed, is_sampled, newest, rolled_up
from agent.hub.sqlite_chunks import HOUR, MINUTE, POINT, ChunkRow, Level
from agent.hub.sqlite_parts import Part, Parts
from agent.hub.sqlite_steps import Steps

__all__ = ["Compaction"]

_STEP_CELLS = 2
_ROW_SERIES = 64
_GROUP_CELLS = 2_000_000
_MAX_NS = 2**63 - 1
_ABOVE: dict[Level, Level] = {POINT: MINUTE, MINUTE: HOUR}


@dataclass(frozen=True, slots=True)
class _Cell:
    """Chunks of one agent to be brought together."""

    part: Part
    level: Level
    agent_id: int
    number: int

    @property
    def first_ns(self) -> int:
        return self.number * self.level.cell_ns

    @property
    def last_ns(self) -> int:
        return min(self.first_ns + self.level.cell_ns - 1, _MAX_NS)


class Compaction:
    """Brings chunks together, a few cells a step.

    Args:
        parts: Where they are.
        steps: Makes the steps.
        found: Told in words of what was damaged and what became of it.
    """

    def __init__(self, parts: Parts, steps: Steps, found: list[str]) -> None:
        self._parts = parts
        self._steps = steps
        self._found = found

    def run(self, level: Level, rollups: Part, before_ns: int) -> Iterator[None]:
        """Step by step, compact the cells in which nothing more came in since that time.

        Args:
            rollups: Takes what is made for the level above.
        """
        for part in self._parts.all():
            with self._parts.using(part) as connection:
                found = connection.execute(
                    "SELECT agent_id, cell FROM chunk WHERE is_loose AND level = ? AND dead IS NULL"
                    " GROUP BY agent_id, cell HAVING max(received_ns) <= ?",
                    (level.number, before_ns),
                ).fetchall()
            cells = [_Cell(part, level, *one) for one in found]
            for first in range(0, len(cells), _STEP_CELLS):
                with self._steps.making([part] if part == rollups else [part, rollups]):
                    for cell in cells[first : first + _STEP_CELLS]:
                        self._compact(cell, rollups)
                yield

    def _compact(self, cell: _Cell, rollups: Part) -> None:
        rows = self._steps.chunks(cell.part, cell.agent_id, cell.level, cell.first_ns, cell.last_ns)
        self._steps.kill(cell.part, rows)
        received_ns = max(row.received_ns for row in rows)
        for group in self._groups(cell, rows):
            self._bring_together(cell, group, rollups, received_ns)

    def _bring_together(self, cell: _Cell, group: list[tuple[Chunk, bool]], rollups: Part, received_ns: int) -> None:
        level, chunks = cell.level, [chunk for chunk, _ in group]
        made = join(chunks) if level is POINT else rolled_up(chunks, level.step_ns)
        for piece in made.pieces(_ROW_SERIES):
            self._steps.add(cell.part, cell.agent_id, level, piece, received_ns=received_ns, is_loose=False)
        loose = [chunk for chunk, is_loose in group if is_loose]
        if level in _ABOVE and loose:
            above = self._rolled_up(cell, loose)
            self._steps.add(rollups, cell.agent_id, _ABOVE[level], above, received_ns=received_ns, is_loose=True)

    def _rolled_up(self, cell: _Cell, chunks: list[Chunk]) -> Chunk:
        """For the level above. Where points were left out the way to the first one here begins in the cell before."""
        step_ns = _ABOVE[cell.level].step_ns
        if cell.level is not POINT or not any(map(is_sampled, chunks)):
            return rolled_up(chunks, step_ns)
        span = (cell.first_ns - POINT.cell_ns, cell.first_ns - 1)
        rows = self._steps.chunks(cell.part, cell.agent_id, POINT, *span)
        before = [newest(chunk) for chunk, _ in self._decoded(cell, rows)]
        return rolled_up([*before, *chunks], step_ns).between(cell.first_ns, _MAX_NS)

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
