"""The parts of the embedded store: files of chunks, one after the other in time, removed as a whole."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from agent.hub.sqlite_schema import check, is_damage, open_part

__all__ = ["Part", "PartDamaged", "PartKind", "Parts", "parts_in", "set_aside", "size_of"]

_NAME = re.compile(r"(points|rollups)-(\d{6,})-(\d+)\.sqlite3")
_SIDE_FILES = ("", "-wal", "-shm")


class PartKind(Enum):
    """What a part holds; the two are kept for different times."""

    POINTS = "points"
    ROLLUPS = "rollups"


@dataclass(frozen=True, slots=True)
class Part:
    """One file; parts of a kind are numbered in the order in which they were opened."""

    kind: PartKind
    number: int
    opened_s: int
    path: Path

    @property
    def opened_ns(self) -> int:
        return self.opened_s * 1_000_000_000


class PartDamaged(Exception):
    """A part cannot be read or written because of what is in it."""

    def __init__(self, part: Part, reason: str) -> None:
        super().__init__(reason)
        self.part = part


def parts_in(folder: Path, kind: PartKind) -> list[Part]:
    """The parts of that kind, oldest first."""
    found = (_NAME.fullmatch(entry.name) for entry in folder.iterdir()) if folder.is_dir() else ()
    parts = [Part(kind, int(one[2]), int(one[3]), folder / one[0]) for one in found if one and one[1] == kind.value]
    return sorted(parts, key=lambda part: part.number)


def set_aside(path: Path) -> Path:
    """Rename a damaged file, with what belongs to it; its new name."""
    number = 1
    while (moved := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for side in _SIDE_FILES:
        if (one := path.with_name(path.name + side)).exists():
            one.rename(moved.with_name(moved.name + side))
    return moved


def size_of(path: Path) -> int:
    """Bytes of a file and of what belongs to it."""
    return sum(one.stat().st_size for side in _SIDE_FILES if (one := path.with_name(path.name + side)).exists())


class Parts:
    """The writer's side: every part of a store, and which of them takes new chunks.

    Args:
        folder: Where they are; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connections: dict[Path, sqlite3.Connection] = {}
        folder.mkdir(mode=0o700, exist_ok=True)

    def of(self, kind: PartKind) -> list[Part]:
        """The parts of that kind, oldest first."""
        return parts_in(self._folder, kind)

    def all(self) -> list[Part]:
        """All parts, points first."""
        return [part for kind in PartKind for part in self.of(kind)]

    def current(self, kind: PartKind, now_ns: int, *, max_age_s: float, max_bytes: int) -> Part:
        """The part that takes new chunks; a new one when there is none, or the newest is too old or too large (0 = never)."""
        parts = self.of(kind)
        if (
            parts
            and now_ns - parts[-1].opened_ns < max_age_s * 1e9
            and (not max_bytes or size_of(parts[-1].path) < max_bytes)
        ):
            return parts[-1]
        number, opened_s = parts[-1].number + 1 if parts else 1, now_ns // 1_000_000_000
        return Part(kind, number, opened_s, self._folder / f"{kind.value}-{number:06d}-{opened_s}.sqlite3")

    @contextmanager
    def using(self, part: Part) -> Iterator[sqlite3.Connection]:
        """A part's connection, open for writing.

        Raises:
            PartDamaged: What is in the file made whatever was tried fail.
        """
        try:
            if part.path not in self._connections:
                self._connections[part.path] = open_part(part.path)
            yield self._connections[part.path]
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                raise PartDamaged(part, str(error)) from error
            raise

    def check_current(self) -> None:
        """Look for damage in what is written to.

        Raises:
            PartDamaged: There is some.
        """
        for kind in PartKind:
            for part in self.of(kind)[-1:]:
                with self.using(part) as connection:
                    check(connection, part.path)

    def roll_back(self) -> None:
        """Undo what was not committed."""
        for connection in self._connections.values():
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def remove(self, part: Part) -> None:
        """Let go of a part and everything in it, its own file last, which tells of the others. Readers read on."""
        self._forget(part)
        for side in reversed(_SIDE_FILES):
            part.path.with_name(part.path.name + side).unlink(missing_ok=True)

    def set_aside(self, part: Part) -> Path:
        """Rename a damaged part; its new name."""
        self._forget(part)
        return set_aside(part.path)

    def size_bytes(self, kind: PartKind) -> int:
        """Bytes of all parts of that kind."""
        return sum(size_of(part.path) for part in self.of(kind))

    def close(self) -> None:
        """Close all files; safe twice."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _forget(self, part: Part) -> None:
        connection = self._connections.pop(part.path, None)
        if connection is not None:
            connection.close()
