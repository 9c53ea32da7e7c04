"""Feeds whatever bytes to the codec and both ends of a connection; anything but a refusal of the protocol's own is a defect."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from agent.errors import ProtocolError
from agent.protocol.agent_session import AgentSession
from agent.protocol.codec import Codec, Encoding, Frame
from agent.protocol.hub_session import HubSession
from agent.protocol.messages import BatchMessage, Bye, SeriesDefinition
from agent.protocol.session import SessionState

__all__ = ["feed", "frames_to_input"]

MAX_FRAME_BYTES = 100_000
MAX_SERIES = 50
_STATES = (SessionState.NEW, SessionState.GREETING, SessionState.STREAMING)


def feed(data: bytes) -> None:
    """Run one input.

    Args:
        data: The first byte chooses encoding, end and state; the rest is frames, each led by its length (uint16, little-endian).
    """
    choice, frames = data[:1], [*_split(data[1:])]
    number = choice[0] if choice else 0
    encoding = list(Encoding)[number & 1]
    codec = Codec(encoding, max_frame_bytes=MAX_FRAME_BYTES)
    state = _STATES[(number >> 2) % 3]
    run = _feed_hub if number & 2 else _feed_agent
    run(codec, state, [_as_frame(frame, encoding) for frame in frames])


def frames_to_input(choice: int, frames: list[bytes]) -> bytes:
    """The input that makes `feed` do this."""
    return bytes([choice]) + b"".join(struct.pack("<H", len(frame)) + frame for frame in frames)


def _feed_agent(codec: Codec, state: SessionState, frames: list[Frame]) -> None:
    agent = _agent_in(codec, state)
    for frame in frames:
        try:
            agent.receive(frame)
        except ProtocolError:
            assert agent.state is SessionState.CLOSED
        assert 0 <= agent.acked_seq <= agent.sent_seq
        assert agent.in_flight_bytes >= 0
        assert agent.state is SessionState.STREAMING or not agent.has_room


def _feed_hub(codec: Codec, state: SessionState, frames: list[Frame]) -> None:
    hub = _hub_in(codec, state)
    for frame in frames:
        was = hub.state
        try:
            message = hub.receive(frame)
        except ProtocolError:
            assert hub.state is SessionState.CLOSED
            continue
        assert was is not SessionState.CLOSED or isinstance(message, Bye), "a closed end took more than a goodbye"
        if isinstance(message, BatchMessage):
            assert was is SessionState.STREAMING
            assert len(message.values) == 8 * message.points
            assert message.points <= MAX_SERIES


def _agent_in(codec: Codec, state: SessionState) -> AgentSession:
    agent = AgentSession(codec, agent="web1", epoch="e1", agent_version="0.1", labels={})
    if state is SessionState.NEW:
        return agent
    agent.hello(1)
    if state is SessionState.STREAMING:
        hub = _hub_in(Codec(codec.encoding), SessionState.GREETING)
        agent.receive(_welcome(hub))
        agent.define([SeriesDefinition(id=1, name="s")])
        for seq in (1, 2, 3):
            agent.send(BatchMessage(seq=seq, time_ns=1, ids=struct.pack("<I", 1), values=bytes(8)))
    return agent


def _hub_in(codec: Codec, state: SessionState) -> HubSession:
    hub = HubSession(codec, max_series=MAX_SERIES)
    if state is SessionState.NEW:
        return hub
    hub.receive(_agent_in(Codec(codec.encoding), SessionState.NEW).hello(1))
    if state is SessionState.STREAMING:
        _welcome(hub)
    return hub


def _welcome(hub: HubSession) -> Frame:
    return hub.welcome(0, window_batches=8, window_bytes=10_000, max_frame_bytes=MAX_FRAME_BYTES, server_time_ns=1)


def _split(data: bytes) -> Iterator[bytes]:
    while len(data) > 2:
        (size,) = struct.unpack("<H", data[:2])
        yield data[2 : 2 + size]
        data = data[2 + size :]


def _as_frame(frame: bytes, encoding: Encoding) -> Frame:
    """Text keeps lone surrogates: a library that is careless about UTF-8 could hand them on."""
    return frame.decode("utf-8", "surrogateescape") if encoding is Encoding.JSON else frame
