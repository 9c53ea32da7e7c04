"""The tables of the embedded store, and how its files are opened.

The main file holds who was ever seen, events, and each batch as it came (`batch`), durable before it is acknowledged. Upkeep
folds those into chunks, which stand in files of their own (the parts), so that letting go of old points is removing a file.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from agent.hub.store import StoreError

__all__ = ["check", "has_tables", "is_damage", "open_for_reading", "open_for_writing", "open_part", "tells_series"]

_SCHEMA_VERSION = 4
_CHECK_UP_TO_BYTES = 1 << 30
_WAIT_S = 5.0
_WAIT_FOR_READERS_S = 0.05

_BATCH = """\
    epoch_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    ids BLOB NOT NULL,
    points BLOB NOT NULL,
    flags BLOB,
    weights BLOB
"""
"""What a batch and an agent's newest batch were up to schema 2."""

_SCHEMA = f"""
CREATE TABLE agent (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    labels TEXT NOT NULL DEFAULT '{{}}',
    version TEXT NOT NULL DEFAULT '',
    epoch TEXT NOT NULL DEFAULT '',
    last_seq INTEGER NOT NULL DEFAULT 0,
    last_seen_ns INTEGER NOT NULL DEFAULT 0,
    last_time_ns INTEGER NOT NULL DEFAULT 0,
    series_count INTEGER NOT NULL DEFAULT 0,
    points_total INTEGER NOT NULL DEFAULT 0,
    batches_total INTEGER NOT NULL DEFAULT 0,
    duplicates_total INTEGER NOT NULL DEFAULT 0,
    gap_points_total INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE epoch (
    id INTEGER PRIMARY KEY,
    agent_id INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    last_seq INTEGER NOT NULL DEFAULT 0,
    UNIQUE (agent_id, epoch)
) STRICT;
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    agent_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    text TEXT NOT NULL,
    unit TEXT NOT NULL,
    kind TEXT NOT NULL,
    UNIQUE (agent_id, name, labels)
) STRICT;
CREATE TABLE batch (
    id INTEGER PRIMARY KEY,
    agent_id INTEGER NOT NULL,
{_BATCH}) STRICT;
CREATE INDEX batch_by_time ON batch (agent_id, time_ns);
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    agent_id INTEGER NOT NULL,
    epoch_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    component TEXT NOT NULL,
    level TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_time ON event (time_ns);
"""

_SINCE_2 = f"""
CREATE TABLE latest (
    agent_id INTEGER PRIMARY KEY,
{_BATCH}) STRICT;
CREATE TABLE progress (step INTEGER NOT NULL) STRICT;
INSERT INTO progress VALUES (0);
CREATE INDEX series_by_name ON series (name);
"""  # noqa: S608 - a constant

_SINCE_3 = """
ALTER TABLE batch ADD COLUMN bounds BLOB;
ALTER TABLE latest ADD COLUMN bounds BLOB;
"""

_SINCE_4 = ""
"""No table changed: roll-ups hold columns of which older programs do not know what to make."""

_PART_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE agent (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    agent_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    text TEXT NOT NULL,
    unit TEXT NOT NULL,
    kind TEXT NOT NULL
) STRICT;
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY,
    agent_id INTEGER NOT NULL,
    level INTEGER NOT NULL,
    cell INTEGER NOT NULL,
    first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    is_loose INTEGER NOT NULL,
    born INTEGER NOT NULL,
    dead INTEGER,
    first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX chunk_by_time ON chunk (agent_id, level, last_ns, first_ns);
CREATE INDEX chunk_loose ON chunk (level, agent_id, cell, received_ns) WHERE is_loose;
CREATE INDEX chunk_born ON chunk (born);
CREATE INDEX chunk_dead ON chunk (dead) WHERE dead IS NOT NULL;
CREATE TABLE purge (step INTEGER NOT NULL) STRICT;
INSERT INTO purge VALUES (0);
PRAGMA user_version = 3;
COMMIT;
"""

_PART_SINCE_3 = """
BEGIN IMMEDIATE;
ALTER TABLE chunk ADD COLUMN first_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chunk ADD COLUMN last_id INTEGER NOT NULL DEFAULT 4294967295;
PRAGMA user_version = 3;
COMMIT;
"""
"""A chunk made before may hold any series."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the store's main file for its one writer; make it, with its tables, when there is none.

    Raises:
        StoreError: It cannot be opened, or was written by a newer version.
        sqlite3.DatabaseError: It is damaged, or no database.
    """
    try:
        connection = _writable(path, _WAIT_S)
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened as a store: {error.strerror}") from None
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _tune(connection)
        _bring_up_to_date(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_part(path: Path) -> sqlite3.Connection:
    """Open a part for the one writer; make it, with its tables, when there is none."""
    connection = _writable(path, _WAIT_FOR_READERS_S)
    try:
        _tune(connection)
        if not has_tables(connection):
            connection.executescript(_PART_SCHEMA)
        elif not tells_series(connection):
            connection.executescript(_PART_SINCE_3)
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a file that exists, for queries alone.

    Raises:
        sqlite3.OperationalError: There is none.
    """
    address = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=_WAIT_S)
    connection.execute("PRAGMA query_only = ON")
    return connection


def has_tables(part: sqlite3.Connection) -> bool:
    """False for a part that was only just made: its tables come in one transaction, after the file."""
    return bool(part.execute("PRAGMA user_version").fetchone()[0])


def tells_series(part: sqlite3.Connection) -> bool:
    """False for a part of before schema 3 that the writer has not opened since."""
    return int(part.execute("PRAGMA user_version").fetchone()[0]) >= 3


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Look for damage, unless the file is so large that the hub would start late.

    Raises:
        sqlite3.DatabaseError: There is some; the text says what.
    """
    if path.stat().st_size > _CHECK_UP_TO_BYTES:
        return
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(" ".join(str(found).split()))


def is_damage(error: sqlite3.Error) -> bool:
    """True when the file is at fault, and not the disk, the lock or the rights."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _writable(path: Path, timeout_s: float) -> sqlite3.Connection:
    path.touch(mode=0o600)
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=timeout_s)


def _tune(connection: sqlite3.Connection) -> None:
    """A finished transaction survives kill -9 and a power cut."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")


def _bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > _SCHEMA_VERSION:
        raise StoreError(f"{path}: written by a newer version (schema {version}, this one knows {_SCHEMA_VERSION})")
    missing = (_SCHEMA, _SINCE_2, _SINCE_3, _SINCE_4)[version:]
    if missing:
        script = "".join(missing)
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;")
