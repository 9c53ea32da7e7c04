"""The live stream: what pages are told, and that a page cannot hold anybody up."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest
from hub_support import RunningHub, SinkStage, batch
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.dashboard import live_pages
from agent.model import Event, Level, PointFlag


def open_page(hub: RunningHub, **keys):
    return connect(f"{hub.url}api/v1/live", subprotocols=["rebellion.live.v1"], proxy=None, **keys)


async def next_of(socket, kind: str, within_s: float = 10.0):
    """The next message of that type."""
    async with asyncio.timeout(within_s):
        while True:
            message = json.loads(await socket.recv())
            if message["type"] == kind:
                return message


async def subscribe(socket, agent: str = "web1"):
    await socket.send(json.dumps({"type": "subscribe", "agent": agent}))


async def test_a_page_is_told_of_the_agents_at_once_and_when_something_changes(tmp_path):
    async with RunningHub(tmp_path) as hub, open_page(hub) as page:
        assert (await next_of(page, "agents"))["agents"] == []
        sink = SinkStage().sink(hub.url)
        await sink.deliver([batch(1.0)], 1)
        (agent,) = (await next_of(page, "agents"))["agents"]
        assert (agent["name"], agent["connected"], agent["points_total"]) == ("web1", True, 2)
        await sink.close()
        (agent,) = (await next_of(page, "agents"))["agents"]
        assert agent["connected"] is False


async def test_a_page_gets_the_ticks_of_the_agent_it_asked_for_and_no_others(tmp_path):
    async with RunningHub(tmp_path) as hub, open_page(hub) as page:
        sinks = {name: SinkStage(name).sink(hub.url) for name in ("web1", "web2")}
        for sink in sinks.values():
            await sink.deliver([batch(1.0, time_s=100)], 1)
        await subscribe(page)
        assert await next_of(page, "tick") == {
            "type": "tick",
            "agent": "web1",
            "time_s": 100.0,
            "values": {'test_value{n="1"}': 1.0, 'test_value{n="2"}': 1.0},
            "anomalies": [],
        }
        await sinks["web2"].deliver([batch(2.0, time_s=101)], 2)
        await sinks["web1"].deliver([batch(3.0, time_s=102), batch(float("nan"), time_s=103)], 2)
        assert (await next_of(page, "tick"))["time_s"] == 102.0
        assert (await next_of(page, "tick"))["values"]['test_value{n="1"}'] is None
        await page.send(json.dumps({"type": "unsubscribe", "agent": "web1"}))
        for sink in sinks.values():
            await sink.close()


async def test_a_tick_names_the_series_that_stand_out(tmp_path):
    async with RunningHub(tmp_path) as hub, open_page(hub) as page:
        sink = SinkStage().sink(hub.url)
        flags = np.array([PointFlag.CRITICAL, PointFlag.ANOMALOUS | PointFlag.CRITICAL], np.uint8)
        await sink.deliver([replace(batch(1.0), flags=flags)], 1)
        await subscribe(page)
        assert (await next_of(page, "tick"))["anomalies"] == ['test_value{n="2"}']
        await sink.close()


async def test_events_of_all_agents_come_as_they_happen(tmp_path):
    async with RunningHub(tmp_path) as hub, open_page(hub) as page:
        await next_of(page, "agents")
        sink = SinkStage().sink(hub.url)
        await sink.deliver([Event(5_000_000_000, "breaker.opened", "sink:hub", Level.WARNING, {"failures": 3})], 1)
        assert await next_of(page, "event") == {
            "type": "event",
            "time_s": 5.0,
            "agent": "web1",
            "kind": "breaker.opened",
            "component": "sink:hub",
            "level": "warning",
            "detail": {"failures": 3},
        }
        await sink.close()


async def test_a_page_that_does_not_read_holds_up_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(live_pages, "_SEND_WITHIN_S", 1.0)
    monkeypatch.setattr(live_pages, "_WAITING_MAX", 8)
    async with (
        RunningHub(tmp_path) as hub,
        open_page(hub, max_queue=1, close_timeout=0.1) as page,
        open_page(hub) as healthy,
    ):
        sink = SinkStage().sink(hub.url)
        await subscribe(page)
        await subscribe(healthy)
        reading = asyncio.create_task(next_of(healthy, "tick", within_s=40))
        detail = {f"k{number}": "x" * 1000 for number in range(60)}
        for seq in range(1, 120):
            await sink.deliver([Event(seq, "a.b", "c", detail=detail)], seq)
        await sink.deliver([batch(7.0)], 120)
        assert await hub.values() == [7.0]
        assert (await reading)["values"]['test_value{n="1"}'] == 7.0
        await sink.close()


@pytest.mark.parametrize("junk", ["not JSON", '{"type":"shout"}', "[" * 100_000, b"\x00"])
async def test_a_page_that_sends_junk_is_closed(tmp_path, junk):
    async with RunningHub(tmp_path) as hub, open_page(hub) as page:
        await page.send(junk)
        with pytest.raises(ConnectionClosed):
            await next_of(page, "never")
        assert page.close_code == 1007


async def test_only_pages_of_this_hub_may_listen(tmp_path):
    async with RunningHub(tmp_path) as hub:
        with pytest.raises(InvalidStatus) as caught:
            await open_page(hub, origin="http://evil.example")
        assert caught.value.response.status_code == 403
        async with open_page(hub, origin=hub.page.rstrip("/")) as page:
            assert await next_of(page, "agents")


async def test_more_pages_than_allowed_are_put_off(tmp_path, monkeypatch):
    monkeypatch.setattr(live_pages.LivePages.__init__, "__kwdefaults__", {"max_pages": 1})
    async with RunningHub(tmp_path) as hub, open_page(hub) as first:
        await next_of(first, "agents")
        async with open_page(hub) as second:
            with pytest.raises(ConnectionClosed):
                await second.recv()
            assert second.close_code == 1013


async def test_a_stopping_hub_tells_its_pages(tmp_path):
    async with RunningHub(tmp_path) as hub:
        page = await open_page(hub)
        await next_of(page, "agents")
    with pytest.raises(ConnectionClosed):
        await page.recv()
    assert page.close_code == 1012
