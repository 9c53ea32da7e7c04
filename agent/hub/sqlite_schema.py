"""The tables of the embedded store, and how its file is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from agent.hub.store import StoreError

__all__ = ["open_for_reading", "open_for_writing"]

_SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE agent (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    labels TEXT NOT NULL DEFAULT '{}',
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
    epoch_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    ids BLOB NOT NULL,
    points BLOB NOT NULL,
    flags BLOB,
    weights BLOB
) STRICT;
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


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the store's file for its one writer; make it, with its tables, when there is none.

    Raises:
        StoreError: It is not a store, is damaged, or was written by a newer version.
    """
    try:
        path.touch(mode=0o600)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        _bring_up_to_date(connection, path)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"{path}: cannot be opened as a store: {error}; move it away to start with an empty one"
        ) from None
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a store that exists, for queries alone."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > _SCHEMA_VERSION:
        raise StoreError(f"{path}: written by a newer version (schema {version}, this one knows {_SCHEMA_VERSION})")
    if version == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;")
