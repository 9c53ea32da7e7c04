"""A copy of the embedded store as it is at one moment, also while a hub writes it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.hub.sqlite_chunks import purged_step
from agent.hub.sqlite_parts import Part, PartKind, parts_in
from agent.hub.sqlite_rescue import parts_folder
from agent.hub.sqlite_schema import has_tables, open_for_reading
from agent.hub.store import StoreError

__all__ = ["BackedUp", "back_up"]


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup is made of."""

    files: int
    size_bytes: int


class _Overtaken(Exception):
    """Upkeep removed what this moment still needed, while its parts were opened."""


def back_up(store: Path, destination: Path) -> BackedUp:
    """Copy a store, so that the copy is what a hub finds when it starts on that folder.

    A step of upkeep that is under way is in the copy as after a kill, and undone when it is opened. The hub is not held up; its
    logs of changes (`-wal`) grow until the copy is made.

    Args:
        store: The main file.
        destination: The folder to make. It appears when everything is in it.

    Raises:
        StoreError: It exists already, there is no such store, or something cannot be read or written; nothing is left behind.
    """
    if not store.is_file():
        raise StoreError(f"{store}: there is no store here; hub.state_dir says where it is")
    if destination.exists() or destination.is_symlink():
        raise StoreError(f"{destination}: exists already and is not overwritten; name a folder that does not exist")
    growing = destination.with_name(f".{destination.name}.{os.getpid()}")
    try:
        growing.mkdir(mode=0o700)
        parts_folder(growing / store.name).mkdir(mode=0o700)
        _copy(store, growing)
        growing.rename(destination)
    except (sqlite3.Error, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise StoreError(f"{destination}: the backup could not be made: {reason}") from None
    finally:
        shutil.rmtree(growing, ignore_errors=True)
    made = [path for path in destination.rglob("*") if path.is_file()]
    return BackedUp(len(made), sum(path.stat().st_size for path in made))


def _copy(store: Path, folder: Path) -> None:
    with contextlib.ExitStack() as opened:
        sources = _of_one_moment(store, opened)
        for path, source in sources.items():
            _copy_file(source, folder / path.relative_to(store.parent))


def _of_one_moment(store: Path, opened: contextlib.ExitStack) -> dict[Path, sqlite3.Connection]:
    """The main file and every part, each held as it is: nothing that the main file's moment needs is missing in a part."""
    while True:
        attempt = contextlib.ExitStack()
        try:
            main = _held(store, attempt)
            step = int(main.execute("SELECT step FROM progress").fetchone()[0])
            parts = [part for kind in PartKind for part in parts_in(parts_folder(store), kind)]
            sources = {store: main, **dict(_held_parts(parts, step, attempt))}
        except _Overtaken:
            attempt.close()
        except BaseException:
            attempt.close()
            raise
        else:
            opened.push(attempt)
            return sources


def _held_parts(
    parts: list[Part], step: int, attempt: contextlib.ExitStack
) -> Iterator[tuple[Path, sqlite3.Connection]]:
    """Parts that are there and hold something at that step."""
    for part in parts:
        try:
            held = _held(part.path, attempt)
        except sqlite3.OperationalError:
            if part.path.exists():
                raise
            continue
        if not has_tables(held):
            continue
        if purged_step(held) > step:
            raise _Overtaken
        yield part.path, held


def _held(path: Path, attempt: contextlib.ExitStack) -> sqlite3.Connection:
    """A file as it is now, whatever is written to it later."""
    connection = attempt.enter_context(contextlib.closing(open_for_reading(path)))
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return connection


def _copy_file(source: sqlite3.Connection, path: Path) -> None:
    path.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(path)) as target:
        source.backup(target)
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
