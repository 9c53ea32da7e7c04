"""Opening the embedded store whatever became of its files: what is damaged is set aside, what can be read of it is kept."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from agent.hub.sqlite_parts import PartDamaged, Parts, set_aside
from agent.hub.sqlite_schema import check, is_damage, open_for_reading, open_for_writing
from agent.hub.store import StoreError

__all__ = ["open_store", "parts_folder"]

_SAVED_TABLES = ("agent", "epoch", "series", "latest", "batch", "event")


def parts_folder(path: Path) -> Path:
    """Where the parts of a main file are."""
    return path.with_name(f"{path.name.partition('.')[0]}.parts")


def open_store(path: Path, found: list[str]) -> tuple[sqlite3.Connection, Parts]:
    """The main file and the parts, ready to be written.

    Args:
        found: Told in words of what was damaged and what became of it.

    Raises:
        StoreError: It cannot be opened, for another reason than damage.
    """
    try:
        is_new = not path.exists()
        main, is_rescued = _open_main(path, found)
        parts = Parts(parts_folder(path))
        _set_aside_damaged(parts, found)
        if is_new or is_rescued:
            _learn_from(main, parts)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path}: cannot be opened as a store: {error}") from None
    return main, parts


def _open_main(path: Path, found: list[str]) -> tuple[sqlite3.Connection, bool]:
    """The main file, and whether it had to be made anew."""
    try:
        return _open_sound(path), False
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        moved = set_aside(path)
        main = open_for_writing(path)
        saved = _save(moved, main)
        found.append(f"{path}: damaged ({error}), now {moved.name}; {saved} rows of it could be saved")
        return main, True


def _open_sound(path: Path) -> sqlite3.Connection:
    main = open_for_writing(path)
    try:
        check(main, path)
    except BaseException:
        main.close()
        raise
    return main


def _save(damaged: Path, main: sqlite3.Connection) -> int:
    """Copy what can be read of a damaged main file."""
    saved = 0
    try:
        source = open_for_reading(damaged)
    except sqlite3.Error:
        return 0
    for table in _SAVED_TABLES:
        saved += _save_table(source, main, table)
    with contextlib.suppress(sqlite3.DatabaseError):
        main.execute("UPDATE progress SET step = ?", source.execute("SELECT step FROM progress").fetchone())
    source.close()
    return saved


def _save_table(source: sqlite3.Connection, main: sqlite3.Connection, table: str) -> int:
    """Rows from either end of the table, up to the damage in between."""
    main.execute("BEGIN IMMEDIATE")
    saved = 0
    for order in ("ASC", "DESC"):
        try:
            rows = source.execute(f"SELECT * FROM {table} ORDER BY rowid {order}")  # noqa: S608 - names from above
            columns = ", ".join(column[0] for column in rows.description)
            marks = ", ".join("?" * len(rows.description))
            insert = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608
            for row in rows:
                saved += main.execute(insert, row).rowcount
            break
        except sqlite3.DatabaseError:
            continue
    main.execute("COMMIT")
    return saved


def _set_aside_damaged(parts: Parts, found: list[str]) -> None:
    """Look at the parts that are written to; those that were closed cannot have changed since."""
    while True:
        try:
            parts.check_current()
        except PartDamaged as error:
            moved = parts.set_aside(error.part)
            found.append(f"{error.part.path}: damaged ({error}), now {moved.name}; its points cannot be queried")
        else:
            return


def _learn_from(main: sqlite3.Connection, parts: Parts) -> None:
    """Take agents and series from the parts, and, where the step that happened last is not known, the last that is in them."""
    main.execute("BEGIN IMMEDIATE")
    is_step_known = main.execute("SELECT step FROM progress").fetchone()[0] > 0
    for part in parts.all():
        with parts.using(part) as source:
            agents = source.execute("SELECT id, name FROM agent").fetchall()
            series = source.execute("SELECT id, agent_id, name, labels, text, unit, kind FROM series").fetchall()
            step = source.execute("SELECT max(coalesce(max(born), 0), coalesce(max(dead), 0)) FROM chunk").fetchone()[0]
        main.executemany("INSERT OR IGNORE INTO agent (id, name) VALUES (?, ?)", agents)
        main.executemany("INSERT OR IGNORE INTO series VALUES (?, ?, ?, ?, ?, ?, ?)", series)
        if not is_step_known:
            main.execute("UPDATE progress SET step = max(step, ?)", (step,))
    main.execute("UPDATE agent SET series_count = (SELECT count(*) FROM series WHERE agent_id = agent.id)")
    main.execute("COMMIT")
