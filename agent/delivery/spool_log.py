"""The log beside a spool's database, SQLite's WAL: SQLite ends it at the first damaged frame, here those behind it are kept.

Source: "WAL-mode File Format", https://www.sqlite.org/walformat.html.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

__all__ = ["Log", "mend", "newest_pages"]

_BIG_ENDIAN_MAGIC, _LITTLE_ENDIAN_MAGIC = b"\x37\x7f\x06\x83", b"\x37\x7f\x06\x82"
_VERSION = 3_007_000
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


class _Head(NamedTuple):
    """What the head's checksum covers, and in which order of bytes checksums read their words."""

    covered: bytes
    order: str

    @property
    def salts(self) -> bytes:
        return self.covered[16:24]


class _Frame(NamedTuple):
    """One page of the log: what its checksum covers of its head, its salts, that checksum, and the page."""

    head: memoryview
    salts: bytes
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
    damaged = _damaged_count(head, data[:_HEAD_BYTES], committed)
    if damaged:
        _replace(path, _rewritten(head, committed))
    return Log(damaged, bytes(data[_HEAD_BYTES + len(committed) * (_FRAME_HEAD_BYTES + page_bytes) :]))


def newest_pages(path: Path, page_bytes: int) -> dict[int, bytes]:
    """What a log holds of each page, by its number, as it was committed last."""
    _, frames = _parts(memoryview(path.read_bytes() if path.exists() else b""), page_bytes)
    return {frame.number: bytes(frame.page) for frame in frames[: _committed_count(frames)]}


def _parts(data: memoryview, page_bytes: int) -> tuple[_Head, list[_Frame]]:
    """What the head should be, and all frames with its salts; those behind them are older than the log's last beginning."""
    starts = range(_HEAD_BYTES, len(data) - page_bytes - _FRAME_HEAD_BYTES + 1, page_bytes + _FRAME_HEAD_BYTES)
    head = _head(data, page_bytes)
    ends = max((n for n, at in enumerate(starts, 1) if data[at + 8 : at + 16] == head.salts), default=0)
    frames = [
        _Frame(
            data[at : at + 8],
            bytes(data[at + 8 : at + 16]),
            struct.unpack_from(">2I", data, at + 16),
            data[at + _FRAME_HEAD_BYTES :][:page_bytes],
        )
        for at in starts[:ends]
    ]
    return head, frames


def _head(data: memoryview, page_bytes: int) -> _Head:
    """The head as it is, or, when it is damaged, one with the first frame's salts."""
    order = ">" if data[:4] == _BIG_ENDIAN_MAGIC else "<"
    covered = bytes(data[:24]).ljust(24, b"\0")
    if data[24:_HEAD_BYTES] == struct.pack(">2I", *_sums(memoryview(covered), (0, 0), order)):
        return _Head(covered, order)
    magic = _BIG_ENDIAN_MAGIC if order == ">" else _LITTLE_ENDIAN_MAGIC
    salts = bytes(data[_HEAD_BYTES + 8 : _HEAD_BYTES + 16])
    return _Head(magic + struct.pack(">3I", _VERSION, page_bytes, 0) + salts, order)


def _committed_count(frames: Sequence[_Frame]) -> int:
    return max((n for n, frame in enumerate(frames, 1) if frame.is_commit), default=0)


def _damaged_count(head: _Head, found: memoryview, frames: Sequence[_Frame]) -> int:
    """How many have other salts, or a checksum that does not follow from the one before it."""
    if not frames:
        return 0
    damaged = int(found[:24] != head.covered)
    before: Sums = struct.unpack_from(">2I", found, 24)
    for frame in frames:
        is_right = _sums(frame.page, _sums(frame.head, before, head.order), head.order) == frame.sums
        damaged += frame.salts != head.salts or not is_right
        before = frame.sums
    return damaged


def _rewritten(head: _Head, frames: Sequence[_Frame]) -> bytes:
    """The same log with every checksum right."""
    sums = _sums(memoryview(head.covered), (0, 0), head.order)
    parts: list[bytes | memoryview] = [head.covered, struct.pack(">2I", *sums)]
    for frame in frames:
        frame_head = frame.head if frame.number else memoryview(_UNUSED_PAGE + frame.head[4:])
        sums = _sums(frame.page, _sums(frame_head, sums, head.order), head.order)
        parts += [frame_head, head.salts, struct.pack(">2I", *sums), frame.page]
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
