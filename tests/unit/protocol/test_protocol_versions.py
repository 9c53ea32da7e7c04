"""Ends of different versions: what they have in common is spoken, and nothing is lost for it."""

from __future__ import annotations

import json
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ProtocolError
from agent.protocol.agent_session import AgentSession
from agent.protocol.codec import Codec, Encoding, chosen_subprotocol, offered_subprotocols
from agent.protocol.hub_session import HubSession
from agent.protocol.messages import BatchMessage, GapMessage, Hello, SeriesDefinition
from agent.protocol.session import SessionState
from agent.protocol.versions import SPOKEN, Versions

VERSIONS = st.tuples(st.integers(1, 6), st.integers(0, 5)).map(lambda pair: Versions(pair[0], pair[0] + pair[1]))


def ends(agent: Versions, hub: Versions, encoding: Encoding = Encoding.MSGPACK) -> tuple[AgentSession, HubSession]:
    said = {"agent": "web1", "epoch": "e1", "agent_version": "9.9", "labels": {}}
    return AgentSession(Codec(encoding), **said, versions=agent), HubSession(
        Codec(encoding), max_series=10, versions=hub
    )


def greet(agent: AgentSession, hub: HubSession) -> None:
    hub.receive(agent.hello(1))
    window = {"window_batches": 8, "window_bytes": 10_000, "max_frame_bytes": 10_000}
    agent.receive(hub.welcome(0, **window, server_time_ns=1))


def ship(agent: AgentSession, hub: HubSession) -> list[int]:
    """Send three records and return the numbers that the hub took; all of them are acknowledged."""
    for frame in agent.define([SeriesDefinition(id=1, name="s")]):
        hub.receive(frame)
    batch = BatchMessage(seq=1, time_ns=1, ids=struct.pack("<I", 1), values=bytes(8))
    gap = GapMessage(seq=2, from_ns=1, to_ns=2, points=1, reason="sampled")
    records = [batch, gap, msgspec.structs.replace(batch, seq=3)]
    taken = [hub.receive(agent.send(record)) for record in records]
    agent.receive(hub.ack(3))
    return [record.seq for record in taken if isinstance(record, BatchMessage | GapMessage)]


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize(
    ("agent_speaks", "hub_speaks", "version"),
    [
        pytest.param(Versions(1, 2), Versions(1, 1), 1, id="agent N, hub N-1"),
        pytest.param(Versions(1, 1), Versions(1, 2), 1, id="agent N-1, hub N"),
        pytest.param(Versions(1, 3), Versions(2, 4), 3, id="both in between"),
        pytest.param(SPOKEN, SPOKEN, 1, id="the same"),
    ],
)
def test_the_newest_common_version_is_spoken_and_every_record_arrives(
    encoding: Encoding, agent_speaks: Versions, hub_speaks: Versions, version: int
) -> None:
    agent, hub = ends(agent_speaks, hub_speaks, encoding)
    greet(agent, hub)
    assert (agent.version, hub.version) == (version, version)
    assert ship(agent, hub) == [1, 2, 3]
    assert (agent.acked_seq, agent.in_flight_bytes) == (3, 0)


@pytest.mark.parametrize(("agent_speaks", "hub_speaks"), [((2, 3), (1, 1)), ((1, 1), (2, 2)), ((5, 5), (1, 4))])
def test_without_a_common_version_the_hub_refuses_before_anything_is_sent(
    agent_speaks: tuple[int, int], hub_speaks: tuple[int, int]
) -> None:
    agent, hub = ends(Versions(*agent_speaks), Versions(*hub_speaks))
    with pytest.raises(ProtocolError, match=r"version .* is not spoken here") as caught:
        hub.receive(agent.hello(1))
    assert caught.value.close_code == 4426
    assert not agent.has_room


def test_a_hello_without_min_version_means_that_version_alone() -> None:
    frame = '{"type":"hello","version":2,"agent":"a","epoch":"e","next_seq":1}'
    for speaks, is_taken in ((Versions(1, 1), False), (Versions(1, 2), True)):
        hub = HubSession(Codec(Encoding.JSON), max_series=1, versions=speaks)
        try:
            assert isinstance(hub.receive(frame), Hello)
        except ProtocolError:
            assert not is_taken
        assert (hub.state is SessionState.GREETING) is is_taken


