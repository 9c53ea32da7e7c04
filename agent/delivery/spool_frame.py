"""One record of the spool as bytes that prove themselves: found, checked and read without anything around them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Frame", "Lane", "carve", "pack", "unpack"]

_MAGIC = b"\xf5RS\x01"
_HEAD = struct.Struct("<4sII")
_BODY = struct.Struct("<QQIBB")
_MAX_BYTES = 1 << 26


class Lane:
    """What goes first when there is no room; lower goes first."""

    ORDINARY = 0
    CRITICAL = 1
    SERIES = 2
    """Definitions; they go with the last record that needs them."""
    BALANCE = 3
    """How much there is, once more, so that what is lost can be counted; never a record."""


class Frame(NamedTuple):
    """A record of the spool.

    Attributes:
        id: Its place in the order, >= 1.
        wall_ns: When it was spooled, UTC nanoseconds.
        points: How many points it holds; 0 for events and gaps.
        lane: See `Lane`.
        run: Epoch of the run whose series ids it uses.
        payload: The encoded message.
    """

    id: int
    wall_ns: int
    points: int
    lane: int
    run: str
    payload: bytes


def pack(frame: Frame) -> bytes:
    """The frame with its length and its crc32 in front."""
    run = frame.run.encode()
    body = _BODY.pack(frame.id, frame.wall_ns, frame.points, frame.lane, len(run)) + run + frame.payload
    return _HEAD.pack(_MAGIC, len(body), zlib.crc32(body)) + body


def unpack(data: bytes, offset: int = 0) -> Frame | None:
    """The frame at an offset; None when it is damaged or there is none. Bytes behind it do not matter."""
    if len(data) - offset < _HEAD.size:
        return None
    magic, size, checksum = _HEAD.unpack_from(data, offset)
    body = data[offset + _HEAD.size : offset + _HEAD.size + size] if size <= _MAX_BYTES else b""
    if magic != _MAGIC or len(body) != size or size < _BODY.size or zlib.crc32(body) != checksum:
        return None
    number, wall_ns, points, lane, run_size = _BODY.unpack_from(body)
    payload_at = _BODY.size + run_size
    return Frame(number, wall_ns, points, lane, body[_BODY.size : payload_at].decode(), body[payload_at:])


def carve(data: bytes) -> Iterator[Frame]:
    """Every whole frame anywhere in these bytes, whatever lies between them; the same one may come more than once."""
    at = data.find(_MAGIC)
    while at >= 0:
        frame = unpack(data, at)
        if frame is not None:
            yield frame
        at = data.find(_MAGIC, at + 1)
