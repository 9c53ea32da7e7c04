"""Everything a hub must refuse: each with its close code, one log line, and no harm to anybody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import zlib

import msgspec
import pytest
from hub_support import RunningHub, SinkStage, batch, fetch, hello, open_agent
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.errors import PermanentDelivery, ProtocolError, RetryableDelivery
from agent.hub import ingest, server
from agent.protocol.hub_session import HubSession

BATCH = {"type": "batch", "seq": 1, "time_ns": 1, "ids": [77], "values": [1.0]}
PACKED_HELLO = msgspec.msgpack.encode(json.loads(hello()))


def refusals(lines):
    return [line for line in lines if line["event"] in {"connection.refused", "connection.failed"}]


async def send_and_wait(socket, frames):
    """Send the frames and read until the hub closes."""
    with contextlib.suppress(ConnectionClosed):
        for frame in frames:
            await socket.send(frame)
        while True:
            await socket.recv()


class Neighbour:
    """A well-behaved agent that is connected while somebody else misbehaves."""

    def __init__(self, hub: RunningHub) -> None:
        self.hub = hub
        self.sink = SinkStage("neighbour").sink(hub.url)

    async def __aenter__(self):
        await self.sink.deliver([batch(1.0)], 1)
        self.connection = self.sink._link
        return self

    async def __aexit__(self, kind, *_):
        if kind is None:
            await self.sink.deliver([batch(2.0)], 2)
            assert self.sink._link is self.connection
            assert await self.hub.values("neighbour") == [1.0, 2.0]
        await self.sink.close()


@pytest.mark.parametrize(
    ("encoding", "frames", "code"),
    [
        pytest.param("json", ["this is not JSON"], 1007, id="text that is not JSON"),
        pytest.param("json", [hello(), "neither is this"], 1007, id="text that is not JSON, later"),
        pytest.param("json", [b"\x00\x01\x02"], 1003, id="binary where text was agreed"),
        pytest.param("msgpack", [b"\xc1\xde\xad\xbe\xef"], 1007, id="binary junk"),
        pytest.param("msgpack", [PACKED_HELLO, b"\x78\x9cjunk"], 1007, id="junk that says it is compressed"),
        pytest.param("msgpack", ["text"], 1003, id="text where binary was agreed"),
        pytest.param("json", [b"\xff\xfe" * 10], 1003, id="bytes that are no text"),
        pytest.param("json", [json.dumps({"type": "shout"})], 4400, id="unknown message"),
        pytest.param("json", [hello(), json.dumps({"type": "shout"})], 4400, id="unknown message, later"),
        pytest.param("json", [hello(), json.dumps(BATCH)], 4404, id="series id never defined"),
        pytest.param("json", [json.dumps(BATCH)], 1002, id="batch before hello"),
        pytest.param("json", [hello(), hello()], 1002, id="hello twice"),
        pytest.param("json", [json.dumps({**json.loads(hello()), "version": 2})], 4426, id="version of the future"),
        pytest.param("json", [json.dumps({**json.loads(hello()), "agent": ""})], 1007, id="agent without a name"),
        pytest.param("json", [hello(), "x" * 2_000_000], 1009, id="frame above the limit"),
    ],
)
async def test_a_bad_frame_costs_its_sender_alone(tmp_path, encoding, frames, code):
    with capture_logs() as lines:
        async with RunningHub(tmp_path) as hub, Neighbour(hub):
            async with open_agent(hub.url, encoding) as socket:
                await send_and_wait(socket, frames)
            assert socket.close_code == code
            assert (await hub.get("api/v1/agents"))[0] == 200
    assert [line["code"] for line in refusals(lines)] == [code]
    assert refusals(lines)[0]["log_level"] == "warning"


async def test_text_that_is_no_utf8_is_refused(tmp_path):
    with capture_logs() as lines:
        async with RunningHub(tmp_path) as hub, Neighbour(hub), open_agent(hub.url) as socket:
            await socket.send(b"\xff\xfe\xfd", text=True)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1007
    assert [line["code"] for line in refusals(lines)] == [1007]


async def test_a_100_mb_frame_is_refused_without_being_read(tmp_path):
    with capture_logs() as lines:
        async with RunningHub(tmp_path) as hub, Neighbour(hub):
            _, writer, socket_code = await raw_frame(hub, 100_000_000, b"x" * 100_000)
            writer.close()
            assert socket_code == 1009
    assert [line["code"] for line in refusals(lines)] == [1009]


async def raw_frame(hub: RunningHub, size: int, start: bytes):
    """Announce a frame of that size, send its start, and return the close code that comes back."""
    host, port = hub.page.removeprefix("http://").rstrip("/").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET /api/v1/ingest HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: rebellion.v1.msgpack\r\n\r\n".encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.write(b"\x82\xff" + struct.pack("!Q", size) + b"\0\0\0\0" + start)
    assert await reader.readexactly(1) == b"\x88"
    length = (await reader.readexactly(1))[0]
    (code,) = struct.unpack("!H", (await reader.readexactly(length))[:2])
    return reader, writer, code


async def test_a_small_frame_that_inflates_to_a_large_one_is_refused(tmp_path):
    with capture_logs() as lines:
        async with RunningHub(tmp_path) as hub, Neighbour(hub), open_agent(hub.url, "msgpack") as socket:
            await socket.send(zlib.compress(bytes(100_000_000), 9))
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1009
    assert [line["code"] for line in refusals(lines)] == [1009]


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic c2VjcmV0"])
async def test_a_wrong_token_is_refused_in_the_handshake(tmp_path, authorization):
    (tmp_path / "tokens").write_text("neighbour good\n")
    headers = {} if authorization is None else {"Authorization": authorization}
    with capture_logs() as lines:
        async with RunningHub(tmp_path / "hub", agent_tokens_file=str(tmp_path / "tokens")) as hub:
            with pytest.raises(InvalidStatus) as caught:
                await open_agent(hub.url, additional_headers=headers)
    assert caught.value.response.status_code == 401
    assert [line["code"] for line in refusals(lines)] == [401]


async def test_the_sink_shows_its_token_and_says_when_it_is_wrong(tmp_path):
    (tmp_path / "tokens").write_text("web1 good\nweb2 other\n")
    for name, token in [("good", "good\n"), ("bad", "bad\n"), ("other", "other\n")]:
        (tmp_path / name).write_text(token)
    async with RunningHub(tmp_path / "hub", agent_tokens_file=str(tmp_path / "tokens")) as hub:
        sink = SinkStage().sink(hub.url, token_file=str(tmp_path / "good"))
        await sink.deliver([batch(1.0)], 1)
        await sink.close()
        wrong = SinkStage().sink(hub.url, token_file=str(tmp_path / "bad"))
        with pytest.raises(RetryableDelivery, match="HTTP 401; is the token the right one"):
            await wrong.deliver([batch(2.0)], 1)
        borrowed = SinkStage().sink(hub.url, token_file=str(tmp_path / "other"))
        with pytest.raises(RetryableDelivery, match="4403 the token belongs to 'web2', not to 'web1'"):
            await borrowed.deliver([batch(2.0)], 1)
        assert await hub.values() == [1.0]


async def test_a_web_page_cannot_pose_as_an_agent(tmp_path):
    async with RunningHub(tmp_path) as hub:
        with pytest.raises(InvalidStatus) as caught:
            await open_agent(hub.url, origin=hub.page.rstrip("/"))
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize("subprotocols", [None, ["rebellion.live.v1"], ["mqtt"]])
async def test_a_connection_without_our_subprotocol_is_refused(tmp_path, subprotocols):
    with capture_logs() as lines:
        async with RunningHub(tmp_path) as hub:
            with pytest.raises(InvalidStatus) as caught:
                await open_agent(hub.url, subprotocols=subprotocols)
    assert caught.value.response.status_code == 400
    assert [line["code"] for line in refusals(lines)] == [400]


async def test_whoever_says_nothing_is_sent_away(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "HELLO_WITHIN_S", 0.05)
    with capture_logs() as lines:
        async with RunningHub(tmp_path) as hub, open_agent(hub.url) as socket:
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 4408
    assert [line["code"] for line in refusals(lines)] == [4408]


async def test_more_series_than_allowed_are_refused(tmp_path):
    series = {"type": "series", "series": [{"id": n, "name": f"s{n}"} for n in range(11)]}
    async with RunningHub(tmp_path, max_series_per_agent=10) as hub, open_agent(hub.url) as socket:
        await send_and_wait(socket, [hello(), json.dumps(series)])
        assert socket.close_code == 4413


async def test_new_series_on_each_new_connection_are_counted_together(tmp_path):
    def series(*numbers):
        return json.dumps({"type": "series", "series": [{"id": n, "name": f"s{n}"} for n in numbers]})

    async with RunningHub(tmp_path, max_series_per_agent=10) as hub:
        for _ in range(2):
            async with open_agent(hub.url) as socket:
                await socket.send(hello())
                await socket.recv()
                await socket.send(series(*range(6)))
        async with open_agent(hub.url) as socket:
            await send_and_wait(socket, [hello(), series(*range(6, 11))])
            assert (socket.close_code, socket.close_reason) == (4413, "more than 10 different series within a day")
        async with open_agent(hub.url) as other:
            await other.send(hello("raw2"))
            await other.recv()
            await other.send(series(*range(10)))
            async with asyncio.timeout(5):
                while (await hub.agents())["raw2"]["series_count"] < 10:
                    await asyncio.sleep(0.01)
        assert len((await hub.get("api/v1/series?agent=raw1"))[1]["series"]) == 6


async def test_what_is_not_even_http_costs_one_log_line(tmp_path):
    with capture_logs() as lines:
        async with RunningHub(tmp_path) as hub, Neighbour(hub):
            host, port = hub.page.removeprefix("http://").rstrip("/").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not HTTP at all\r\n\r\n")
            await reader.read()
            writer.close()
            await fetch(hub.page + "healthz")
    assert len(refusals(lines)) == 1


async def test_records_the_hub_refuses_twice_are_given_up(tmp_path, monkeypatch):
    whole = HubSession._take_record

    def take(self, record):
        if record.seq == 2:
            raise ProtocolError("poison", 1007)
        return whole(self, record)

    monkeypatch.setattr(HubSession, "_take_record", take)
    async with RunningHub(tmp_path) as hub:
        sink = SinkStage().sink(hub.url)
        await sink.deliver([batch(1.0)], 1)
        with pytest.raises(RetryableDelivery, match="1007 poison"):
            await sink.deliver([batch(2.0)], 2)
        await asyncio.sleep(0.02)
        with pytest.raises(PermanentDelivery, match="1007 poison"):
            await sink.deliver([batch(2.0)], 2)
        await asyncio.sleep(0.02)
        await sink.deliver([batch(3.0)], 3)
        assert await hub.values() == [1.0, 3.0]
        await sink.close()


async def test_whoever_connects_and_asks_nothing_is_sent_away(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_HANDSHAKE_WITHIN_S", 0.1)
    with capture_logs() as lines:
        async with RunningHub(tmp_path) as hub:
            host, port = hub.page.removeprefix("http://").rstrip("/").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET / HTTP/1.1\r\n")
            assert await reader.read() == b""
            writer.close()
    assert [line["reason"] for line in refusals(lines)] == ["no request in time"]


async def test_whoever_only_knocks_costs_no_log_line(tmp_path):
    with capture_logs() as lines:
        async with RunningHub(tmp_path) as hub:
            host, port = hub.page.removeprefix("http://").rstrip("/").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            await fetch(hub.page + "healthz")
    assert refusals(lines) == []


async def test_a_header_that_stands_there_twice_is_refused(tmp_path):
    async with RunningHub(tmp_path) as hub:
        with pytest.raises(InvalidStatus) as caught:
            await open_agent(hub.url, additional_headers=[("Authorization", "Bearer a"), ("Authorization", "Bearer b")])
    assert caught.value.response.status_code == 400


async def test_a_plain_request_for_the_agents_door_is_told_what_is_missing(tmp_path):
    async with RunningHub(tmp_path) as hub:
        assert (await fetch(hub.page + "api/v1/ingest"))[0] == 426


async def test_a_fault_of_the_hub_itself_costs_one_connection_and_one_line(tmp_path, monkeypatch):
    def receive(self, frame):
        raise RuntimeError("a fault")

    with capture_logs() as lines:
        async with RunningHub(tmp_path) as hub, Neighbour(hub):
            with monkeypatch.context() as broken:
                broken.setattr(HubSession, "receive", receive)
                async with open_agent(hub.url) as socket:
                    await socket.send(hello())
                    with pytest.raises(ConnectionClosed):
                        await socket.recv()
            assert socket.close_code == 1011
    assert [line["log_level"] for line in refusals(lines)] == ["error"]
