"""What becomes of a damaged spool: everything that can still be read is saved, and what cannot be is counted."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from agent.delivery.spool_database import (
    BALANCE,
    FILE_NAME,
    PAGE_BYTES,
    SpoolDatabase,
    SpoolUnusable,
    Totals,
    checked,
)
from agent.delivery.spool_frame import Frame, Lane, carve, pack, unpack
from agent.delivery.spool_log import newest_pages

__all__ = ["Found", "SavingDatabase"]

_AT_ONCE = 64


@dataclass(slots=True)
class Found:
    """What opening came upon.

    Attributes:
        totals: What is there now.
        damaged_records: Records that were there and cannot be read any more.
        moved_to: Where a damaged file was put; "" when there was none.
        ahead_points: After a repair: points of the records that nobody has taken.
    """

    totals: Totals = field(default_factory=Totals)
    damaged_records: int = 0
    moved_to: str = ""
    ahead_points: int = 0


class SavingDatabase(SpoolDatabase):
    """Saves what can be read of a damaged file, and puts the file aside."""

    def rebuild(self, taken: AbstractSet[int] = frozenset()) -> Found:
        """Save what can be read into a new file, and put the damaged one aside; counts the points of what is not taken."""
        with self._mutex:
            found = self._rebuild()
            rows = self._opened().execute("SELECT id, points FROM record")
            found.ahead_points = sum(points for number, points in rows if number not in taken)
            return found

    def _restored(self, tail: bytes, found: Found) -> Found:
        """Put back what the log's last write left behind, where its end is missing; its balance tells what else there was."""
        last_id, frames = self.last_id, list(carve(tail))
        records = [frame for frame in frames if frame.lane < Lane.SERIES and frame.id > last_id]
        balances = [known for frame in frames if (known := _balance(frame)) and known.last_id > last_id]
        if not records and not balances:
            return found
        before = self.totals.records
        self._save(frame for frame in frames if frame.lane == Lane.SERIES or frame.id > last_id)
        expected = max(balances, default=None)
        with self._transaction():
            self.last_id = max(self.last_id, expected.last_id if expected else 0)
        due = -expected.minus_records if expected else before + self.last_id - last_id
        found.damaged_records += max(0, due - self.totals.records)
        found.totals = self.totals
        return found

    def _rebuild(self) -> Found:
        numbers = self._numbers()
        self._disconnect()
        self._recall()
        expected, last_id = self.totals, self.last_id
        fresh = SavingDatabase(self.folder / "repaired")
        shutil.rmtree(fresh.folder, ignore_errors=True)
        try:
            fresh._fill_from(self.path, self._done_id, last_id, expected.records, numbers)
            lost = max(0, expected.records - fresh.totals.records) if last_id else fresh._holes()
            fresh._disconnect()
            _make_durable(fresh.path)
            moved = self._move_aside()
            fresh.path.rename(self.path)
        finally:
            fresh._disconnect()
            shutil.rmtree(fresh.folder, ignore_errors=True)
        self._connect()
        return Found(self.totals, lost, str(moved))

    def _fill_from(
        self, damaged: Path, done_id: int, last_id: int, expected: int, numbers: Iterable[tuple[int, str, int]]
    ) -> None:
        """Take in what another file still has: what SQLite finds there, and where that is too little, what lies on its pages."""
        self.folder.mkdir(mode=0o700)
        self._connect()
        self._opened().execute("PRAGMA synchronous = OFF")  # it is of use only as a whole, and made durable as one
        self.last_id = self._done_id = done_id
        self._save(_rows_of(damaged, done_id + 1, last_id))
        if not last_id or self.totals.records < expected:
            self._save(_frames_of(damaged))
        with self._transaction() as execute:
            self.last_id = max(self.last_id, last_id)
            for row in numbers:
                execute("INSERT OR REPLACE INTO hand VALUES (?, ?, ?)", row)

    def _holes(self) -> int:
        """Numbers that are missing between the first record and the last."""
        first, last, count = self._opened().execute("SELECT min(id), max(id), count(*) FROM record").fetchone()
        return last - first + 1 - count if count else 0

    def _recall(self) -> None:
        """Learn what there was from the newest balance: the third may be newer than pictures of the others that were left."""
        known = [self._known(), self._aside()]
        if not self.last_id:
            known += (balance for frame in _frames_of(self.path) if (balance := _balance(frame)))
        newest = max(known)
        self.last_id, self._done_id, self._trim_id = newest.last_id, newest.done_id, newest.trim_id
        self.totals = Totals(-newest.minus_records, newest.points, newest.bytes)

    def _known(self) -> _Balance:
        records, points, size = self.totals
        return _Balance(self.last_id, -records, self._done_id, self._trim_id, points, size)

    def _aside(self) -> _Balance:
        """The third balance; nothing in it where it is missing or damaged."""
        with suppress(OSError):
            frame = unpack(self._balance_path.read_bytes())
            if frame is not None and (known := _balance(frame)):
                return known
        return _Balance(0, 0, 0, 0, 0, 0)

    def _with_missing(self, found: Found) -> Found:
        """Count whole writes that are gone: only the third balance still knows of them."""
        aside = self._aside()
        if aside.last_id > self.last_id:
            found.damaged_records += min(aside.last_id - self.last_id, -aside.minus_records)
            with self._transaction():
                self.last_id = aside.last_id
        return found

    def _numbers(self) -> list[tuple[int, str, int]]:
        """What the damaged file still tells of numbers that were given."""
        found: list[tuple[int, str, int]] = []
        with suppress(sqlite3.DatabaseError, SpoolUnusable):
            found.extend(checked(self._opened().execute("SELECT id, epoch, seq FROM hand"), int, str, int))
        return found

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

    def _save(self, frames: Iterable[Frame]) -> None:
        """Take in definitions, and records that are neither here nor done with; a few at a time, as they may be many."""
        series = {body for (body,) in self._opened().execute("SELECT body FROM series")}
        left = iter(frames)
        while some := list(islice(left, _AT_ONCE)):
            with self._transaction() as execute:
                for frame in some:
                    if frame.lane == Lane.SERIES and (body := pack(frame)) not in series:
                        series.add(body)
                        execute("INSERT INTO series (run, body) VALUES (?, ?)", (frame.run, body))
                    elif frame.lane < Lane.SERIES and frame.id > self._done_id and not self._holds(frame.id):
                        self._insert(frame)


