"""A chunk as one blob: column by column, in blocks of series that can be read alone."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from agent.hub.chunk import Chunk
from agent.hub.decimals import NOT_DECIMAL, decimal_changes, digits_of, from_decimal_changes

__all__ = ["ChunkDamaged", "decode", "encode"]

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Words = NDArray[np.uint64]
Digits = NDArray[np.uint8]

_BLOCK_SERIES = 16
_CHECKSUM = struct.Struct("<I")


class ChunkDamaged(ValueError):
    """The blob is not what was written."""


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    """What a blob holds after its checksum.

    Attributes:
        columns: Blocks of each column, the words of some series each.
        digits: Of a column with decimals, how many digits each series has; no entry: none is stored as decimals.
    """

    ids: bytes
    times: bytes
    columns: dict[str, list[bytes]]
    digits: dict[str, bytes] = {}


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Stored)


def encode(chunk: Chunk) -> bytes:
    """The chunk as bytes: of each value what changed since the one before it, bytes of equal rank together, compressed.

    What changed is a difference in units of the last digit where all values of a series are decimals of few digits, else the
    exclusive or of both values' bits.
    """
    columns, digits = {}, {}
    for name in chunk.columns:
        if not chunk.is_usual(name):
            column = _filled(chunk, name)
            of_series = digits_of(column)
            columns[name] = list(_blocks(_changes(column, of_series)))
            if (of_series != NOT_DECIMAL).any():
                digits[name] = of_series.tobytes()
    ids, times = _differences(chunk.ids.astype(np.int64)), _differences(_differences(chunk.times_ns))
    data = _ENCODER.encode(_Stored(_packed(ids.view(np.uint64)), _packed(times.view(np.uint64)), columns, digits))
    return _CHECKSUM.pack(zlib.crc32(data)) + data


def decode(blob: bytes, wanted: Sequence[int] | None = None) -> Chunk:
    """The chunk in a blob.

    Args:
        wanted: Series to read; None = all. Those that the chunk lacks are left out.

    Raises:
        ChunkDamaged: The blob is not what was written.
    """
    data = memoryview(blob)[_CHECKSUM.size :]
    if len(blob) < _CHECKSUM.size or _CHECKSUM.unpack_from(blob)[0] != zlib.crc32(data):
        raise ChunkDamaged(f"a chunk of {len(blob)} bytes does not match its checksum")
    stored = _DECODER.decode(data)
    ids = np.cumsum(_words(_planes(stored.ids)).view(np.int64)).astype(np.uint32)
    times = np.cumsum(np.cumsum(_words(_planes(stored.times)).view(np.int64)))
    series = np.arange(len(ids)) if wanted is None else _places(ids, wanted)
    columns = {}
    for name, blocks in stored.columns.items():
        changes = _read(blocks, series, len(ids), len(times))
        digits = stored.digits.get(name)
        columns[name] = _values(changes, None if digits is None else np.frombuffer(digits, np.uint8)[series])
    return Chunk(ids[series], times, columns)


def _places(ids: NDArray[np.uint32], wanted: Sequence[int]) -> NDArray[np.intp]:
    """Where those of the wanted series stand that are there; ids are rising."""
    sought = np.unique(np.array(wanted, np.uint32))
    places = np.searchsorted(ids, sought)
    is_there = places < len(ids)
    is_there[is_there] = ids[places[is_there]] == sought[is_there]
    return places[is_there]


def _filled(chunk: Chunk, name: str) -> Floats:
    """The column with cells that hold no point set to the one before, which costs nothing when compressed."""
    column, weights = chunk.columns[name], chunk.columns.get("weights")
    if weights is None or column is weights:
        return column
    last = np.where(weights > 0, np.arange(column.shape[1]), 0)
    return np.take_along_axis(column, np.maximum.accumulate(last, axis=1), axis=1)


def _changes(column: Floats, digits: Digits) -> Words:
    bits = np.ascontiguousarray(column).view(np.uint64)
    changes = bits.copy()
    changes[:, 1:] ^= bits[:, :-1]
    is_decimal = digits != NOT_DECIMAL
    changes[is_decimal] = decimal_changes(column[is_decimal], digits[is_decimal])
    return changes


def _values(changes: Words, digits: Digits | None) -> Floats:
    """The opposite of `_changes`; digits None: of no series."""
    if digits is None:
        return np.bitwise_xor.accumulate(changes, axis=1).view(np.float64)
    is_decimal = digits != NOT_DECIMAL
    if is_decimal.all():
        return from_decimal_changes(changes, digits)
    values = np.bitwise_xor.accumulate(changes, axis=1).view(np.float64)
    values[is_decimal] = from_decimal_changes(changes[is_decimal], digits[is_decimal])
    return values


def _blocks(changes: Words) -> Iterable[bytes]:
    for first in range(0, len(changes), _BLOCK_SERIES):
        yield _packed(changes[first : first + _BLOCK_SERIES])


def _read(blocks: list[bytes], series: NDArray[np.intp], series_count: int, tick_count: int) -> Words:
    """Rows of a column; only the blocks that hold them are decompressed."""
    made = np.empty((len(series), tick_count), np.uint64)
    block_of = series // _BLOCK_SERIES
    for block in sorted(set(block_of.tolist())):
        rows = min(_BLOCK_SERIES, series_count - block * _BLOCK_SERIES)
        mine = np.flatnonzero(block_of == block)
        planes = _planes(blocks[block]).reshape(8, rows, tick_count)[:, series[mine] - block * _BLOCK_SERIES]
        made[mine] = _words(planes.reshape(8, -1)).reshape(-1, tick_count)
    return made


def _differences(numbers: Times) -> Times:
    return np.diff(numbers, prepend=np.int64(0))


def _packed(words: Words) -> bytes:
    """Bytes of equal rank together, compressed."""
    planes = np.ascontiguousarray(words).reshape(-1).view(np.uint8).reshape(-1, 8).T
    return zlib.compress(np.ascontiguousarray(planes).tobytes(), 1)


def _planes(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(8, -1)


def _words(planes: NDArray[np.uint8]) -> Words:
    return np.ascontiguousarray(planes.T).reshape(-1).view(np.uint64)