def test_min_version_is_said_only_when_it_tells_something() -> None:
    assert "min_version" not in json.loads(ends(SPOKEN, SPOKEN, Encoding.JSON)[0].hello(1))
    assert json.loads(ends(Versions(1, 2), SPOKEN, Encoding.JSON)[0].hello(1))["min_version"] == 1


def test_a_welcome_of_a_version_that_was_not_offered_is_refused() -> None:
    agent, _ = ends(SPOKEN, SPOKEN, Encoding.JSON)
    agent.hello(1)
    welcome = {"type": "welcome", "version": 2, "last_seq": 0, "window_batches": 1, "window_bytes": 1}
    with pytest.raises(ProtocolError, match="the hub speaks version 2, not 1") as caught:
        agent.receive(json.dumps({**welcome, "max_frame_bytes": 1024, "server_time_ns": 0}))
    assert caught.value.close_code == 4426


@given(VERSIONS, VERSIONS)
def test_the_common_version_is_the_newest_of_both(one: Versions, other: Versions) -> None:
    both = [version for version in range(1, 20) if version in one and version in other]
    assert one.common_with(other) == other.common_with(one) == (max(both) if both else None)


def test_a_gap_that_does_not_tell_lanes_is_taken_and_one_that_knows_none_looks_like_it() -> None:
    """As an agent sends it that is older than the key, and as a hub reads it that is."""
    frame = '{"type":"gap","seq":1,"from_ns":1,"to_ns":2,"points":3,"reason":"sampled"}'
    gap = GapMessage(seq=1, from_ns=1, to_ns=2, points=3, reason="sampled")
    codec = Codec(Encoding.JSON)
    assert codec.decode(frame) == gap
    assert codec.encode(gap) == frame
    told = json.loads(codec.encode(msgspec.structs.replace(gap, lanes={"bulk": 3})))
    assert told == {**json.loads(frame), "lanes": {"bulk": 3}}


def test_keys_of_a_newer_end_are_passed_over_in_every_message() -> None:
    hub = HubSession(Codec(Encoding.JSON), max_series=1)
    hello = {"type": "hello", "version": 2, "min_version": 1, "agent": "a", "epoch": "e", "next_seq": 1, "zone": "x"}
    hub.receive(json.dumps(hello))
    hub.welcome(0, window_batches=1, window_bytes=1, max_frame_bytes=1024, server_time_ns=1)
    hub.receive(json.dumps({"type": "series", "series": [{"id": 1, "name": "s", "help": "new"}], "more": [1]}))
    taken = hub.receive(
        json.dumps({"type": "batch", "seq": 1, "time_ns": 1, "ids": [1], "values": [2.5], "exemplars": {"1": "t"}})
    )
    assert isinstance(taken, BatchMessage)
    assert taken.values == struct.pack("<d", 2.5)


@pytest.mark.parametrize(
    ("offered", "known", "chosen"),
    [
        (["rebellion.v2.msgpack", "rebellion.v1.msgpack"], ["rebellion.v1.json", "rebellion.v1.msgpack"], "rebellion.v1.msgpack"),
        (["rebellion.v1.json", "rebellion.v1.msgpack"], ["rebellion.v1.msgpack", "rebellion.v1.json"], "rebellion.v1.json"),
        (["rebellion.v1.msgpack", "rebellion.v1.json"], ["rebellion.v1.json"], "rebellion.v1.json"),
        (["rebellion.v2.json"], ["rebellion.v1.json"], None),
        ([], ["rebellion.v1.json"], None),
    ],
)  # fmt: skip
def test_the_agents_first_choice_that_the_hub_knows_is_taken(
    offered: list[str], known: list[str], chosen: str | None
) -> None:
    assert chosen_subprotocol(offered, known) == chosen


def test_an_agent_offers_its_own_choice_first_and_the_other_encoding_too() -> None:
    assert offered_subprotocols(Encoding.JSON) == ["rebellion.v1.json", "rebellion.v1.msgpack"]
    assert offered_subprotocols(Encoding.MSGPACK) == ["rebellion.v1.msgpack", "rebellion.v1.json"]
