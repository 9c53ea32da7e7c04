"""docs/protocol.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec

from agent.config.schema import HubSection
from agent.dashboard.live_pages import LIVE_SUBPROTOCOL
from agent.hub import ingest
from agent.protocol import messages
from agent.protocol.agent_session import AgentSession
from agent.protocol.close_codes import CloseCode
from agent.protocol.codec import (
    ALWAYS_INFLATED_BYTES,
    MAX_COMPRESSION_RATIO,
    MAX_FRAME_BYTES,
    SUBPROTOCOLS,
    Codec,
    Encoding,
)
from agent.protocol.hub_session import HubSession
from plugins.sinks.websocket import Config

TEXT = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()


def test_every_close_code_is_listed_under_its_name():
    listed = {int(code): name for code, name in re.findall(r"^\| (\d{4}) \| (\w+) \|", TEXT, re.MULTILINE)}
    assert listed == {int(code): code.name.lower() for code in CloseCode}


def test_every_message_and_every_key_is_described():
    for kind in messages.MESSAGE_TYPES:
        assert f"### `{kind}`" in TEXT
    for name in messages.__all__:
        struct = getattr(messages, name)
        if isinstance(struct, type) and issubclass(struct, msgspec.Struct):
            for field in msgspec.structs.fields(struct):
                assert (
                    f"`{field.encode_name}`" in TEXT
                    or f"{{{field.encode_name}" in TEXT
                    or f", {field.encode_name}" in TEXT
                )


def test_both_subprotocols_are_named():
    for name in (*SUBPROTOCOLS, LIVE_SUBPROTOCOL):
        assert f"`{name}`" in TEXT


def test_the_figures_are_those_of_the_code():
    hub, sink = HubSection(), Config(url="ws://hub")
    assert MAX_FRAME_BYTES == hub.max_frame_bytes == 1_048_576
    assert f"at most {ALWAYS_INFLATED_BYTES:,} bytes or {MAX_COMPRESSION_RATIO} times its own size" in TEXT
    assert (
        f"| compression | {ALWAYS_INFLATED_BYTES:,} bytes inflated, beyond that {MAX_COMPRESSION_RATIO} to 1 |" in TEXT
    )
    assert f"{hub.window_count} records, 1 MiB" in TEXT
    assert f"| agents ever seen | {hub.max_agents:,} |" in TEXT
    assert (
        f"| different series of an agent within a day, and ids on a connection | {hub.max_series_per_agent:,} |" in TEXT
    )
    assert f"| points a second from an agent | {hub.max_points_hz:,.0f}; who sends more is read more slowly |" in TEXT
    assert f"pings every {sink.ping_s:g} s and gives up after {sink.ping_timeout_s:g} s" in TEXT
    assert f"a random time between 0 and {sink.reconnect_max_s:g} s (`reconnect_max_s`)" in TEXT
    assert f"tries again {sink.reconnect_max_s:g} s after each attempt" in TEXT
    assert f"from 0 to {sink.reconnect_s:g} s (`reconnect_s`) after the first failure" in TEXT
    assert f"then {ingest.HELLO_WITHIN_S:g} s for `hello`" in TEXT
    assert f"answers within {ingest.IDENTITY_PROBE_S:g} s" in TEXT


def test_the_limits_of_texts_and_maps_are_those_of_the_code():
    longest = {name: get_args(getattr(messages, name))[1].max_length for name in ("Name", "Text", "Word")}
    assert longest == {"Name": 256, "Text": 1024, "Word": 64}
    assert "| names, label names; label values; units and kinds | 256; 1,024; 64 characters |" in TEXT
    assert {get_args(one)[1].max_length for one in (messages.LabelMap, messages.DetailMap)} == {64}
    assert "| labels of a series or host, details of an event | 64 |" in TEXT
    assert f"| `retry_after_s` | {get_args(messages.Seconds)[1].le:,} s |" in TEXT


def test_a_dead_link_is_seen_within_ten_seconds_by_default():
    sink = Config(url="ws://hub")
    assert sink.ping_s + sink.ping_timeout_s + 0.5 < 10


def test_the_example_is_a_conversation_both_ends_accept():
    (block,) = [block for block in re.findall(r"```\n(.*?)```", TEXT, re.DOTALL) if block.startswith("> {")]
    agent = AgentSession(
        Codec(Encoding.JSON), agent="web1", epoch="7f3a", agent_version="0.1.0", labels={"dc": "north"}
    )
    hub = HubSession(Codec(Encoding.JSON), max_series=10)
    lines = block.splitlines()
    assert agent.hello(1) == lines[0].removeprefix("> ")
    for line in lines:
        direction, frame = line[0], line[2:]
        if direction == ">":
            message = hub.receive(frame)
            if isinstance(message, messages.Hello):
                hub.welcome(0, window_batches=1, window_bytes=1, max_frame_bytes=1024, server_time_ns=0)
            if isinstance(message, messages.BatchMessage):
                assert agent.send(message) == frame
        else:
            agent.receive(frame)
    assert agent.acked_seq == 1
