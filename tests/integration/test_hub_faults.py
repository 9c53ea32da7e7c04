"""A hub in a process of its own that is killed, stopped and started again: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest
from hub_support import HubProcess, RunningHub, SinkStage, batch

from agent.errors import RetryableDelivery

pytestmark = pytest.mark.system


async def deliver_at_last(sink, group, first_seq):
    """Deliver as the sender does: the same group again until it is through."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await sink.deliver(group, first_seq)
            except RetryableDelivery as refusal:
                await asyncio.sleep(refusal.retry_after_s or 0.01)


async def deliver_one_by_one(sink, group):
    """Deliver each record in a group of its own; how many got through before the sink gave up, and its error."""
    for done, record in enumerate(group):
        try:
            await sink.deliver([record], done + 1)
        except RetryableDelivery as refusal:
            return done, refusal
    raise AssertionError("everything got through")


@pytest.mark.parametrize("commits", [3, 4, 5])
async def test_a_hub_killed_between_commit_and_ack_stores_each_record_once(tmp_path, commits):
    """The first two commits are the registration and the definitions; each later one a record."""
    stage = SinkStage()
    group = [batch(float(number)) for number in range(1, 9)]
    with HubProcess(tmp_path, die_after_commits=commits) as deadly:
        sink = stage.sink(deadly.url)
        acked, _ = await deliver_one_by_one(sink, group)
        assert acked == commits - 3
        assert deadly.wait() == -signal.SIGKILL
        port = deadly.port
    async with RunningHub(tmp_path, listen=f"127.0.0.1:{port}") as hub:
        await deliver_at_last(sink, group, 1)
        assert await hub.values() == [float(number) for number in range(1, 9)]
        await sink.close()
    resumed_at = [detail["last_seq"] for kind, detail in stage.events if kind == "link.opened"]
    assert resumed_at == [0, commits - 2], "what was committed and not acknowledged was known to the hub that came back"


async def test_a_hub_killed_in_mid_flight_loses_nothing_that_was_acknowledged(tmp_path):
    group = [batch(float(number)) for number in range(1, 5001)]
    with HubProcess(tmp_path) as first:
        sink = SinkStage().sink(first.url)
        asyncio.get_running_loop().call_later(0.15, first.send_signal, signal.SIGKILL)
        acked, _ = await deliver_one_by_one(sink, group)
    async with RunningHub(tmp_path, listen=f"127.0.0.1:{first.port}") as hub:
        await deliver_at_last(sink, group[acked : acked + 5], acked + 1)
        assert await hub.values() == [float(number) for number in range(1, acked + 6)]
        await sink.close()


@pytest.mark.parametrize("is_idle", [False, True], ids=["in a delivery", "between deliveries"])
async def test_a_stopped_hub_is_seen_as_dead_and_is_of_use_again_when_it_goes_on(tmp_path, is_idle):
    """With pings every 0.2 s and 0.2 s of patience; the defaults, 5 s and 4 s, stay below 10 s in the same way."""
    stage = SinkStage()
    with HubProcess(tmp_path) as hub:
        sink = stage.sink(hub.url, ping_s=0.2, ping_timeout_s=0.2, connect_timeout_s=0.3)
        await sink.deliver([batch(1.0)], 1)
        hub.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(3):
            if is_idle:
                await asyncio.sleep(1.2)
            with pytest.raises(RetryableDelivery, match=r"ping timeout|connection lost"):
                await sink.deliver([batch(2.0)], 2)
        await asyncio.sleep(0.02)
        with pytest.raises(RetryableDelivery, match="timed out"):
            await sink.deliver([batch(2.0)], 2)
        hub.send_signal(signal.SIGCONT)
        await deliver_at_last(sink, [batch(2.0)], 2)
        await sink.close()
        hub.send_signal(signal.SIGTERM)
        assert hub.wait() == 0
    async with RunningHub(tmp_path) as again:
        assert await again.values() == [1.0, 2.0]


async def test_a_hub_that_is_not_there_yet_is_waited_for(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    stage = SinkStage()
    sink = stage.sink(f"ws://127.0.0.1:{port}")
    with pytest.raises(RetryableDelivery, match=r"Connect call failed|refused") as caught:
        await sink.deliver([batch(1.0)], 1)
    assert caught.value.retry_after_s is not None
    async with RunningHub(tmp_path, listen=f"127.0.0.1:{port}") as hub:
        await deliver_at_last(sink, [batch(1.0)], 1)
        assert await hub.values() == [1.0]
        await sink.close()


async def test_a_link_cut_in_the_middle_of_a_frame_is_taken_up_again(tmp_path):
    """A proxy that cuts the connection at ever later bytes."""
    async with RunningHub(tmp_path) as hub:
        hub_port = int(hub.page.rstrip("/").rpartition(":")[2])
        budget = [600]

        async def relay(reader, writer):
            upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", hub_port)
            left = budget[0]
            budget[0] += 173

            async def back():
                while data := await upstream_reader.read(4096):
                    writer.write(data)

            answering = asyncio.create_task(back())
            try:
                while left > 0 and (data := await reader.read(4096)):
                    upstream.write(data[:left])
                    left -= len(data)
            finally:
                answering.cancel()
                upstream.transport.abort()
                writer.transport.abort()

        proxy = await asyncio.start_server(relay, "127.0.0.1", 0)
        stage = SinkStage()
        sink = stage.sink(f"ws://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        for seq in range(1, 31):
            await deliver_at_last(sink, [batch(float(seq))], seq)
        assert await hub.values() == [float(seq) for seq in range(1, 31)]
        await sink.close()
        proxy.close()
        assert sum(kind == "link.opened" for kind, _ in stage.events) > 3
