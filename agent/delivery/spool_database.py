"""The database that a spool lies in: its tables, its balance, and changes that happen as a whole or not at all."""

from __future__ import annotations

import os
import sqlite3
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from agent.delivery.spool_frame import Frame, Lane, pack, unpack

__all__ = ["BALANCE", "FILE_NAME", "PAGE_BYTES", "SpoolDamaged", "SpoolDatabase", "SpoolUnusable", "Totals", "checked"]

FILE_NAME = "spool.db"
PAGE_BYTES = 8192
ROW_BYTES = 64
"""What a record takes beside its bytes, about."""

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
BALANCE = struct.Struct(">6Q")
"""The second balance and the third: last_id, done_id, trim_id, records, points, bytes."""
_BALANCE_ASIDE = "balance"
"""The file of the third one. It is not synced, so after a loss of power it may be older than the others; never newer."""


class SpoolUnusable(OSError):
    """The spool cannot be used now: another process has it, or the disk refuses."""


class SpoolDamaged(sqlite3.DatabaseError):
    """What SQLite gives cannot have been written so."""

    sqlite_errorname = "SQLITE_CORRUPT"


class Totals(NamedTuple):
    """What lies in the file."""

    records: int = 0
    points: int = 0
    bytes: int = 0


class SpoolDatabase:
    """Frames in their order, in SQLite. Safe between threads.

    Args:
        folder: Where the file lies; made when something is first written.
        read_only: True neither locks nor repairs nor makes anything.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self._balance_path = folder / _BALANCE_ASIDE
        self._read_only = read_only
        self._db: sqlite3.Connection | None = None
        self._mutex = threading.RLock()
        self.totals = Totals()
        self.last_id = 0
        self._done_id = 0
        self._trim_id = 0

    @property
    def exists(self) -> bool:
        return self.path.exists()

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

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _load(self) -> None:
        """Take over the balance; when only one of the two can be read, or they differ, that as well."""
        first = self._opened().execute("SELECT last_id, done_id, trim_id, records, points, bytes FROM meta").fetchone()
        second, is_damaged = self._second_balance()
        known = second or first
        if known is not None and all(isinstance(one, int) for one in known):
            self.last_id, self._done_id, self._trim_id = known[:3]
            self.totals = Totals(*known[3:])
        if is_damaged or first is None or known != first:
            raise SpoolDamaged("the spool's balance is damaged")

    def _second_balance(self) -> tuple[tuple[int, ...] | None, bool]:
        """It, and whether it is damaged; an earlier version wrote none."""
        database = self._opened()
        try:
            if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'balance'").fetchone() is None:
                return None, False
            row = database.execute("SELECT body FROM balance").fetchone()
        except sqlite3.DatabaseError:
            return None, True
        frame = unpack(row[0]) if row is not None and isinstance(row[0], bytes) else None
        return (None if frame is None else BALANCE.unpack(frame.payload)), row is not None and frame is None

    def _holds(self, number: int) -> bool:
        return self._opened().execute("SELECT 1 FROM record WHERE id = ?", (number,)).fetchone() is not None

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
                self.totals = Totals(records - 1, points - (row[0] or 0), size - (row[1] or 0) - ROW_BYTES)
        if ids and not self.totals.records:
            self.totals, self._done_id = Totals(), self.last_id
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
                self._note_balance_aside()
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
        database.execute("INSERT OR REPLACE INTO balance VALUES (1, ?)", (self._balance_frame(),))

    def _note_balance_aside(self) -> None:
        """Over the one before, which has the same length, so that there is one at any moment."""
        with suppress(OSError):
            file = os.open(self._balance_path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(file, self._balance_frame(), 0)
            finally:
                os.close(file)

    def _balance_frame(self) -> bytes:
        balance = (self.last_id, self._done_id, self._trim_id, *self.totals)
        return pack(Frame(self.last_id, 0, 0, Lane.BALANCE, "", BALANCE.pack(*balance)))

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            raise SpoolUnusable(f"{self.path} is not open")
        return self._db


def checked(rows: sqlite3.Cursor, *kinds: type) -> Iterator[tuple[Any, ...]]:
    """The rows, whose first columns must be of these types, as they were when they were written.

    Raises:
        SpoolDamaged: They are not, or the ids do not rise.
    """
    last_id = -1
    with closing(rows):  # else the file would not be closed before it is put aside
        for row in rows:
            if not all(map(isinstance, row, kinds)) or row[0] <= last_id:
                raise SpoolDamaged("a row of the spool is not as it was written")
            last_id = row[0]
            yield row
