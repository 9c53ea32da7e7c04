from __future__ import annotations

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.errors import ProtocolError
from agent.protocol.agent_session import AgentSession
from agent.protocol.codec import Codec, Encoding
from agent.protocol.hub_session import HubSession
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
from agent.protocol.session import SessionState

PLAIN = Codec(Encoding.JSON)


def agent_end(encoding: Encoding = Encoding.JSON) -> AgentSession:
    return AgentSession(Codec(encoding), agent="web1", epoch="e1", agent_version="0.1", labels={"dc": "north"})


def hub_end(encoding: Encoding = Encoding.JSON, *, max_series: int = 100) -> HubSession:
    return HubSession(Codec(encoding), max_series=max_series)


def greeted(
    *, last_seq: int = 0, window_batches: int = 4, window_bytes: int = 10_000, encoding: Encoding = Encoding.JSON
):
    agent, hub = agent_end(encoding), hub_end(encoding)
    hub.receive(agent.hello(last_seq + 1))
    agent.receive(
        hub.welcome(
            last_seq,
            window_batches=window_batches,
            window_bytes=window_bytes,
            max_frame_bytes=100_000,
            server_time_ns=1,
        )
    )
    return agent, hub


def batch(seq: int, *ids: int) -> BatchMessage:
    return BatchMessage(seq=seq, time_ns=seq, ids=struct.pack(f"<{len(ids)}I", *ids), values=bytes(8 * len(ids)))


def gap(seq: int) -> GapMessage:
    return GapMessage(seq=seq, from_ns=1, to_ns=2, points=1, reason="sampled")


def definition(series_id: int) -> SeriesDefinition:
    return SeriesDefinition(id=series_id, name=f"s{series_id}")


@pytest.mark.parametrize("encoding", list(Encoding))
def test_a_record_goes_from_hello_to_its_ack(encoding):
    agent, hub = greeted(encoding=encoding)
    for frame in agent.define([definition(7)]):
        assert isinstance(hub.receive(frame), SeriesMessage)
    received = hub.receive(agent.send(batch(1, 7)))
    assert isinstance(received, BatchMessage)
    agent.receive(hub.ack(1))
    assert (agent.acked_seq, agent.in_flight_bytes) == (1, 0)


def test_welcome_tells_what_the_hub_has_already():
    agent, _ = greeted(last_seq=41)
    assert (agent.acked_seq, agent.sent_seq) == (41, 41)


def test_an_ack_is_cumulative():
    agent, hub = greeted()
    for seq in (1, 2, 3):
        hub.receive(agent.send(gap(seq)))
    agent.receive(hub.ack(2))
    assert agent.acked_seq == 2
    assert agent.in_flight_bytes > 0
    agent.receive(hub.ack(3))
    assert agent.in_flight_bytes == 0


def test_the_window_counts_records_and_bytes():
    agent, _ = greeted(window_batches=2)
    agent.send(gap(1))
    assert agent.has_room
    agent.send(gap(2))
    assert not agent.has_room
    narrow, _ = greeted(window_bytes=1)
    assert narrow.has_room
    narrow.send(gap(1))
    assert not narrow.has_room


def test_only_ids_not_defined_on_this_connection_are_asked_for():
    agent, _ = greeted()
    assert agent.undefined(batch(1, 1, 2)) == [1, 2]
    agent.define([definition(1)])
    assert agent.undefined(batch(1, 1, 2)) == [2]
    agent.define([definition(2)])
    assert agent.undefined(batch(1, 1, 2)) == []


def test_many_definitions_are_spread_over_several_messages():
    agent, hub = greeted()
    hub = hub_end(max_series=2000)
    hub.receive(agent_end().hello(1))
    hub.welcome(0, window_batches=1, window_bytes=1, max_frame_bytes=100_000, server_time_ns=1)
    frames = agent.define([definition(one) for one in range(1200)])
    assert len(frames) == 3
    for frame in frames:
        assert hub.receive(frame) is not None


def test_after_a_nack_records_are_void_until_the_refused_one_comes_again():
    agent, hub = greeted()
    frames = [agent.send(gap(seq)) for seq in (1, 2, 3)]
    hub.receive(frames[0])
    agent.receive(hub.nack(1, "disk full", 2.0))
    assert [hub.receive(frame) for frame in frames[1:]] == [None, None]
    assert agent.nack is not None
    assert (agent.nack.retry_after_s, agent.sent_seq, agent.in_flight_bytes) == (2.0, 0, 0)
    assert hub.receive(agent.send(gap(1))) == gap(1)
    assert agent.nack is None
    assert hub.receive(agent.send(gap(2))) == gap(2)


def test_bye_of_the_hub_says_when_to_come_back():
    agent, hub = greeted()
    assert agent.has_room
    agent.receive(hub.say_bye("restarting", retry_after_s=3.0))
    assert not agent.has_room
    assert agent.state is SessionState.CLOSED
    assert agent.bye == Bye(reason="restarting", retry_after_s=3.0)


def test_bye_of_the_agent_names_the_last_record():
    agent, hub = greeted()
    hub.receive(agent.send(gap(1)))
    assert hub.receive(agent.say_bye("stopping")) == Bye(reason="stopping", seq=1)
    assert hub.state is SessionState.CLOSED


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (gap(1), 1002),
        (Ack(seq=1), 1002),
        (SeriesMessage(series=[]), 1002),
        (Hello(version=9, agent="a", epoch="e", next_seq=1), 4426),
    ],
)
def test_the_hub_takes_nothing_but_a_hello_of_its_version_first(message, code):
    hub = hub_end()
    with pytest.raises(ProtocolError) as caught:
        hub.receive(PLAIN.encode(message))
    assert caught.value.close_code == code
    assert hub.state is SessionState.CLOSED


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (batch(1, 5), 4404),
        (Hello(version=1, agent="a", epoch="e", next_seq=1), 1002),
        (Ack(seq=1), 1002),
        (SeriesMessage(series=[definition(one) for one in range(101)]), 4413),
    ],
)
def test_what_a_welcome_agent_may_not_send_is_refused(message, code):
    _, hub = greeted()
    with pytest.raises(ProtocolError) as caught:
        hub.receive(PLAIN.encode(message))
    assert caught.value.close_code == code


