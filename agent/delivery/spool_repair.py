"""What becomes of a damaged spool: everything that can still be read is saved, and what cannot be is counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from agent.delivery.spool_database import BALANCE, FILE_NAME, SpoolDatabase, SpoolUnusable, Totals
from agent.delivery.spool_frame import Frame, Lane, carve, pack

__all__ = ["Found", "SavingDatabase", "frames_of"]

_CARVE_BYTES = 1 << 20
_CARVE_OVERLAP_BYTES = 1 << 17


@dataclass(slots=True)
class Found:
    """What opening came upon.

    Attributes:
        totals: What is there now.
        damaged_records: Records that were there and cannot be read any more.
        damaged_points: Their points, as far as known.
        moved_to: Where a damaged file was put; "" when there was none.
        ahead_points: Points of the records behind the one asked for, after a repair.
    """

    totals: Totals = field(default_factory=Totals)
    damaged_records: int = 0
    damaged_points: int = 0
    moved_to: str = ""
    ahead_points: int = 0


class SavingDatabase(SpoolDatabase):
    """Saves what can be read of a damaged file, and puts the file aside."""

    def rebuild(self, after_id: int, held: AbstractSet[int] = frozenset()) -> Found:
        """Save what can be read into a new file, and put the damaged one aside; counts what is left behind an id and not held."""
        with self._mutex:
            found = self._rebuild()
            rows = self._opened().execute("SELECT id, points FROM record WHERE id > ?", (after_id,))
            found.ahead_points = sum(points for number, points in rows if number not in held)
            return found

    def _restored(self, overlooked: Iterable[Frame]) -> Found:
        """Put back what a torn log hid from SQLite, which ends at the log's first damaged page."""
        gone_id, last_id = max(self._done_id, self._trim_id), self.last_id
        with self._transaction() as execute:
            series = []
            for frame in overlooked:
                if frame.lane == Lane.SERIES:
                    series.append(frame)
                elif frame.lane != Lane.BALANCE and frame.id > gone_id and not self._holds(frame.id):
                    self._insert(frame)
            for frame in series if self.last_id > last_id else ():
                execute("INSERT INTO series (run, body) VALUES (?, ?)", (frame.run, pack(frame)))
        lost = sum(not self._holds(number) for number in range(max(last_id, gone_id) + 1, self.last_id))
        return Found(self.totals, lost)

    def _rebuild(self) -> Found:
        numbers = self._numbers()
        if self._db is not None:
            self._db.close()
        moved = self._move_aside()
        sources = (moved, moved.with_name(moved.name + "-wal"))
        if not self.last_id:
            self._recall(sources)
        expected, done_id = self.totals, self._done_id
        self.last_id, self.totals, self._trim_id = done_id, Totals(), 0
        self._connect_new(done_id)
        for source in sources:
            self._save_from(source, done_id)
        with self._transaction() as execute:
            for row in numbers:
                execute("INSERT OR REPLACE INTO hand VALUES (?, ?, ?)", row)
        first, last, count = self._opened().execute("SELECT min(id), max(id), count(*) FROM record").fetchone()
        holes = last - first + 1 - count if count else 0
        lost = max(expected.records - self.totals.records, holes)
        return Found(self.totals, lost, max(0, expected.points - self.totals.points), str(moved))

    def _recall(self, sources: Iterable[Path]) -> None:
        """Learn from the second balance what there was, where the first one cannot be read."""
        balances = (
            BALANCE.unpack(frame.payload)
            for source in sources
            for frame in frames_of(source)
            if frame.lane == Lane.BALANCE
        )
        self.last_id, self._done_id, self._trim_id, *totals = max(balances, default=(0,) * 6)
        self.totals = Totals(*totals)

    def _numbers(self) -> list[tuple[int, str, int]]:
        """What the damaged file still tells of numbers that were given."""
        try:
            return self._opened().execute("SELECT id, epoch, seq FROM hand").fetchall()
        except (sqlite3.DatabaseError, SpoolUnusable):
            return []

    def _connect_new(self, done_id: int) -> None:
        self._connect()
        self.last_id = self._done_id = done_id

    def _move_aside(self) -> Path:
        number = 1
        while (aside := self.folder / f"{FILE_NAME}.damaged-{number}").exists():
            number += 1
        for suffix in ("-wal", ""):
            source = self.path.with_name(FILE_NAME + suffix)
            if source.exists():
                source.rename(aside.with_name(aside.name + suffix))
        self.path.with_name(FILE_NAME + "-shm").unlink(missing_ok=True)
        return aside

    def _save_from(self, source: Path, done_id: int) -> None:
        with self._transaction() as execute:
            for frame in frames_of(source):
                if frame.lane == Lane.SERIES:
                    execute("INSERT INTO series (run, body) VALUES (?, ?)", (frame.run, pack(frame)))
                elif frame.lane != Lane.BALANCE and frame.id > done_id and not self._holds(frame.id):
                    self._insert(frame)


def frames_of(path: Path) -> Iterator[Frame]:
    """Every whole frame in a file, read piece by piece."""
    if not path.exists():
        return
    kept = b""
    with path.open("rb") as file:
        while piece := file.read(_CARVE_BYTES):
            data = kept + piece
            yield from carve(data)
            kept = data[-_CARVE_OVERLAP_BYTES:]
