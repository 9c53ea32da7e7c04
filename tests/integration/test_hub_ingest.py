"""The websocket sink and the hub over real sockets: stored once, in order, and acknowledged only then."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading

import pytest
from hub_support import RunningHub, SinkStage, batch, fetch, hello, open_agent
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.errors import PermanentDelivery, RetryableDelivery
from agent.hub import greetings, ingest
from agent.hub.sqlite_store import SqliteStore
from agent.hub.store import StoreError
from agent.model import Event, Gap, Level


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
async def test_what_is_delivered_can_be_queried(tmp_path, encoding):
    stage = SinkStage()
    async with RunningHub(tmp_path) as hub:
        sink = stage.sink(hub.url, encoding=encoding)
        await sink.deliver([batch(0.5), batch(0.75)], 1)
        await sink.deliver([batch(1.0)], 3)
        assert await hub.values() == [0.5, 0.75, 1.0]
        await sink.close()
    assert sorted(stage.asked) == [1, 2]


async def test_a_group_larger_than_the_window_is_delivered_whole(tmp_path):
    async with RunningHub(tmp_path, window_count=3, window_bytes=400) as hub:
        sink = SinkStage().sink(hub.url, encoding="json")
        await sink.deliver([batch(float(number)) for number in range(50)], 1)
        assert await hub.values() == [float(number) for number in range(50)]
        await sink.close()


async def test_events_and_gaps_share_the_road(tmp_path):
    async with RunningHub(tmp_path) as hub:
        sink = SinkStage().sink(hub.url)
        event = Event(2_000_000_000, "breaker.opened", "sink:hub", Level.WARNING, {"failures": 3})
        lanes = {"normal": 4, "bulk": 20}
        await sink.deliver([event, Gap(3_000_000_000, 4_000_000_000, 30, "sampled", lanes), batch(1.0)], 1)
        _, found = await hub.get("api/v1/events?agent=web1&from=1")
        assert [(one["kind"], one["time_s"], one["level"]) for one in found["events"]] == [
            ("breaker.opened", 2.0, "warning"),
            ("gap.announced", 4.0, "warning"),
        ]
        assert found["events"][0]["detail"] == {"failures": 3}
        gap = {"points": 30, "reason": "sampled", "from_s": 3.0, "to_s": 4.0}
        assert found["events"][1]["detail"] == {**gap, "normal_points": 4, "bulk_points": 20}
        assert (await hub.agents())["web1"]["gap_points_total"] == 30
        await sink.close()


async def test_a_group_sent_again_on_the_same_connection_is_not_sent_twice(tmp_path):
    async with RunningHub(tmp_path) as hub:
        sink = SinkStage().sink(hub.url)
        group = [batch(1.0), batch(2.0)]
        await sink.deliver(group, 1)
        await sink.deliver(group, 1)
        assert await hub.values() == [1.0, 2.0]
        assert (await hub.agents())["web1"]["duplicates_total"] == 0
        await sink.close()


async def test_after_a_reconnect_only_what_the_hub_lacks_is_sent(tmp_path):
    stage = SinkStage()
    async with RunningHub(tmp_path) as hub:
        sink = stage.sink(hub.url)
        await sink.deliver([batch(1.0), batch(2.0)], 1)
        await sink.close()
        await sink.deliver([batch(1.0), batch(2.0), batch(3.0)], 1)
        assert await hub.values() == [1.0, 2.0, 3.0]
        found = (await hub.agents())["web1"]
        assert (found["duplicates_total"], found["batches_total"], found["last_seq"]) == (0, 3, 3)
        await sink.close()
    assert [detail["last_seq"] for kind, detail in stage.events if kind == "link.opened"] == [0, 2]


async def test_an_agent_that_ignores_welcome_is_stored_once_all_the_same(tmp_path):
    gap = {"type": "gap", "seq": 1, "from_ns": 1, "to_ns": 2, "points": 1, "reason": "sampled"}
    async with RunningHub(tmp_path) as hub:
        for _ in range(2):
            async with open_agent(hub.url) as socket:
                await socket.send(hello())
                await socket.recv()
                await socket.send(json.dumps(gap))
                assert json.loads(await socket.recv()) == {"type": "ack", "seq": 1}
        found = (await hub.agents())["raw1"]
        assert (found["gap_points_total"], found["duplicates_total"]) == (1, 1)


async def test_a_restarted_agent_starts_its_numbers_anew(tmp_path):
    async with RunningHub(tmp_path) as hub:
        for epoch in ("e1", "e2"):
            sink = SinkStage(epoch=epoch).sink(hub.url)
            await sink.deliver([batch(1.0)], 1)
            await sink.close()
        assert await hub.values() == [1.0, 1.0]


async def test_what_the_store_cannot_write_is_nacked_and_stored_later_in_order(tmp_path, monkeypatch):
    broken = [False]
    whole = SqliteStore.append

    def append(self, write):
        if broken[0]:
            raise StoreError("the store could not write: disk full")
        return whole(self, write)

    monkeypatch.setattr(SqliteStore, "append", append)
    async with RunningHub(tmp_path) as hub:
        sink = SinkStage().sink(hub.url)
        await sink.deliver([batch(0.0)], 1)
        broken[0] = True
        group = [batch(float(number)) for number in range(1, 6)]
        with pytest.raises(RetryableDelivery, match="disk full") as caught:
            await sink.deliver(group, 2)
        assert caught.value.retry_after_s == 2.0
        assert (await fetch(hub.page + "healthz"))[0] == 503
        broken[0] = False
        await sink.deliver(group, 2)
        assert await hub.values() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        assert (await fetch(hub.page + "healthz"))[0] == 200
        await sink.close()


async def test_after_a_nack_a_sink_that_dropped_the_record_starts_over(tmp_path, monkeypatch):
    refused = [2]
    whole = SqliteStore.append

    def append(self, write):
        if write.seq in refused:
            raise StoreError("the store could not write: disk full")
        return whole(self, write)

    monkeypatch.setattr(SqliteStore, "append", append)
    async with RunningHub(tmp_path) as hub:
        sink = SinkStage().sink(hub.url)
        await sink.deliver([batch(1.0)], 1)
        with pytest.raises(RetryableDelivery):
            await sink.deliver([batch(2.0)], 2)
        await sink.deliver([batch(3.0)], 3)
        assert await hub.values() == [1.0, 3.0]
        await sink.close()


async def test_a_second_living_agent_of_the_same_name_is_refused(tmp_path):
    with capture_logs() as lines:
        async with RunningHub(tmp_path) as hub:
            first, second = SinkStage(epoch="e1").sink(hub.url), SinkStage(epoch="e2").sink(hub.url)
            await first.deliver([batch(1.0)], 1)
            with pytest.raises(RetryableDelivery, match="4409 another agent named 'web1' is connected"):
                await second.deliver([batch(9.0)], 1)
            await first.deliver([batch(2.0)], 2)
            assert await hub.values() == [1.0, 2.0]
            await first.close()
            await second.close()
    assert [line["code"] for line in lines if line["event"] == "connection.refused"] == [4409]


async def test_a_newer_connection_of_the_same_run_takes_over(tmp_path):
    async with RunningHub(tmp_path) as hub, open_agent(hub.url) as old:
        await old.send(hello())
        await old.recv()
        async with open_agent(hub.url) as new:
            await new.send(hello())
            assert json.loads(await new.recv())["type"] == "welcome"
            with pytest.raises(ConnectionClosed):
                await old.recv()
            assert old.close_code == 4410
            assert (await hub.agents())["raw1"]["connected"]


async def test_a_stopping_hub_acknowledges_what_it_took_and_says_1012(tmp_path):
    stage = SinkStage()
    async with RunningHub(tmp_path) as hub:
        sink = stage.sink(hub.url)
        await sink.deliver([batch(1.0)], 1)
    with pytest.raises(RetryableDelivery, match="1012 the hub restarts") as caught:
        await sink.deliver([batch(2.0)], 2)
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s >= 1.0
    assert stage.events[-1][0] == "link.closed"
    await sink.close()


async def test_a_hub_that_stops_during_a_delivery_gets_the_rest_when_it_is_back(tmp_path):
    group = [batch(float(number)) for number in range(3000)]
    stage = SinkStage()
    async with RunningHub(tmp_path) as hub:
        sink = stage.sink(hub.url)
        delivery = asyncio.create_task(sink.deliver(group, 1))
        while not (await hub.agents()).get("web1", {"last_seq": 0})["last_seq"]:
            await asyncio.sleep(0)
        hub.stop.set()
        with pytest.raises(RetryableDelivery, match="1012 the hub restarts") as caught:
            await delivery
    async with RunningHub(tmp_path, listen=hub.page.removeprefix("http://").rstrip("/")) as again:
        await asyncio.sleep(caught.value.retry_after_s)
        await sink.deliver(group, 1)
        assert await again.values() == [float(number) for number in range(3000)]
        assert (await again.agents())["web1"]["duplicates_total"] == 0
        await sink.close()
    assert stage.events[-1][1]["last_seq"] > 0


async def test_a_cancelled_delivery_leaves_nothing_half_done(tmp_path):
    async with RunningHub(tmp_path) as hub:
        sink = SinkStage().sink(hub.url)
        await sink.deliver([batch(0.0)], 1)
        delivery = asyncio.create_task(sink.deliver([batch(float(n)) for n in range(1, 40)], 2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        delivery.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivery
        await sink.deliver([batch(float(n)) for n in range(1, 40)], 2)
        assert await hub.values() == [float(n) for n in range(40)]
        await sink.close()


async def test_a_record_no_hub_would_take_is_refused_for_good(tmp_path):
    async with RunningHub(tmp_path, max_frame_bytes=1024) as hub:
        sink = SinkStage().sink(hub.url, encoding="json")
        big = Event(1, "a.b", "c", detail={f"k{n}": "x" * 100 for n in range(30)})
        with pytest.raises(PermanentDelivery, match="larger than the hub takes"):
            await sink.deliver([big], 1)
        await sink.deliver([batch(1.0)], 2)
        assert await hub.values() == [1.0]
        await sink.close()


async def test_more_agents_than_allowed_are_put_off(tmp_path):
    async with RunningHub(tmp_path, max_agents=1) as hub:
        first, second = SinkStage("web1").sink(hub.url), SinkStage("web2").sink(hub.url)
        await first.deliver([batch(1.0)], 1)
        with pytest.raises(RetryableDelivery, match="1013 1 agents are known already"):
            await second.deliver([batch(1.0)], 1)
        await first.close()
        await second.close()


async def test_a_dead_agents_place_is_given_to_the_next_of_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "IDENTITY_PROBE_S", 0.1)
    async with RunningHub(tmp_path) as hub:
        dead = await open_agent(hub.url, ping_interval=None, close_timeout=0.1)
        await dead.send(hello("web1", "before"))
        await dead.recv()
        dead.transport.pause_reading()
        sink = SinkStage(epoch="after").sink(hub.url)
        await sink.deliver([batch(1.0)], 1)
        assert (await hub.agents())["web1"]["epoch"] == "after"
        dead.transport.abort()
        await sink.close()


async def test_a_store_that_cannot_write_puts_newcomers_off(tmp_path, monkeypatch):
    def register(self, registration):
        raise StoreError("the store could not write: disk full")

    async with RunningHub(tmp_path) as hub:
        with monkeypatch.context() as broken:
            broken.setattr(SqliteStore, "register", register)
            sink = SinkStage().sink(hub.url)
            with pytest.raises(RetryableDelivery, match="1013 the store could not write: disk full"):
                await sink.deliver([batch(1.0)], 1)
        await asyncio.sleep(0.02)
        await sink.deliver([batch(1.0)], 1)
        assert await hub.values() == [1.0]
        await sink.close()


async def test_what_a_stopping_hub_acknowledged_is_what_it_stored(tmp_path):
    gap = {"type": "gap", "from_ns": 1, "to_ns": 2, "points": 1, "reason": "sampled"}
    async with RunningHub(tmp_path) as hub:
        socket = await open_agent(hub.url)
        await socket.send(hello())
        await socket.recv()
        for seq in range(1, 41):
            await socket.send(json.dumps({**gap, "seq": seq}))
        hub.stop.set()
    acked, said = 0, []
    with contextlib.suppress(ConnectionClosed):
        while True:
            message = json.loads(await socket.recv())
            said.append(message["type"])
            acked = message.get("seq", acked)
    assert socket.close_code == 1012
    assert said[-1] == "bye"
    async with RunningHub(tmp_path) as again:
        assert (await again.agents())["raw1"]["last_seq"] == acked


async def test_an_agent_of_the_next_version_is_spoken_to_in_this_one_and_stored(tmp_path):
    offered = ["rebellion.v2.msgpack", "rebellion.v2.json", "rebellion.v1.json", "rebellion.v1.msgpack"]
    newer = {**json.loads(hello()), "version": 2, "min_version": 1, "zone": "north"}
    series = {"type": "series", "series": [{"id": 1, "name": "test_value", "labels": {"n": "1"}, "help": "new"}]}
    record = {"type": "batch", "seq": 1, "time_ns": 10**18, "ids": [1], "values": [0.5], "exemplars": {"1": "x"}}
    async with RunningHub(tmp_path) as hub, open_agent(hub.url, subprotocols=offered) as socket:
        assert socket.subprotocol == "rebellion.v1.json"
        await socket.send(json.dumps(newer))
        assert json.loads(await socket.recv())["version"] == 1
        for message in (series, record):
            await socket.send(json.dumps(message))
        assert json.loads(await socket.recv()) == {"type": "ack", "seq": 1}
        assert await hub.values("raw1") == [0.5]


async def test_while_agents_wait_too_long_for_their_welcome_others_are_put_off(tmp_path, monkeypatch):
    whole, may_register = SqliteStore.register, threading.Event()

    def register(self, registration):
        may_register.wait(30)
        return whole(self, registration)

    monkeypatch.setattr(SqliteStore, "register", register)
    monkeypatch.setattr(greetings, "_PATIENCE_S", 0.0)
    with capture_logs() as lines:
        async with RunningHub(tmp_path) as hub, open_agent(hub.url) as first:
            async with open_agent(hub.url) as second:
                await first.send(hello("raw1"))
                await (await first.ping())
                for _ in range(2):
                    with pytest.raises(InvalidStatus) as caught:
                        await open_agent(hub.url)
                    assert caught.value.response.status_code == 503
                    assert caught.value.response.headers["Retry-After"] == "5"
                await second.send(hello("raw2"))
                may_register.set()
                assert [json.loads(await one.recv())["type"] for one in (first, second)] == ["welcome", "welcome"]
            async with open_agent(hub.url) as late:
                await late.send(hello("raw3"))
                assert json.loads(await late.recv())["type"] == "welcome"
            text = (await fetch(hub.page + "metrics"))[2].decode()
    assert 'rebellion_hub_connections_refused_total{code="503"} 2' in text
    assert [one["event"] for one in lines if one["event"].startswith("agents.")] == ["agents.put_off", "agents.let_in"]


async def test_bye_before_hello_is_out_of_place(tmp_path):
    async with RunningHub(tmp_path) as hub, open_agent(hub.url) as socket:
        await socket.send('{"type":"bye"}')
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1002


async def test_labels_in_another_order_are_the_same_series(tmp_path):
    async with RunningHub(tmp_path) as hub, open_agent(hub.url) as socket:
        await socket.send(hello())
        await socket.recv()
        for seq, labels in enumerate(({"dc": "n", "rack": "7"}, {"rack": "7", "dc": "n"}), start=1):
            series = {"type": "series", "series": [{"id": seq, "name": "load_1m", "labels": labels}]}
            record = {"type": "batch", "seq": seq, "time_ns": seq * 10**9, "ids": [seq], "values": [float(seq)]}
            for message in (series, record):
                await socket.send(json.dumps(message))
            await socket.recv()
        assert await hub.values("raw1", "load_1m%7Bdc=%22n%22,rack=%227%22%7D") == [1.0, 2.0]
