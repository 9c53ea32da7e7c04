"""The spool's file: one SQLite database a sink, that repairs itself. Everything here blocks; call it on a worker thread."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from agent.delivery.spool_frame import Frame, Lane, carve, pack, unpack

__all__ = ["Found", "Numbered", "Read", "SpoolFile", "SpoolUnusable", "Totals"]

FILE_NAME = "spool.db"
PAGE_BYTES = 8192
ROW_BYTES = 64
"""What a record takes beside its bytes, about."""
_CARVE_BYTES = 1 << 20
_CARVE_OVERLAP_BYTES = 1 << 17

_SCHEMA = """
CREATE TABLE record (id INTEGER PRIMARY KEY, lane INTEGER, points INTEGER, wall_ns INTEGER, body BLOB) STRICT;
CREATE TABLE hand (id INTEGER PRIMARY KEY, epoch TEXT, seq INTEGER) STRICT;
CREATE TABLE series (id INTEGER PRIMARY KEY, run TEXT, body BLOB) STRICT;
CREATE TABLE series_copy (id INTEGER PRIMARY KEY, run TEXT, body BLOB) STRICT;
CREATE TABLE meta (
    id INTEGER PRIMARY KEY, last_id INTEGER, done_id INTEGER, trim_id INTEGER, records INTEGER, points INTEGER, bytes INTEGER
) STRICT;
INSERT INTO meta VALUES (1, 0, 0, 0, 0, 0, 0);
PRAGMA user_version = 1;
"""
_SECOND_BALANCE = "CREATE TABLE IF NOT EXISTS balance (id INTEGER PRIMARY KEY, body BLOB) STRICT"
_BALANCE = struct.Struct(">6Q")


class SpoolUnusable(OSError):
    """The spool cannot be used now: another process has it, or the disk refuses."""


class Totals(NamedTuple):
    """What lies in the file."""

    records: int = 0
    points: int = 0
    bytes: int = 0


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


class Numbered(NamedTuple):
    """A record as read, with the number that it was sent under, if it was.

    Attributes:
        frame: The record.
        epoch: Run that numbered it; "" = never numbered.
        seq: Its number there; 0 = none.
    """

    frame: Frame
    epoch: str
    seq: int


@dataclass(slots=True)
class Read:
    """What one read gave, and what it had to pass over."""

    records: list[Numbered] = field(default_factory=list)
    damaged_ids: list[int] = field(default_factory=list)
    damaged_points: int = 0


class SpoolFile:
    """Frames in their order, on disk. One process at a time; safe between threads.

    Args:
        folder: Where the file lies; made when something is first written.
        read_only: True neither locks nor repairs nor makes anything.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self._read_only = read_only
        self._db: sqlite3.Connection | None = None
        self._lock_file: int | None = None
        self._mutex = threading.RLock()
        self.totals = Totals()
        self.last_id = 0
        self._done_id = 0
        self._trim_id = 0

    @property
    def exists(self) -> bool:
        return self.path.exists()

    def open(self) -> Found:
        """Open the file, make it when missing, repair it when damaged.

        Raises:
            SpoolUnusable: Another process has it.
            OSError, sqlite3.Error: The disk refuses.
        """
        with self._mutex:
            if self._read_only:
                self._db = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, check_same_thread=False)
                self._load()
                return Found(self.totals)
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock()
            overlooked = list(_frames_of(self.path.with_name(FILE_NAME + "-wal")))
            try:
                self._connect()
                return self._restored(overlooked)
            except sqlite3.DatabaseError as error:
                if _is_no_damage(error):
                    raise
                return self._rebuild()

    def append(self, frames: Sequence[Frame], numbers: Sequence[tuple[str, int]], series: Sequence[Frame]) -> None:
        """Add records at the end, durably; the first ones with the numbers they were sent under.

        Args:
            frames: The records; ids rise from `last_id` + 1.
            numbers: Epoch and number of the first of them.
            series: Definitions that they need and the file does not hold yet.
        """
        with self._transaction() as execute:
            for one in series:
                for table in ("series", "series_copy"):
                    execute(f"INSERT INTO {table} (run, body) VALUES (?, ?)", (one.run, pack(one)))  # noqa: S608
            for frame in frames:
                self._insert(frame)
            for frame, (epoch, seq) in zip(frames, numbers, strict=False):
                execute("INSERT OR REPLACE INTO hand VALUES (?, ?, ?)", (frame.id, epoch, seq))

    def read(self, after_id: int, max_count: int, max_bytes: int) -> Read:
        """The oldest records behind an id; damaged ones are passed over and told.

        Args:
            max_count, max_bytes: At most so many; one record is given whatever its size.
        """
        read, size = Read(), 0
        with self._mutex:
            query = "SELECT r.id, r.points, r.body, h.epoch, h.seq FROM record r LEFT JOIN hand h USING (id)"
            rows = self._opened().execute(f"{query} WHERE r.id > ? ORDER BY r.id LIMIT ?", (after_id, max_count))
            for number, points, body, epoch, seq in rows:
                size += len(body)
                if read.records and size > max_bytes:
                    break
                frame = unpack(body)
                if frame is None or frame.id != number:
                    read.damaged_ids.append(number)
                    read.damaged_points += points
                else:
                    read.records.append(Numbered(frame, epoch or "", seq or 0))
        return read

    def number(self, ids: Sequence[int], epoch: str, first_seq: int, settled: Sequence[int]) -> bool:
        """Note durably which numbers these records are about to be sent under, and forget those that are settled."""
        with self._transaction() as execute:
            self._delete(settled)
            for seq, number in enumerate(ids, first_seq):
                execute("INSERT OR REPLACE INTO hand VALUES (?, ?, ?)", (number, epoch, seq))
        return True

    def delete(self, ids: Sequence[int]) -> bool:
        """Forget records for good; the file gives its room back when it is empty."""
        with self._mutex:
            with self._transaction() as execute:
                self._delete(ids)
                if not self.totals.records:
                    execute("DELETE FROM series")
                    execute("DELETE FROM series_copy")
            if not self.totals.records:
                self._shrink()
        return True

    def series(self, run: str) -> list[Frame]:
        """Every definition of a run that can still be read."""
        found: dict[bytes, Frame] = {}
        with self._mutex:
            for table in ("series", "series_copy"):
                try:
                    rows = self._opened().execute(f"SELECT body FROM {table} WHERE run = ?", (run,)).fetchall()  # noqa: S608
                except sqlite3.DatabaseError:
                    continue
                found |= {frame.payload: frame for (body,) in rows if (frame := unpack(body)) is not None}
        return list(found.values())

    def oldest(self, lane: int, held: AbstractSet[int], limit: int) -> list[tuple[int, int, int, bytes]]:
        """Id, points, wall time and bytes of the oldest records of a lane that are not held."""
        with self._mutex:
            query = "SELECT id, points, wall_ns, body FROM record WHERE id > ? AND lane = ? ORDER BY id LIMIT ?"
            after_id = 0 if lane else self._trim_id
            rows = self._opened().execute(query, (after_id, lane, limit + len(held)))
            return [row for row in rows if row[0] not in held][:limit]

    def oldest_wall_ns(self, held: AbstractSet[int]) -> int | None:
        """When the oldest record that is not held was written; None when there is none."""
        with self._mutex:
            rows = self._opened().execute("SELECT id, wall_ns FROM record ORDER BY id LIMIT ?", (len(held) + 1,))
            return next((wall_ns for number, wall_ns in rows if number not in held), None)

    def drop(self, ids: Sequence[int], lane: int, instead: Sequence[Frame] = ()) -> None:
        """Drop the oldest records of a lane on purpose; what is to be kept of them takes their place."""
        with self._transaction():
            self._delete(ids)
            for frame in instead:
                self._insert(frame)
            if lane == Lane.ORDINARY:
                self._trim_id = max([self._trim_id, *ids])

    def rebuild(self, after_id: int, held: AbstractSet[int] = frozenset()) -> Found:
        """Save what can be read into a new file, and put the damaged one aside; counts what is left behind an id and not held."""
        with self._mutex:
            found = self._rebuild()
            rows = self._opened().execute("SELECT id, points FROM record WHERE id > ?", (after_id,))
            found.ahead_points = sum(points for number, points in rows if number not in held)
            return found

    def close(self) -> None:
        """Let go of the file. Safe twice."""
        with self._mutex:
            if self._db is not None:
                self._db.close()
                self._db = None
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    def _take_lock(self) -> None:
        if self._lock_file is not None:
            return
        handle = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise SpoolUnusable(f"{self.folder} is in use by another process") from None
        self._lock_file = handle

    def _connect(self) -> None:
        self.path.touch(mode=0o600)
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5.0)
        for pragma in (
            f"page_size = {PAGE_BYTES}",
            "auto_vacuum = INCREMENTAL",
            "journal_mode = WAL",
            "synchronous = FULL",
            "secure_delete = ON",
            "cache_size = -512",
            "wal_autocheckpoint = 128",
            "journal_size_limit = 4194304",
        ):
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        self._db.execute(_SECOND_BALANCE)
        self._load()

    def _load(self) -> None:
        row = self._opened().execute("SELECT last_id, done_id, trim_id, records, points, bytes FROM meta").fetchone()
        if row is None:
            raise sqlite3.DatabaseError("the spool has no balance")
        self.last_id, self._done_id, self._trim_id = row[:3]
        self.totals = Totals(*row[3:])

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

    def _holds(self, number: int) -> bool:
        return self._opened().execute("SELECT 1 FROM record WHERE id = ?", (number,)).fetchone() is not None

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
            _BALANCE.unpack(frame.payload)
            for source in sources
            for frame in _frames_of(source)
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
            for frame in _frames_of(source):
                if frame.lane == Lane.SERIES:
                    execute("INSERT INTO series (run, body) VALUES (?, ?)", (frame.run, pack(frame)))
                elif frame.lane != Lane.BALANCE and frame.id > done_id and not self._holds(frame.id):
                    self._insert(frame)

    def _insert(self, frame: Frame) -> None:
        body = pack(frame)
        self._opened().execute(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?)", (frame.id, frame.lane, frame.points, frame.wall_ns, body)
        )
        records, points, size = self.totals
        self.totals = Totals(records + 1, points + frame.points, size + len(body) + ROW_BYTES)
        self.last_id = max(self.last_id, frame.id)

    def _delete(self, ids: Sequence[int]) -> None:
        execute = self._opened().execute
        for number in ids:
            row = execute("DELETE FROM record WHERE id = ? RETURNING points, length(body)", (number,)).fetchone()
            execute("DELETE FROM hand WHERE id = ?", (number,))
            if row is not None:
                records, points, size = self.totals
                self.totals = Totals(records - 1, points - row[0], size - row[1] - ROW_BYTES)
        if ids and not self.totals.records:
            self._done_id = self.last_id
        elif ids:
            first = execute("SELECT min(id) FROM record").fetchone()[0]
            self._done_id = max(self._done_id, (first or self.last_id + 1) - 1)

    def _shrink(self) -> None:
        database = self._opened()
        database.executescript("PRAGMA incremental_vacuum;")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[Callable[..., sqlite3.Cursor]]:
        """All or nothing, durable at the end. On a full disk the log is emptied into the file and the room used again."""
        with self._mutex:
            database, before = self._opened(), (self.totals, self.last_id, self._done_id, self._trim_id)
            try:
                database.execute("BEGIN IMMEDIATE")
                yield database.execute
                self._note_balance(database)
                database.execute("COMMIT")
            except BaseException:
                self.totals, self.last_id, self._done_id, self._trim_id = before
                if database.in_transaction:
                    database.execute("ROLLBACK")
                with suppress(sqlite3.Error):
                    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                raise

    def _note_balance(self, database: sqlite3.Connection) -> None:
        """Twice, on different pages, the second time as bytes that are found without anything around them."""
        balance = (self.last_id, self._done_id, self._trim_id, *self.totals)
        database.execute(
            "UPDATE meta SET last_id = ?, done_id = ?, trim_id = ?, records = ?, points = ?, bytes = ?", balance
        )
        body = pack(Frame(self.last_id, 0, 0, Lane.BALANCE, "", _BALANCE.pack(*balance)))
        database.execute("INSERT OR REPLACE INTO balance VALUES (1, ?)", (body,))

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            raise SpoolUnusable(f"{self.path} is not open")
        return self._db


def _frames_of(path: Path) -> Iterator[Frame]:
    """Every whole frame in a file, read piece by piece."""
    if not path.exists():
        return
    kept = b""
    with path.open("rb") as file:
        while piece := file.read(_CARVE_BYTES):
            data = kept + piece
            yield from carve(data)
            kept = data[-_CARVE_OVERLAP_BYTES:]


def _is_no_damage(error: sqlite3.Error) -> bool:
    """Full or read-only disks and locks are refusals, not damage."""
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(
        ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_BUSY", "SQLITE_LOCKED")
    )
