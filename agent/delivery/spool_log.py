"""The log beside a spool's database, SQLite's WAL: SQLite ends it at the first damaged frame, here those behind it are kept.

Source: "WAL-mode File Format", https://www.sqlite.org/walformat.html.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

__all__ = ["Log", "mend", "newest_pages"]

_BIG_ENDIAN_MAGIC, _LITTLE_ENDIAN_MAGIC, _VERSION = 0x377F0683, 0x377F0682, 3007000
_HEAD_BYTES, _FRAME_HEAD_BYTES = 32, 24
_UNUSED_PAGE = b"\xff\xff\xff\xfe"
"""Stands in for a page number that was zeroed; SQLite ends the log at page 0 and never copies what lies behind the last page."""

Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Log:
    """What a log held.

    Attributes:
        damaged_frames: Committed pages with a wrong checksum; it is right now, what they hold is not.
        tail: All behind the last commit: a write that a kill cut short or whose end was damaged, and what is older than the log.
    """

    damaged_frames: int = 0
    tail: bytes = b""


class _Frame(NamedTuple):
    """One page of the log: what its checksum covers of its head, that checksum, and the page."""

    head: memoryview
    sums: Sums
    page: memoryview

    @property
    def number(self) -> int:
        return int.from_bytes(self.head[:4], "big")

    @property
    def is_commit(self) -> bool:
        return any(self.head[4:])


def mend(path: Path, page_bytes: int) -> Log:
    """Make every committed page of a log readable for SQLite, the damaged ones as they are; nobody may have it open."""
    data = memoryview(path.read_bytes() if path.exists() else b"")
    head, frames = _parts(data, page_bytes)
    committed = frames[: _committed_count(frames)]
    order = ">" if head[:4] == struct.pack(">I", _BIG_ENDIAN_MAGIC) else "<"
    damaged = _damaged_count(head, committed, order)
    if damaged:
        _replace(path, _rewritten(head, committed, order))
    return Log(damaged, bytes(data[_HEAD_BYTES + len(committed) * (_FRAME_HEAD_BYTES + page_bytes) :]))


def newest_pages(path: Path, page_bytes: int) -> dict[int, bytes]:
    """What a log holds of each page, by its number, as it was committed last."""
    _, frames = _parts(memoryview(path.read_bytes() if path.exists() else b""), page_bytes)
    return {frame.number: bytes(frame.page) for frame in frames[: _committed_count(frames)]}


def _parts(data: memoryview, page_bytes: int) -> tuple[memoryview, list[_Frame]]:
    """The head, with the salts that most of it and of the first two frames name; and all frames with these salts.

    Those behind them are older than the log's last beginning, and have other salts.
    """
    starts = range(_HEAD_BYTES, len(data) - page_bytes - _FRAME_HEAD_BYTES + 1, page_bytes + _FRAME_HEAD_BYTES)
    salts = Counter(bytes(data[at : at + 8]) for at in (16, *(at + 8 for at in starts[:2]))).most_common(1)[0][0]
    ends = max((n for n, at in enumerate(starts, 1) if data[at + 8 : at + 16] == salts), default=0)
    frames = [
        _Frame(data[at : at + 8], struct.unpack_from(">2I", data, at + 16), data[at + _FRAME_HEAD_BYTES :][:page_bytes])
        for at in starts[:ends]
    ]
    return memoryview(bytes(data[:16]) + salts + bytes(data[24:_HEAD_BYTES])), frames


def _committed_count(frames: Sequence[_Frame]) -> int:
    return max((n for n, frame in enumerate(frames, 1) if frame.is_commit), default=0)


def _damaged_count(head: memoryview, frames: Sequence[_Frame], order: str) -> int:
    """How many checksums do not follow from the one before them."""
    if not frames:
        return 0
    before: Sums = struct.unpack_from(">2I", head, 24)
    damaged = int(_sums(head[:24], (0, 0), order) != before)
    for frame in frames:
        damaged += _sums(frame.page, _sums(frame.head, before, order), order) != frame.sums
        before = frame.sums
    return damaged


def _rewritten(old: memoryview, frames: Sequence[_Frame], order: str) -> bytes:
    """The same log with every checksum right."""
    magic = _BIG_ENDIAN_MAGIC if order == ">" else _LITTLE_ENDIAN_MAGIC
    head, salts = struct.pack(">3I", magic, _VERSION, len(frames[0].page)) + old[12:24], old[16:24]
    sums = _sums(memoryview(head), (0, 0), order)
    parts: list[bytes | memoryview] = [head, struct.pack(">2I", *sums)]
    for frame in frames:
        frame_head = frame.head if frame.number else memoryview(_UNUSED_PAGE + frame.head[4:])
        sums = _sums(frame.page, _sums(frame_head, sums, order), order)
        parts += [frame_head, salts, struct.pack(">2I", *sums), frame.page]
    return b"".join(parts)


def _sums(data: memoryview, before: Sums, order: str) -> Sums:
    """SQLite's checksum of these bytes, which goes on from the one before."""
    first, second = before
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFF_FFFF
        second = (second + other + first) & 0xFFFF_FFFF
    return first, second


def _replace(path: Path, data: bytes) -> None:
    """Durably and at once; SQLite makes the index beside it anew."""
    fresh = path.with_name(path.name + ".mended")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    path.with_name(path.name.removesuffix("-wal") + "-shm").unlink(missing_ok=True)
    fresh.replace(path)