class _Balance(NamedTuple):
    """A balance; the newest is the greatest, as ids only rise, and without a new one records only go."""

    last_id: int
    minus_records: int
    done_id: int
    trim_id: int
    points: int
    bytes: int


def _balance(frame: Frame) -> _Balance | None:
    if frame.lane != Lane.BALANCE:
        return None
    last_id, done_id, trim_id, records, points, size = BALANCE.unpack(frame.payload)
    return _Balance(last_id, -records, done_id, trim_id, points, size)


def _rows_of(path: Path, first_id: int, last_id: int) -> Iterator[Frame]:
    """What SQLite still finds in a damaged file: all definitions and records whose way from the root is whole."""
    if not path.exists() or path.stat().st_size < PAGE_BYTES:
        return
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        for table in ("series", "series_copy"):
            yield from _frames_in(database, table, 0, 0)
        yield from _frames_in(database, "record", first_id, last_id)
    path.with_name(path.name + "-shm").unlink(missing_ok=True)


def _frames_in(database: sqlite3.Connection, table: str, next_id: int, last_id: int) -> Iterator[Frame]:
    """Behind a row that cannot be read it goes on with the next number, up to the last one."""
    query = f"SELECT id, body FROM {table} WHERE id >= ? ORDER BY id"  # noqa: S608
    while next_id <= last_id:
        try:
            for number, body in checked(database.execute(query, (next_id,)), int, bytes):
                next_id = max(next_id, number)
                if (frame := unpack(body)) is not None:
                    yield frame
            next_id = last_id + 1
        except sqlite3.DatabaseError:
            next_id += 1


def _make_durable(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _frames_of(path: Path) -> Iterator[Frame]:
    """Every whole frame on any page of a file and its log, each page as it was written last."""
    newest = newest_pages(path.with_name(path.name + "-wal"), PAGE_BYTES)
    if path.exists():
        with path.open("rb") as file:
            for number, page in enumerate(iter(lambda: file.read(PAGE_BYTES), b""), 1):
                yield from carve(newest.pop(number, page))
    for page in newest.values():
        yield from carve(page)
