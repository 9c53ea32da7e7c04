"""The spool's file: one SQLite database a sink, that repairs itself. Everything here blocks; call it on a worker thread."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from agent.delivery.spool_database import FILE_NAME, PAGE_BYTES, SpoolUnusable, Totals, checked
from agent.delivery.spool_frame import Frame, Lane, pack, unpack
from agent.delivery.spool_log import mend
from agent.delivery.spool_repair import Found, SavingDatabase

__all__ = ["Found", "Numbered", "Read", "SpoolFile", "SpoolUnusable", "Totals"]


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


class SpoolFile(SavingDatabase):
    """A spool's records, on disk. One process at a time; safe between threads.

    Args:
        folder: Where the file lies; made when something is first written.
        read_only: True neither locks nor repairs nor makes anything.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        super().__init__(folder, read_only=read_only)
        self._lock_file: int | None = None

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
            log = mend(self.path.with_name(FILE_NAME + "-wal"), PAGE_BYTES)
            try:
                self._connect()
                found = self._rebuild() if log.damaged_frames else Found(self.totals)
            except sqlite3.DatabaseError as error:
                if _is_no_damage(error):
                    raise
                found = self._rebuild()
            return self._with_missing(self._restored(log.tail, found))

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
            for number, points, body, epoch, seq in checked(rows, int, int, bytes):
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
                with suppress(sqlite3.DatabaseError):
                    rows = self._opened().execute(f"SELECT id, body FROM {table} WHERE run = ?", (run,))  # noqa: S608
                    for _, body in checked(rows, int, bytes):
                        if (frame := unpack(body)) is not None:
                            found[frame.payload] = frame
        return list(found.values())

    def oldest(self, lane: int, held: AbstractSet[int], limit: int) -> list[tuple[int, int, int, bytes]]:
        """Id, points, wall time and bytes of the oldest records of a lane that are not held."""
        with self._mutex:
            query = "SELECT id, points, wall_ns, body FROM record WHERE id > ? AND lane = ? ORDER BY id LIMIT ?"
            after_id = 0 if lane else self._trim_id
            rows = self._opened().execute(query, (after_id, lane, limit + len(held)))
            return [row for row in checked(rows, int, int, int, bytes) if row[0] not in held][:limit]

    def oldest_wall_ns(self, held: AbstractSet[int]) -> int | None:
        """When the oldest record that is not held was written; None when there is none."""
        with self._mutex:
            rows = self._opened().execute("SELECT id, wall_ns FROM record ORDER BY id LIMIT ?", (len(held) + 1,))
            return next((wall_ns for number, wall_ns in checked(rows, int, int) if number not in held), None)

    def present(self, ids: Iterable[int]) -> set[int]:
        """Those of the ids that there is a record of."""
        with self._mutex:
            return {number for number in ids if self._holds(number)}

    def drop(self, ids: Sequence[int], lane: int, instead: Sequence[Frame] = ()) -> None:
        """Drop the oldest records of a lane on purpose; what is to be kept of them takes their place."""
        with self._transaction():
            self._delete(ids)
            for frame in instead:
                self._insert(frame)
            if lane == Lane.ORDINARY:
                self._trim_id = max([self._trim_id, *ids])

    def close(self) -> None:
        """Let go of the file. Safe twice."""
        with self._mutex:
            self._disconnect()
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


def _is_no_damage(error: sqlite3.Error) -> bool:
    """Full or read-only disks and locks are refusals, not damage."""
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(
        ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_BUSY", "SQLITE_LOCKED")
    )