def test_a_batch_with_one_series_twice_is_refused():
    agent, hub = greeted()
    for frame in agent.define([definition(5)]):
        hub.receive(frame)
    with pytest.raises(ProtocolError, match="one series twice"):
        hub.receive(PLAIN.encode(batch(1, 5, 5)))


@pytest.mark.parametrize(
    "message",
    [
        Ack(seq=9),
        Nack(seq=9, reason="?"),
        Nack(seq=1, reason="acked already"),
        gap(1),
        Welcome(version=1, last_seq=0, window_batches=1, window_bytes=1, max_frame_bytes=1024, server_time_ns=0),
    ],
)
def test_a_hub_that_breaks_the_protocol_is_refused(message):
    agent, hub = greeted()
    agent.send(gap(1))
    agent.receive(hub.ack(1))
    with pytest.raises(ProtocolError) as caught:
        agent.receive(PLAIN.encode(message))
    assert caught.value.close_code == 1002
    assert agent.state is SessionState.CLOSED


def test_a_welcome_of_another_version_is_refused():
    agent = agent_end()
    agent.hello(1)
    welcome = Welcome(version=2, last_seq=0, window_batches=1, window_bytes=1, max_frame_bytes=1024, server_time_ns=0)
    with pytest.raises(ProtocolError) as caught:
        agent.receive(PLAIN.encode(welcome))
    assert caught.value.close_code == 4426


def test_a_record_larger_than_the_hub_takes_is_not_counted_as_sent():
    agent, _ = greeted(encoding=Encoding.JSON)
    with pytest.raises(ProtocolError) as caught:
        agent.send(batch(1, *range(20_000)))
    assert caught.value.close_code == 1009
    assert (agent.sent_seq, agent.in_flight_bytes) == (0, 0)


@given(st.lists(st.binary(max_size=80) | st.text(max_size=80), max_size=4))
def test_no_sequence_of_frames_raises_anything_but_a_protocol_error(frames):
    for encoding in Encoding:
        _, hub = greeted(encoding=encoding)
        agent, _ = greeted(encoding=encoding)
        for session in (hub, agent, hub_end(encoding), agent_end(encoding)):
            for frame in frames:
                try:
                    session.receive(frame)
                except ProtocolError:
                    assert session.state is SessionState.CLOSED
                    break


KNOWN_MESSAGES = st.sampled_from(
    [
        Hello(version=1, agent="a", epoch="e", next_seq=1),
        Welcome(version=1, last_seq=3, window_batches=1, window_bytes=1, max_frame_bytes=1024, server_time_ns=0),
        SeriesMessage(series=[definition(1)]),
        batch(1, 1),
        batch(2, 2),
        EventMessage(seq=1, time_ns=1, kind="a.b", component="c"),
        gap(4),
        Ack(seq=1),
        Nack(seq=1, reason=""),
        Bye(),
    ]
)


@given(st.lists(KNOWN_MESSAGES, max_size=8))
def test_no_order_of_known_messages_raises_anything_but_a_protocol_error(messages):
    for session in (
        hub_end(Encoding.MSGPACK),
        greeted(encoding=Encoding.MSGPACK)[1],
        greeted(encoding=Encoding.MSGPACK)[0],
    ):
        for message in messages:
            try:
                session.receive(msgspec.msgpack.encode(message))
            except ProtocolError:
                break


class BothEnds(RuleBasedStateMachine):
    """Both ends over wires that keep order, with a store that takes or refuses: stored = sent, once, in order."""

    @initialize()
    def greet(self) -> None:
        self.agent, self.hub = greeted(window_batches=5)
        self.to_hub: list[bytes | str] = []
        self.to_agent: list[bytes | str] = []
        self.stored: list[int] = []
        self.is_failing = False

    @rule(fails=st.booleans())
    def the_disk_changes(self, fails: bool) -> None:
        self.is_failing = fails

    @precondition(lambda self: self.agent.has_room)
    @rule()
    def agent_sends(self) -> None:
        self.to_hub.append(self.agent.send(gap(self.agent.sent_seq + 1)))

    @precondition(lambda self: self.to_hub)
    @rule()
    def hub_takes(self) -> None:
        record = self.hub.receive(self.to_hub.pop(0))
        if record is None:
            return
        assert isinstance(record, GapMessage)
        if self.is_failing:
            self.to_agent.append(self.hub.nack(record.seq, "disk full", 0.0))
        else:
            self.stored.append(record.seq)
            self.to_agent.append(self.hub.ack(record.seq))

    @precondition(lambda self: self.to_agent)
    @rule()
    def agent_takes(self) -> None:
        self.agent.receive(self.to_agent.pop(0))

    @invariant()
    def everything_acked_is_stored_once_and_in_order(self) -> None:
        if not hasattr(self, "agent"):
            return
        assert self.stored == list(range(1, len(self.stored) + 1))
        assert self.agent.acked_seq <= len(self.stored)
        assert self.agent.in_flight_bytes >= 0


TestBothEnds = BothEnds.TestCase
