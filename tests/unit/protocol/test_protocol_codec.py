from __future__ import annotations

import math
import struct
import zlib

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.errors import ProtocolError
from agent.protocol.codec import Codec, Encoding, unpack_floats, unpack_ids
from agent.protocol.messages import (
    Ack,
    BatchMessage,
    Bye,
    EventMessage,
    GapMessage,
    Hello,
    Nack,
    SeriesDefinition,
    SeriesMessage,
    Welcome,
)

SEQ = st.integers(1, 2**63 - 1)
TIME = st.integers(0, 2**63 - 1)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SHORT = st.text("abc/é", max_size=20)
LABELS = st.dictionaries(NAME, TEXT, max_size=5)
SECONDS = st.floats(0, 86_400)
FLOAT = st.floats(width=64)
DETAIL = st.dictionaries(
    NAME,
    TEXT
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none(),
)


@st.composite
def batches(draw: st.DrawFn) -> BatchMessage:
    ids = draw(st.lists(st.integers(0, 2**32 - 1), max_size=50, unique=True))
    values = draw(st.lists(FLOAT, min_size=len(ids), max_size=len(ids)))
    flags = draw(st.none() | st.binary(min_size=len(ids), max_size=len(ids)))
    weights = draw(st.none() | st.lists(st.floats(1, 1e9), min_size=len(ids), max_size=len(ids)))
    return BatchMessage(
        seq=draw(SEQ),
        time_ns=draw(TIME),
        ids=struct.pack(f"<{len(ids)}I", *ids),
        values=struct.pack(f"<{len(ids)}d", *values),
        flags=flags,
        weights=None if weights is None else struct.pack(f"<{len(ids)}d", *weights),
    )


DEFINITION = st.builds(SeriesDefinition, id=st.integers(0, 2**32 - 1), name=NAME, labels=LABELS, unit=SHORT, kind=SHORT)
MESSAGES = st.one_of(
    st.builds(
        Hello, version=st.integers(1, 9), agent=NAME, epoch=NAME, next_seq=SEQ, agent_version=SHORT, labels=LABELS
    ),
    st.builds(
        Welcome,
        version=st.integers(1, 9),
        last_seq=st.integers(0, 2**63 - 1),
        window_batches=st.integers(1, 1000),
        window_bytes=st.integers(1, 2**31),
        max_frame_bytes=st.integers(1024, 2**31),
        server_time_ns=TIME,
    ),
    st.builds(SeriesMessage, series=st.lists(DEFINITION, max_size=5)),
    batches(),
    st.builds(
        EventMessage,
        seq=SEQ,
        time_ns=TIME,
        kind=NAME,
        component=NAME,
        level=st.sampled_from(["info", "warning", "error"]),
        detail=DETAIL,
    ),
    st.builds(GapMessage, seq=SEQ, from_ns=TIME, to_ns=TIME, points=st.integers(0, 2**53), reason=SHORT),
    st.builds(Ack, seq=SEQ),
    st.builds(Nack, seq=SEQ, reason=TEXT, retry_after_s=SECONDS),
    st.builds(Bye, reason=TEXT, seq=st.none() | SEQ, retry_after_s=SECONDS),
)


def same_numbers(one: bytes, other: bytes) -> bool:
    """Equal as numbers; JSON has neither NaN nor infinity and carries them as null."""
    return all(a == b or not math.isfinite(a) for a, b in zip(unpack_floats(one), unpack_floats(other), strict=True))


@given(MESSAGES, st.booleans())
def test_msgpack_round_trip_gives_the_same_message(message, compress):
    codec = Codec(Encoding.MSGPACK, compress=compress)
    assert codec.decode(codec.encode(message)) == message


@given(MESSAGES)
def test_json_round_trip_gives_the_same_message_but_for_numbers_json_lacks(message):
    codec = Codec(Encoding.JSON)
    back = codec.decode(codec.encode(message))
    if isinstance(message, BatchMessage):
        assert isinstance(back, BatchMessage)
        assert same_numbers(message.values, back.values)
        assert (back.seq, back.time_ns, back.ids, back.flags) == (
            message.seq,
            message.time_ns,
            message.ids,
            message.flags,
        )
        assert back.weights == message.weights
    else:
        assert back == message


def test_missing_values_travel_through_json_as_null_and_come_back_as_nan():
    codec = Codec(Encoding.JSON)
    batch = BatchMessage(seq=1, time_ns=1, ids=struct.pack("<2I", 7, 8), values=struct.pack("<2d", math.nan, 2.5))
    frame = codec.encode(batch)
    assert msgspec.json.decode(frame)["values"] == [None, 2.5]
    back = codec.decode(frame)
    assert isinstance(back, BatchMessage)
    assert math.isnan(unpack_floats(back.values)[0])
    assert unpack_ids(back.ids) == (7, 8)


