"""Messages to frames and back, in both encodings. Nothing but `ProtocolError` comes out of any frame."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Sequence
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from agent.errors import ProtocolError
from agent.protocol.close_codes import CloseCode
from agent.protocol.messages import (
    MESSAGE_TYPES,
    Ack,
    BatchMessage,
    Bye,
    EventMessage,
    GapMessage,
    Hello,
    Message,
    Nack,
    Seq,
    SeriesId,
    SeriesMessage,
    TimeNs,
    Welcome,
)

__all__ = [
    "ALWAYS_INFLATED_BYTES",
    "MAX_COMPRESSION_RATIO",
    "MAX_FRAME_BYTES",
    "SUBPROTOCOLS",
    "Codec",
    "Encoding",
    "Frame",
    "chosen_subprotocol",
    "offered_subprotocols",
    "unpack_floats",
    "unpack_ids",
]

Frame = bytes | str

MAX_FRAME_BYTES = 1_048_576
"""What either end accepts before `welcome` has said otherwise."""

MAX_COMPRESSION_RATIO = 100
"""A compressed frame inflates to so many times its size at most; what a sender could compress further it sends as it is."""

ALWAYS_INFLATED_BYTES = 65_536
"""Up to here the ratio is not looked at: so little harms nobody."""

_MAX_FLOAT32 = 3.4028234663852886e38
_ZLIB_FIRST_BYTE = b"\x78"
_COMPRESS_FROM_BYTES = 1024


class Encoding(Enum):
    """How messages are written; the value is the last word of the subprotocol."""

    MSGPACK = "msgpack"
    JSON = "json"

    @property
    def subprotocol(self) -> str:
        return f"rebellion.v1.{self.value}"


SUBPROTOCOLS = {encoding.subprotocol: encoding for encoding in Encoding}


def offered_subprotocols(preferred: Encoding) -> list[str]:
    """What an agent offers: its own choice first, then what it can speak all the same."""
    return sorted(SUBPROTOCOLS, key=lambda name: name != preferred.subprotocol)


def chosen_subprotocol(offered: Sequence[str], known: Collection[str]) -> str | None:
    """What a hub chooses: the first that the agent offers and the hub knows; None when there is none."""
    return next((name for name in offered if name in known), None)


class _JsonBatch(Struct, frozen=True, kw_only=True, tag_field="type", tag="batch", omit_defaults=True):
    seq: Seq
    time_ns: TimeNs
    ids: list[SeriesId]
    values: list[float | None]
    flags: list[Annotated[int, Meta(ge=0, le=255)]] | None = None
    weights: list[float | None] | None = None
    bounds: list[float | None] | None = None


class _Typed(Struct):
    type: str = ""


_JsonMessage = Hello | Welcome | SeriesMessage | _JsonBatch | EventMessage | GapMessage | Ack | Nack | Bye
_PACK = msgspec.msgpack.Encoder()
_UNPACK: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_PARSE: msgspec.json.Decoder[_JsonMessage] = msgspec.json.Decoder(_JsonMessage)
_UNPACK_TYPE = msgspec.msgpack.Decoder(_Typed)
_PARSE_TYPE = msgspec.json.Decoder(_Typed)
_NOT_DECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError)


class Codec:
    """Encodes and decodes the frames of one connection. Frames are independent of each other.

    Args:
        encoding: What the subprotocol agreed on.
        max_frame_bytes: Larger frames are refused when they come in, before and after inflating, and inflating stops there;
            `max_send_bytes` starts at the same figure.
        compress: True compresses binary frames where that makes them smaller.
    """

    def __init__(self, encoding: Encoding, *, max_frame_bytes: int = MAX_FRAME_BYTES, compress: bool = True) -> None:
        self.encoding = encoding
        self.max_frame_bytes = max_frame_bytes
        self.max_send_bytes = max_frame_bytes
        self._compress = compress

    def encode(self, message: Message) -> Frame:
        """The frame of a message.

        Raises:
            ProtocolError: The frame would be larger than `max_send_bytes`.
        """
        if self.encoding is Encoding.JSON:
            plain = _to_json_batch(message) if isinstance(message, BatchMessage) else message
            frame = msgspec.json.encode(plain)
            _check_size(len(frame), self.max_send_bytes, "message")
            return frame.decode()
        packed = _PACK.encode(message)
        if self._compress and len(packed) > _COMPRESS_FROM_BYTES:
            packed = _compressed(packed)
        _check_size(len(packed), self.max_send_bytes, "message")
        return packed

    def decode(self, frame: Frame) -> Message:
        """The message in a frame.

        Raises:
            ProtocolError: Anything at all is wrong with it; `close_code` says what.
        """
        _check_size(len(frame), self.max_frame_bytes, "frame")
        if isinstance(frame, str) != (self.encoding is Encoding.JSON):
            got = "text" if isinstance(frame, str) else "binary"
            raise ProtocolError(f"a {got} frame on {self.encoding.subprotocol}", CloseCode.WRONG_FRAME)
        message = self._decode_json(frame) if isinstance(frame, str) else self._decode_msgpack(frame)
        if isinstance(message, BatchMessage):
            _check_arrays(message)
        return message

    def _decode_msgpack(self, frame: bytes) -> Message:
        data = self._inflate(frame) if frame[:1] == _ZLIB_FIRST_BYTE else frame
        try:
            return _UNPACK.decode(data)
        except _NOT_DECODABLE as error:
            raise _refusal(error, data) from None

    def _decode_json(self, frame: str) -> Message:
        try:
            message = _PARSE.decode(frame)
        except _NOT_DECODABLE as error:
            raise _refusal(error, frame) from None
        return _from_json_batch(message) if isinstance(message, _JsonBatch) else message

    def _inflate(self, frame: bytes) -> bytes:
        inflater = zlib.decompressobj()
        limit = min(self.max_frame_bytes, _inflated_at_most(len(frame)))
        try:
            data = inflater.decompress(frame, limit + 1)
        except zlib.error as error:
            raise ProtocolError(f"not a zlib stream: {error}", CloseCode.NOT_DECODABLE) from None
        _check_size(len(data), limit, "inflated frame")
        if not inflater.eof or inflater.unused_data:
            raise ProtocolError("not one whole zlib stream", CloseCode.NOT_DECODABLE)
        return data


def unpack_ids(ids: bytes) -> tuple[int, ...]:
    """The numbers in a batch's `ids`."""
    return struct.unpack(f"<{len(ids) // 4}I", ids)


