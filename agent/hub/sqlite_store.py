"""The embedded store: a batch becomes a row, durable before it is acknowledged; upkeep folds rows into chunks later."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.hub.records import Appended, BatchWrite, EventWrite, Registered, Registration, SeriesWrite, Write
from agent.hub.sqlite_rescue import open_store
from agent.hub.sqlite_series import define_series, json_text
from agent.hub.sqlite_upkeep import Upkeep
from agent.hub.store import Limits, StoreError, Upkept

__all__ = ["SqliteStore"]

_INSERT_BATCH = "INSERT INTO batch VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_EVENT = "INSERT INTO event VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_TALLY = """
UPDATE agent SET points_total = points_total + ?, batches_total = batches_total + ?,
    duplicates_total = duplicates_total + ?, gap_points_total = gap_points_total + ?,
    last_seq = max(last_seq, ?), last_seen_ns = max(last_seen_ns, ?), last_time_ns = max(last_time_ns, ?) WHERE id = ?
"""


@dataclass(slots=True)
class _Tally:
    """What one transaction adds to an agent's row."""

    points: int = 0
    batches: int = 0
    duplicates: int = 0
    gap_points: int = 0
    last_seq: int = 0
    last_seen_ns: int = 0
    last_time_ns: int = 0

    def add(self, write: Write, is_new: bool) -> None:
        self.last_seen_ns = max(self.last_seen_ns, write.received_ns)
        if not is_new:
            self.duplicates += 1
            return
        self.last_seq = max(self.last_seq, write.seq)
        if isinstance(write, BatchWrite):
            self.points += write.points
            self.batches += 1
            self.last_time_ns = max(self.last_time_ns, write.time_ns)
        else:
            self.gap_points += write.gap_points


class SqliteStore:
    """`Store` in a main file and a folder of parts beside it.

    A damaged file is set aside; the first step of upkeep tells of it. Parts say what their numbers mean, to outlive it.

    Args:
        path: The main file; made when missing.

    Raises:
        StoreError: It cannot be opened as a store.
    """

    def __init__(self, path: Path) -> None:
        found: list[str] = []
        self._connection, self._parts = open_store(path, found)
        self._upkeep = Upkeep(self._connection, self._parts, found)
        self._last_seq_by_epoch: dict[int, int] = {}
        self._moved_epochs: set[int] = set()
        self._tallies: dict[int, _Tally] = {}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Store.transaction`."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._write_tallies()
            self._connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._undo()
            raise StoreError(f"the store could not write: {error}") from error
        except BaseException:
            self._undo()
            raise
        finally:
            self._moved_epochs.clear()
            self._tallies.clear()

    def register(self, registration: Registration) -> Registered:
        """See `Store.register`."""
        execute = self._connection.execute
        execute("INSERT OR IGNORE INTO agent (name) VALUES (?)", (registration.agent,))
        agent_id = int(execute("SELECT id FROM agent WHERE name = ?", (registration.agent,)).fetchone()[0])
        key = (agent_id, registration.epoch)
        execute("INSERT OR IGNORE INTO epoch (agent_id, epoch) VALUES (?, ?)", key)
        epoch_id, last_seq = execute("SELECT id, last_seq FROM epoch WHERE agent_id = ? AND epoch = ?", key).fetchone()
        execute(
            "UPDATE agent SET labels = ?, version = ?, epoch = ?, last_seq = ?, last_seen_ns = ? WHERE id = ?",
            (
                json_text(registration.labels),
                registration.version,
                registration.epoch,
                last_seq,
                registration.seen_ns,
                agent_id,
            ),
        )
        return Registered(agent_id, epoch_id, last_seq)

    def define(self, agent_id: int, series: Sequence[SeriesWrite]) -> list[int]:
        """See `Store.define`."""
        return define_series(self._connection, agent_id, series)

    def append(self, write: Write) -> Appended:
        """See `Store.append`."""
        last_seq = self._last_seq(write.epoch_id)
        if write.after_seq > last_seq:
            return Appended.OUT_OF_ORDER
        is_new = write.seq > last_seq
        if is_new:
            self._insert(write)
            self._last_seq_by_epoch[write.epoch_id] = write.seq
            self._moved_epochs.add(write.epoch_id)
        self._tallies.setdefault(write.agent_id, _Tally()).add(write, is_new)
        return Appended.STORED if is_new else Appended.DUPLICATE

    def upkeep(self, now_ns: int, limits: Limits) -> Iterator[Upkept]:
        """See `Store.upkeep`."""
        try:
            yield from self._upkeep.run(now_ns, limits)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the store could not be kept up: {error}") from error

    def close(self) -> None:
        """See `Store.close`; safe twice."""
        self._parts.close()
        self._connection.close()

    def _undo(self) -> None:
        self._last_seq_by_epoch.clear()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _last_seq(self, epoch_id: int) -> int:
        known = self._last_seq_by_epoch.get(epoch_id)
        if known is None:
            row = self._connection.execute("SELECT last_seq FROM epoch WHERE id = ?", (epoch_id,)).fetchone()
            known = self._last_seq_by_epoch[epoch_id] = int(row[0])
        return known

    def _insert(self, write: Write) -> None:
        common = (write.agent_id, write.epoch_id, write.seq, write.time_ns, write.received_ns)
        if isinstance(write, EventWrite):
            self._connection.execute(_INSERT_EVENT, (*common, write.kind, write.component, write.level, write.detail))
        else:
            arrays = (write.ids, write.values, write.flags, write.weights, write.bounds)
            self._connection.execute(_INSERT_BATCH, (*common, *arrays))

    def _write_tallies(self) -> None:
        moved = [(self._last_seq_by_epoch[epoch_id], epoch_id) for epoch_id in self._moved_epochs]
        self._connection.executemany("UPDATE epoch SET last_seq = ? WHERE id = ?", moved)
        self._connection.executemany(
            _ADD_TALLY,
            [
                (t.points, t.batches, t.duplicates, t.gap_points, t.last_seq, t.last_seen_ns, t.last_time_ns, agent_id)
                for agent_id, t in self._tallies.items()
            ],
        )