def long_batch(points: int = 500) -> BatchMessage:
    ids = range(points)
    return BatchMessage(seq=1, time_ns=1, ids=struct.pack(f"<{points}I", *ids), values=bytes(8 * points))


def test_large_frames_are_compressed_when_that_pays_and_only_then():
    codec = Codec(Encoding.MSGPACK)
    small = codec.encode(Ack(seq=5))
    large = codec.encode(long_batch())
    assert isinstance(small, bytes)
    assert isinstance(large, bytes)
    assert small[0] != 0x78
    assert large[0] == 0x78
    assert len(large) < len(Codec(Encoding.MSGPACK, compress=False).encode(long_batch()))


def test_inflating_stops_at_the_limit():
    bomb = zlib.compress(bytes(50_000_000), 9)
    with pytest.raises(ProtocolError) as caught:
        Codec(Encoding.MSGPACK, max_frame_bytes=100_000).decode(bomb)
    assert caught.value.close_code == 1009


def test_a_message_above_the_other_ends_limit_is_not_sent():
    codec = Codec(Encoding.MSGPACK, compress=False)
    codec.max_send_bytes = 1000
    with pytest.raises(ProtocolError) as caught:
        codec.encode(long_batch())
    assert caught.value.close_code == 1009


@pytest.mark.parametrize(
    ("encoding", "frame", "code"),
    [
        (Encoding.JSON, "this is not JSON", 1007),
        (Encoding.JSON, '{"type":"ack"}', 1007),
        (Encoding.JSON, '{"type":"ack","seq":0}', 1007),
        (Encoding.JSON, '{"type":"ack","seq":9223372036854775808}', 1007),
        (Encoding.JSON, "[]", 1007),
        (Encoding.JSON, '{"type":"batch","seq":1,"time_ns":1,"ids":[1],"values":[1,2]}', 1007),
        (Encoding.JSON, '{"type":"batch","seq":1,"time_ns":1,"ids":[1],"values":[1e999]}', 1007),
        (Encoding.JSON, '{"type":"shout","seq":1}', 4400),
        (Encoding.JSON, '{"seq":1}', 4400),
        (Encoding.JSON, "\ud800", 1007),
        (Encoding.JSON, '{"type":"ack","x":' + "[" * 100_000, 1007),
        (Encoding.JSON, b"\x81\xa4type", 1003),
        (Encoding.MSGPACK, "{}", 1003),
        (Encoding.MSGPACK, b"", 1007),
        (Encoding.MSGPACK, b"\xc1\xff\x00junk", 1007),
        (Encoding.MSGPACK, b"\x78\x9cjunk", 1007),
        (Encoding.MSGPACK, zlib.compress(msgspec.msgpack.encode({"type": "ack", "seq": 1})) + b"more", 1007),
        (Encoding.MSGPACK, zlib.compress(bytes(100))[:-1], 1007),
        (Encoding.MSGPACK, msgspec.msgpack.encode({"type": "shout"}), 4400),
        (Encoding.MSGPACK, b"\x82\xa4type\xa3ack\xa1x" + b"\x91" * 100_000, 1007),
        (Encoding.MSGPACK, b"\xdf\xff\xff\xff\xff", 1007),
        (
            Encoding.MSGPACK,
            msgspec.msgpack.encode({"type": "batch", "seq": 1, "time_ns": 1, "ids": b"123", "values": b""}),
            1007,
        ),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_own_code(encoding, frame, code):
    with pytest.raises(ProtocolError) as caught:
        Codec(encoding).decode(frame)
    assert caught.value.close_code == code


def test_unknown_fields_are_passed_over_so_that_newer_ends_may_add_some():
    assert Codec(Encoding.JSON).decode('{"type":"ack","seq":3,"colour":"blue"}') == Ack(seq=3)


@given(st.binary(max_size=300))
@example(b"\x78\x9c")
def test_no_bytes_whatever_raise_anything_but_a_protocol_error(frame):
    for encoding in Encoding:
        try:
            Codec(encoding).decode(frame)
        except ProtocolError:
            continue


@given(st.text(max_size=300))
def test_no_text_whatever_raises_anything_but_a_protocol_error(frame):
    for encoding in Encoding:
        try:
            Codec(encoding).decode(frame)
        except ProtocolError:
            continue


@given(MESSAGES, st.data())
def test_damaged_frames_raise_nothing_but_a_protocol_error(message, data):
    """Near misses go deeper into the decoder than random bytes do."""
    frame = bytearray(msgspec.msgpack.encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(frame)))
    try:
        Codec(Encoding.MSGPACK).decode(bytes(frame[:cut]))
    except ProtocolError:
        return
