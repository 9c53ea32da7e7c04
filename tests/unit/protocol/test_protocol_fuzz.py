"""No input, however made, gets anything out of the protocol but its own refusal, nor much memory."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib

import msgspec
import pytest
from golden_messages import FOLDER, MESSAGES
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from protocol_fuzz import feed, frames_to_input

from agent.errors import ProtocolError
from agent.protocol.agent_session import AgentSession
from agent.protocol.codec import (
    ALWAYS_INFLATED_BYTES,
    MAX_COMPRESSION_RATIO,
    MAX_FRAME_BYTES,
    Codec,
    Encoding,
)
from agent.protocol.hub_session import HubSession
from agent.protocol.messages import BatchMessage, Bye
from agent.protocol.session import SessionState

GOLDEN = {encoding: [path.read_bytes() for path in sorted(FOLDER.glob(f"*.{encoding.value}"))] for encoding in Encoding}
CHOICES = st.integers(0, 255)


@given(st.binary(max_size=600))
@example(b"")
@example(b"\x00\x01")
def test_arbitrary_bytes_get_nothing_but_a_refusal(data: bytes) -> None:
    feed(data)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[int, list[bytes]]:
    """Valid frames in any order, some of them cut, lengthened or with bytes replaced."""
    choice = draw(CHOICES)
    frames = []
    for frame in draw(st.lists(st.sampled_from(GOLDEN[list(Encoding)[choice & 1]]), min_size=1, max_size=6)):
        changed = bytearray(frame)
        for _ in range(draw(st.integers(0, 3))):
            changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
        kept = bytes(changed[: draw(st.just(len(changed)) | st.integers(0, len(changed)))])
        frames.append(kept + draw(st.just(b"") | st.binary(max_size=4)))
    return choice, frames


@given(damaged())
def test_damaged_conversations_get_nothing_but_a_refusal(conversation: tuple[int, list[bytes]]) -> None:
    feed(frames_to_input(*conversation))


class BothEndsFedRubbish(RuleBasedStateMachine):
    """One agent and one hub over a road that also delivers whatever somebody else puts there."""

    @initialize(encoding=st.sampled_from(list(Encoding)))
    def begin(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.agent = AgentSession(Codec(encoding), agent="web1", epoch="e1", agent_version="0", labels={})
        self.hub = HubSession(Codec(encoding), max_series=10)
        self.seq = 0

    @rule()
    def talk(self) -> None:
        """The next step of an ordinary conversation, as far as it got."""
        if self.agent.state is SessionState.NEW:
            self._to_hub(self.agent.hello(1))
        elif self.agent.state is SessionState.GREETING and self.hub.state is SessionState.GREETING:
            window = {"window_batches": 4, "window_bytes": 4000, "max_frame_bytes": 2000}
            self._to_agent(self.hub.welcome(0, **window, server_time_ns=1))
        elif self.agent.has_room:
            self.seq = self.agent.sent_seq + 1
            self._to_hub(self.agent.send(BatchMessage(seq=self.seq, time_ns=1, ids=b"", values=b"")))

    @rule(frame=st.sampled_from(sorted(MESSAGES)))
    def a_valid_message_at_any_time(self, frame: str) -> None:
        one = Codec(self.encoding).encode(MESSAGES[frame])
        self._to_hub(one)
        self._to_agent(one)

    @rule(rubbish=st.binary(max_size=60))
    def rubbish(self, rubbish: bytes) -> None:
        frame = rubbish.decode("latin-1") if self.encoding is Encoding.JSON else rubbish
        self._to_hub(frame)
        self._to_agent(frame)

    @rule()
    def start_over(self) -> None:
        self.begin(self.encoding)

    def _to_hub(self, frame: str | bytes) -> None:
        before = self.hub.state
        try:
            message = self.hub.receive(frame)
        except ProtocolError:
            assert self.hub.state is SessionState.CLOSED
        else:
            assert before is not SessionState.CLOSED or isinstance(message, Bye)

    def _to_agent(self, frame: str | bytes) -> None:
        try:
            self.agent.receive(frame)
        except ProtocolError:
            assert self.agent.state is SessionState.CLOSED
        assert self.agent.acked_seq <= self.agent.sent_seq


TestBothEndsFedRubbish = BothEndsFedRubbish.TestCase


def bombs() -> dict[str, tuple[Encoding, str | bytes]]:
    """Frames within the limit that are made to cost as much as they can."""
    many = [{"id": 1, "name": "a"}] * 75_000
    numbers = ",".join(["1"] * 260_000)
    batch = f'{{"type":"batch","seq":1,"time_ns":1,"ids":[{numbers}],"values":[{numbers}]}}'
    return {
        "zeros, deflated": (Encoding.MSGPACK, zlib.compress(bytes(100_000_000), 9)),
        "zeros, deflated as well as can be": (Encoding.MSGPACK, zlib.compress(bytes(1_000_000), 9)),
        "noise that says it is deflated": (Encoding.MSGPACK, b"\x78\x9c" + os.urandom(MAX_FRAME_BYTES - 2)),
        "tiny definitions": (Encoding.MSGPACK, msgspec.msgpack.encode({"type": "series", "series": many})),
        "tiny numbers": (Encoding.JSON, batch),
        "lists in lists": (Encoding.JSON, '{"type":"ack","seq":1,"x":' + "[" * 1_000_000),
        "an array that says it is long": (Encoding.MSGPACK, b"\x82\xa4type\xa6series\xa6series\xdd\xff\xff\xff\xff"),
        "bytes that say they are long": (Encoding.MSGPACK, b"\x82\xa4type\xa5batch\xa3ids\xc6\xff\xff\xff\xff"),
    }


def peak_of(encoding: Encoding, frame: str | bytes) -> int:
    tracemalloc.start()
    try:
        Codec(encoding).decode(frame)
    except ProtocolError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize("name", bombs())
def test_a_frame_costs_a_bounded_multiple_of_the_limit(name: str) -> None:
    """20 times for decoded objects: JSON makes a number of two characters an object and a place in a list."""
    assert peak_of(*bombs()[name]) <= 20 * MAX_FRAME_BYTES


@pytest.mark.parametrize("name", ["zeros, deflated", "zeros, deflated as well as can be"])
def test_inflating_stops_at_the_limit_and_allocates_no_more(name: str) -> None:
    """Twice for the moment in which the inflated pieces become one."""
    assert peak_of(*bombs()[name]) <= 2.2 * MAX_FRAME_BYTES


def packed_ack(padding: int) -> bytes:
    return msgspec.msgpack.encode({"type": "ack", "seq": 1, "padding": bytes(padding)})


def test_a_frame_may_inflate_to_its_hundredfold_and_no_further() -> None:
    codec = Codec(Encoding.MSGPACK)
    assert codec.decode(zlib.compress(packed_ack(ALWAYS_INFLATED_BYTES - 100), 9)) == MESSAGES["ack"].__class__(seq=1)
    frame = zlib.compress(packed_ack(ALWAYS_INFLATED_BYTES), 9)
    assert len(packed_ack(ALWAYS_INFLATED_BYTES)) > MAX_COMPRESSION_RATIO * len(frame)
    with pytest.raises(ProtocolError, match="inflated frame of 65537 bytes, at most 65536") as caught:
        codec.decode(frame)
    assert caught.value.close_code == 1009


def test_what_compresses_further_than_receivers_take_is_sent_as_it_is() -> None:
    points = 80_000
    batch = BatchMessage(seq=1, time_ns=1, ids=b"", values=bytes(8 * points))
    codec = Codec(Encoding.MSGPACK)
    frame = codec.encode(batch)
    assert frame[:1] != b"\x78"
    usual = BatchMessage(seq=1, time_ns=1, ids=struct.pack(f"<{points}I", *range(points)), values=bytes(8 * points))
    assert codec.encode(usual)[:1] == b"\x78"
    assert codec.decode(codec.encode(usual)) == usual
