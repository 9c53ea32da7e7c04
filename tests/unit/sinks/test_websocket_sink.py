"""The websocket sink without a hub: its configuration, its pacing, and other people's endpoints."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys

import msgspec
import pytest
from hub_support import SinkStage, batch
from structlog.testing import capture_logs
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from agent.errors import ConfigError, PermanentDelivery, RetryableDelivery
from agent.model import Event, Gap, Level
from agent.testing.clock import FakeClock
from plugins.sinks.websocket import Config
from plugins.sinks.websocket.connection import Connector


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hub",
        "http://hub:1",
        "ws://",
        "ws:///path",
        "ws://hub:99999",
        "ws://hub:x",
        "ws://[::1",
        "wss://u:p@hub",
        "ws://h#f",
    ],
)
def test_an_address_that_could_never_be_connected_to_is_refused_at_once(url):
    with pytest.raises(msgspec.ValidationError, match=r"^url must "):
        msgspec.convert({"url": url}, Config)


@pytest.mark.parametrize(
    "url", ["ws://hub", "wss://hub:8765", "ws://[::1]:8765/api/v1/ingest", "wss://hub/some/path?key=1"]
)
def test_an_address_that_could_be_is_taken(url):
    assert msgspec.convert({"url": url}, Config).url == url


def test_loading_the_plugin_pulls_in_neither_websockets_nor_asyncio_nor_numpy():
    code = "import sys, plugins.sinks.websocket; print(*{'websockets', 'asyncio', 'numpy', 'ssl'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("text", ["", "two words", "line\none", "\x00"])
def test_a_token_file_without_one_token_is_refused_without_showing_it(tmp_path, text):
    (tmp_path / "token").write_text(text)
    with pytest.raises(ConfigError, match=r"sinks\.websocket: token_file: .*does not hold one token") as caught:
        SinkStage().sink("ws://hub", token_file=str(tmp_path / "token"))
    assert "two" not in str(caught.value)


def test_a_missing_token_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"sinks\.websocket: token_file: .*none: No such file"):
        SinkStage().sink("ws://hub", token_file=str(tmp_path / "none"))


class Paced:
    """A connector whose attempts are counted by a clock that stands still."""

    def __init__(self, **keys) -> None:
        self.stage = SinkStage()
        self.stage.clock = FakeClock()
        self.connector = Connector(Config(url="ws://127.0.0.1:1", **keys), self.stage)

    def wait_s(self, **keys) -> float:
        return self.connector.failed(OSError("refused"), **keys).retry_after_s


def waits_of_many(*, was_open, count):
    """The first waits of 300 connectors, in columns."""
    rows = []
    for seed in range(300):
        paced = Paced(reconnect_s=1.0, reconnect_max_s=5.0)
        paced.stage.rng.seed(seed)
        if was_open:
            paced.connector.opened()
        rows.append([paced.wait_s() for _ in range(count)])
    return [list(column) for column in zip(*rows, strict=True)]


def assert_spread(waits, ceiling_s):
    assert min(waits) < 0.05 * ceiling_s
    assert 0.95 * ceiling_s < max(waits) <= ceiling_s


def test_until_there_was_a_connection_the_ceiling_doubles_up_to_the_cap_and_then_a_place_is_kept():
    *first, fifth, sixth = waits_of_many(was_open=False, count=6)
    for waits, ceiling_s in zip(first, [1, 2, 4, 5], strict=True):
        assert_spread(waits, ceiling_s)
    assert set(fifth) == set(sixth) == {5.0}


def test_after_a_connection_the_first_wait_is_spread_up_to_the_cap_and_then_a_place_is_kept():
    first, second, third = waits_of_many(was_open=True, count=3)
    assert_spread(first, 5)
    assert set(second) == set(third) == {5.0}


def test_a_new_loss_draws_a_new_place():
    paced = Paced()
    paced.connector.opened()
    first = paced.wait_s()
    assert paced.wait_s() == 5.0
    paced.connector.opened()
    assert paced.wait_s() not in {first, 5.0}


def test_what_the_other_end_asks_for_is_the_least():
    paced = Paced()
    assert all(paced.wait_s(retry_after_s=30.0) >= 30.0 for _ in range(20))


@pytest.mark.parametrize(
    ("asked", "least_s"),
    [
        (["7"], 7.0),
        (["99999999"], 86_400.0),
        ([], 0.0),
        (["7", "8"], 0.0),
        (["-7"], 0.0),
        (["soon"], 0.0),
        (["Wed, 21 Oct 2026 07:28:00 GMT"], 0.0),
    ],
)
def test_a_refused_handshake_asks_for_time_by_its_header(asked, least_s):
    paced = Paced(reconnect_max_s=5.0)
    headers = Headers([("Retry-After", text) for text in asked])
    wait_s = paced.connector.failed(InvalidStatus(Response(503, "Service Unavailable", headers))).retry_after_s
    assert least_s <= wait_s <= least_s + 5.0


async def test_an_attempt_that_comes_too_early_is_not_made():
    paced = Paced()
    wait_s = paced.wait_s(retry_after_s=3.0)
    with pytest.raises(RetryableDelivery, match="next attempt in") as caught:
        await paced.connector.open(())
    assert caught.value.retry_after_s == pytest.approx(wait_s)
    paced.stage.clock.advance(wait_s + 0.001)
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        await paced.connector.open(())


async def test_closing_a_sink_that_was_never_used_is_fine_and_so_is_twice():
    for protocol in ("rebellion", "plain"):
        sink = SinkStage().sink("ws://127.0.0.1:1", protocol=protocol)
        await sink.close()
        await sink.close()


class Endpoint:
    """Somebody else's endpoint: takes text and chatters back."""

    def __init__(self, answers: int = 0) -> None:
        self.received: list[dict] = []
        self.answers = answers
        self.expected = asyncio.Condition()

    async def handle(self, connection):
        async for message in connection:
            self.received.append(json.loads(message))
            for _ in range(self.answers):
                await connection.send("thanks")
            async with self.expected:
                self.expected.notify_all()

    async def __aenter__(self):
        self._server = await serve(self.handle, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/metrics"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    async def wait_for(self, count: int):
        async with asyncio.timeout(5), self.expected:
            await self.expected.wait_for(lambda: len(self.received) >= count)


async def test_plain_sends_objects_that_explain_themselves_and_says_once_that_nobody_acknowledges():
    with capture_logs() as lines:
        async with Endpoint() as endpoint:
            sink = SinkStage().sink(endpoint.url, protocol="plain")
            event = Event(2_000_000_000, "a.b", "c", Level.ERROR, {"n": 1})
            await sink.deliver([batch(0.5, time_s=1.0), event, Gap(1_000_000_000, 2_000_000_000, 3, "sampled")], 1)
            await sink.deliver([batch(float("nan"), time_s=3.0, ids=(2,))], 4)
            await endpoint.wait_for(4)
            await sink.close()
    assert endpoint.received == [
        {
            "agent": "web1",
            "time_s": 1.0,
            "metrics": [
                {"name": "test_value", "labels": {"n": "1"}, "unit": "bytes", "value": 0.5},
                {"name": "test_value", "labels": {"n": "2"}, "unit": "bytes", "value": 0.5},
            ],
        },
        {
            "agent": "web1",
            "time_s": 2.0,
            "event": {"kind": "a.b", "component": "c", "level": "error", "detail": {"n": 1}},
        },
        {"agent": "web1", "time_s": 2.0, "gap": {"from_s": 1.0, "points": 3, "reason": "sampled"}},
        {
            "agent": "web1",
            "time_s": 3.0,
            "metrics": [{"name": "test_value", "labels": {"n": "2"}, "unit": "bytes", "value": None}],
        },
    ]
    assert [line["event"] for line in lines].count("sink.unacknowledged") == 1


async def test_an_endpoint_that_talks_back_does_not_stop_the_plain_sink():
    async with Endpoint(answers=10) as endpoint:
        sink = SinkStage().sink(endpoint.url, protocol="plain")
        for seq in range(1, 51):
            await sink.deliver([batch(float(seq))], seq)
        await endpoint.wait_for(50)
        await sink.close()


async def test_the_plain_sink_connects_again_after_a_loss():
    stage = SinkStage()
    async with Endpoint() as endpoint:
        sink = stage.sink(endpoint.url, protocol="plain")
        await sink.deliver([batch(1.0)], 1)
        await endpoint.wait_for(1)
    with contextlib.suppress(RetryableDelivery):
        for seq in range(2, 10):
            await sink.deliver([batch(2.0)], seq)
        pytest.fail("nobody was there")
    assert [kind for kind, _ in stage.events] == ["link.opened", "link.closed"]
    await sink.close()


async def test_a_record_that_json_cannot_carry_is_refused_for_good():
    async with Endpoint() as endpoint:
        sink = SinkStage().sink(endpoint.url, protocol="plain")
        with pytest.raises(PermanentDelivery, match="JSON cannot carry"):
            await sink.deliver([Event(1, "a.b", "c", detail={"path": "\udcff"})], 1)
        await sink.deliver([batch(1.0)], 2)
        await endpoint.wait_for(1)
        await sink.close()


async def test_a_cancelled_plain_delivery_starts_over_on_a_new_connection():
    stage = SinkStage()
    async with Endpoint() as endpoint:
        sink = stage.sink(endpoint.url, protocol="plain")
        await sink.deliver([batch(0.0)], 1)
        delivery = asyncio.create_task(sink.deliver([batch(float(n)) for n in range(20_000)], 2))
        await endpoint.wait_for(2)
        delivery.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivery
        await sink.deliver([batch(7.0)], 3)
        assert [kind for kind, _ in stage.events] == ["link.opened", "link.closed", "link.opened"]
        await sink.close()


class Impostor:
    """Something that says it is a hub and answers each frame with the next of its own."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.close_codes: list[int | None] = []
        self.redirect = None

    def judge(self, connection, request):
        return self.redirect(connection, request) if self.redirect else None

    async def handle(self, connection):
        with contextlib.suppress(ConnectionClosed):
            async for _ in connection:
                if self.answers:
                    await connection.send(self.answers.pop(0))
        self.close_codes.append(connection.close_code)

    async def __aenter__(self):
        self._server = await serve(
            self.handle, "127.0.0.1", 0, subprotocols=["rebellion.v1.json"], process_request=self.judge
        )
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()


WELCOME = (
    '{"type":"welcome","version":1,"last_seq":0,"window_batches":9,"window_bytes":9999,'
    '"max_frame_bytes":9999,"server_time_ns":1}'
)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (["junk"], "not a message"),
        ([WELCOME.replace('"version":1', '"version":2')], "the hub speaks version 2"),
        ([WELCOME, '{"type":"ack","seq":99}'], "ack of 99, which was never sent"),
    ],
)
async def test_a_hub_that_breaks_the_protocol_is_left_and_tried_again(answers, says):
    async with Impostor(*answers) as impostor:
        sink = SinkStage().sink(impostor.url, encoding="json")
        with pytest.raises(RetryableDelivery, match=says):
            await sink.deliver([Gap(1, 2, 3, "sampled")], 1)
        await sink.close()


async def test_a_hub_that_knows_one_encoding_only_is_spoken_to_in_that_one():
    async with Impostor(WELCOME, '{"type":"ack","seq":1}') as impostor:
        sink = SinkStage().sink(impostor.url, encoding="msgpack")
        await sink.deliver([Gap(1, 2, 3, "sampled")], 1)
        await sink.close()


async def test_a_redirect_is_not_followed():
    knocked = []

    def redirect(connection, request):
        knocked.append(request.path)
        answer = connection.respond(302, "")
        answer.headers["Location"] = "/elsewhere"
        return answer

    async with Impostor(WELCOME) as impostor:
        impostor.redirect = redirect
        sink = SinkStage().sink(impostor.url, encoding="json")
        with pytest.raises(RetryableDelivery, match="refused with HTTP 302"):
            await sink.deliver([Gap(1, 2, 3, "sampled")], 1)
        await sink.close()
    assert knocked == ["/api/v1/ingest"]


async def test_a_hub_that_never_says_welcome_is_given_up():
    async with Impostor() as impostor:
        sink = SinkStage().sink(impostor.url, encoding="json", connect_timeout_s=0.05)
        with pytest.raises(RetryableDelivery, match="TimeoutError"):
            await sink.deliver([Gap(1, 2, 3, "sampled")], 1)
        await sink.close()


async def test_a_delivery_cancelled_while_connecting_leaves_no_connection_behind():
    async with Impostor() as impostor:
        sink = SinkStage().sink(impostor.url, encoding="json")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await sink.deliver([Gap(1, 2, 3, "sampled")], 1)
        async with asyncio.timeout(5):
            while not impostor.close_codes:
                await asyncio.sleep(0.01)
        assert impostor.close_codes == [1006]