def unpack_floats(values: bytes) -> tuple[float, ...]:
    """The numbers in a batch's `values` or `weights`."""
    return struct.unpack(f"<{len(values) // 8}d", values)


def _compressed(packed: bytes) -> bytes:
    """The compressed form where it is smaller and no receiver would take it for a bomb, else the given one."""
    small = zlib.compress(packed, 1)
    return small if len(small) < len(packed) <= _inflated_at_most(len(small)) else packed


def _inflated_at_most(frame_bytes: int) -> int:
    return max(ALWAYS_INFLATED_BYTES, MAX_COMPRESSION_RATIO * frame_bytes)


def _check_size(size: int, limit: int, what: str) -> None:
    if size > limit:
        raise ProtocolError(f"{what} of {size} bytes, at most {limit} are taken", CloseCode.TOO_BIG)


def _check_arrays(batch: BatchMessage) -> None:
    points, odd = divmod(len(batch.ids), 4)
    flags_fit = batch.flags is None or len(batch.flags) == points
    weights_fit = batch.weights is None or len(batch.weights) == points * 8
    bounds_fit = batch.bounds is None or len(batch.bounds) == points * 4
    if odd or len(batch.values) != points * 8 or not (flags_fit and weights_fit and bounds_fit):
        raise ProtocolError("the arrays of a batch have different lengths", CloseCode.NOT_DECODABLE)


def _to_json_batch(batch: BatchMessage) -> _JsonBatch:
    return _JsonBatch(
        seq=batch.seq,
        time_ns=batch.time_ns,
        ids=list(unpack_ids(batch.ids)),
        values=list(unpack_floats(batch.values)),
        flags=None if batch.flags is None else list(batch.flags),
        weights=None if batch.weights is None else list(unpack_floats(batch.weights)),
        bounds=None if batch.bounds is None else list(struct.unpack(f"<{len(batch.bounds) // 4}f", batch.bounds)),
    )


def _from_json_batch(batch: _JsonBatch) -> BatchMessage:
    return BatchMessage(
        seq=batch.seq,
        time_ns=batch.time_ns,
        ids=struct.pack(f"<{len(batch.ids)}I", *batch.ids),
        values=_pack_floats(batch.values),
        flags=None if batch.flags is None else bytes(batch.flags),
        weights=None if batch.weights is None else _pack_floats(batch.weights),
        bounds=None if batch.bounds is None else _pack_bounds(batch.bounds),
    )


def _pack_floats(values: list[float | None]) -> bytes:
    return struct.pack(f"<{len(values)}d", *(float("nan") if value is None else value for value in values))


def _pack_bounds(bounds: list[float | None]) -> bytes:
    """As float32; what is too large for one is not known."""
    known = (value if value is not None and abs(value) <= _MAX_FLOAT32 else float("nan") for value in bounds)
    return struct.pack(f"<{len(bounds)}f", *known)


def _refusal(error: Exception, data: Frame) -> ProtocolError:
    """Tell an unknown message apart from a broken one."""
    if isinstance(error, msgspec.ValidationError):
        try:
            kind = _PARSE_TYPE.decode(data).type if isinstance(data, str) else _UNPACK_TYPE.decode(data).type
        except _NOT_DECODABLE:
            return ProtocolError("not a message: its type is no text", CloseCode.NOT_DECODABLE)
        if kind not in MESSAGE_TYPES:
            return ProtocolError(f"unknown message {kind[:64]!r}", CloseCode.UNKNOWN_MESSAGE)
    return ProtocolError(f"not a message: {error}"[:200], CloseCode.NOT_DECODABLE)
