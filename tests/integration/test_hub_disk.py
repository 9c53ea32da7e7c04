"""A hub whose disk is full, or whose store takes no writing: it says so, acknowledges nothing, and recovers alone."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest
from fault_stage import limit_files
from hub_support import HubProcess, RunningHub, SinkStage, batch, fetch
from structlog.testing import capture_logs

from agent.errors import RetryableDelivery
from agent.hub import inbox, server
from agent.hub.state_folder import StateFolder

SERIES = "api/v1/query?agent=web1&series=test_value%7Bn=%221%22%7D&from=1"


async def values(hub):
    """All that a hub holds of one series of `web1`."""
    _, _, body = await fetch(hub.page + SERIES)
    return json.loads(body)["values"]


async def refused(sink, record, seq, says):
    """A delivery that the hub must not acknowledge."""
    with pytest.raises(RetryableDelivery, match=says) as caught:
        await sink.deliver([record], seq)
    return caught.value


async def deliver_at_last(sink, record, seq):
    """Deliver as the sender does, until it is through."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await sink.deliver([record], seq)
            except RetryableDelivery as refusal:
                await asyncio.sleep(min(refusal.retry_after_s or 0.01, 0.05))


async def until(condition):
    """Wait for it, turn by turn."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.system
async def test_a_full_disk_is_said_nothing_is_acknowledged_and_room_is_noticed(tmp_path):
    """A real process that the kernel lets write no file any further; root is bound by that too."""
    with HubProcess(tmp_path) as hub:
        sink, newcomer = SinkStage().sink(hub.url), SinkStage("web2").sink(hub.url)
        await sink.deliver([batch(float(number)) for number in range(20)], 1)
        limit_files(hub.pid, 0)
        for _ in range(3):
            nack = await refused(sink, batch(20.0), 21, "nack: the store could not write: ")
            assert nack.retry_after_s == inbox.NACK_RETRY_S
        await refused(newcomer, batch(0.0), 1, "1013 the store could not write: ")
        assert (await fetch(hub.page + "healthz"))[0] == 503
        assert await values(hub) == [float(number) for number in range(20)]
        limit_files(hub.pid, -1)
        await deliver_at_last(sink, batch(20.0), 21)
        await deliver_at_last(newcomer, batch(0.0), 1)
        assert (await fetch(hub.page + "healthz"))[0] == 200
        await sink.close()
        await newcomer.close()
        hub.send_signal(signal.SIGKILL)
        hub.wait()
    async with RunningHub(tmp_path) as again:
        assert await values(again) == [float(number) for number in range(21)]
        assert (await again.agents())["web2"]["points_total"] == 2


async def test_a_store_that_takes_no_writing_stops_neither_hub_nor_upkeep(tmp_path, monkeypatch):
    """SQLite refuses every write of the hub's own connection, with the code that it has for a read-only file system."""
    monkeypatch.setattr(server, "_UPKEEP_EVERY_S", 0.02)
    opened = []
    whole = StateFolder.open_store
    monkeypatch.setattr(StateFolder, "open_store", lambda self: opened.append(whole(self)) or opened[0])
    with capture_logs() as logs:
        async with RunningHub(tmp_path) as hub:
            sink = SinkStage().sink(hub.url)
            await sink.deliver([batch(float(number)) for number in range(20)], 1)
            opened[0]._connection.execute("PRAGMA query_only = ON")
            await refused(
                sink, batch(20.0), 21, "nack: the store could not write: attempt to write a readonly database"
            )
            await until(lambda: any(entry["event"] == "store.upkeep_failed" for entry in logs))
            assert await values(hub) == [float(number) for number in range(20)]
            assert (await fetch(hub.page + "healthz"))[0] == 503
            opened[0]._connection.execute("PRAGMA query_only = OFF")
            await deliver_at_last(sink, batch(20.0), 21)
            await until(lambda: opened[0]._connection.execute("SELECT count(*) FROM batch").fetchone() == (0,))
            assert await values(hub) == [float(number) for number in range(21)]
            assert (await fetch(hub.page + "healthz"))[0] == 200
            await until(lambda: any(entry["event"] == "store.recovered" for entry in logs))
            await sink.close()
    told = [entry["event"] for entry in logs if entry["event"].startswith("store.") and "upkeep" not in entry["event"]]
    assert told == ["store.failed", "store.recovered"]
