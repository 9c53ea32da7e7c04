"""Just enough of the protobuf wire format to write messages: https://protobuf.dev/programming-guides/encoding/"""

from __future__ import annotations

import struct
from collections.abc import Iterable

__all__ = ["double", "message", "packed", "text", "varint"]

_VARINT, _FIXED64, _LENGTH = 0, 1, 2
_DOUBLE = struct.Struct("<d")


def varint(field: int, number: int) -> bytes:
    """A field of type int64, uint32 or enum; `number` 0 ... 2^63-1."""
    return _number(field << 3 | _VARINT) + _number(number)


def double(field: int, value: float) -> bytes:
    """A field of type double."""
    return _number(field << 3 | _FIXED64) + _DOUBLE.pack(value)


def text(field: int, value: str) -> bytes:
    """A field of type string."""
    return message(field, value.encode())


def message(field: int, body: bytes) -> bytes:
    """A field that holds a message, or bytes."""
    return _number(field << 3 | _LENGTH) + _number(len(body)) + body


def packed(field: int, numbers: Iterable[int]) -> bytes:
    """A repeated field of numbers >= 0, packed."""
    return message(field, b"".join(map(_number, numbers)))


def _number(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
