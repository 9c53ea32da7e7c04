"""One agent that sends as much as it can, beside others that send what they have."""

from __future__ import annotations

import asyncio
import json
import re
from types import SimpleNamespace

from hub_support import RunningHub, SinkStage, batch, fetch, hello, open_agent

from agent.hub import inbox


def batches(first, count, points):
    """Frames of so many batches with so many points each."""
    ids = list(range(1, points + 1))
    return [
        json.dumps({"type": "batch", "seq": seq, "time_ns": seq, "ids": ids, "values": [float(seq)] * points})
        for seq in range(first, first + count)
    ]


def definitions(names):
    series = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    return json.dumps({"type": "series", "series": series})


async def test_a_flood_does_not_hold_up_others(tmp_path):
    """The flood never reads and never waits; between two of its acknowledged records others have theirs."""
    async with RunningHub(tmp_path, max_points_hz=0) as hub, open_agent(hub.url) as flood:
        await flood.send(hello("flood"))
        await flood.recv()
        await flood.send(definitions(["f1", "f2"]))

        async def send_without_end():
            first = 1
            while True:
                for frame in batches(first, 100, 2):
                    await flood.send(frame)
                    await asyncio.sleep(0)
                first += 100

        flooding = asyncio.create_task(send_without_end())
        async with asyncio.timeout(20):
            while (await hub.agents())["flood"]["batches_total"] < 200:
                await asyncio.sleep(0.01)
        sink = SinkStage().sink(hub.url)
        async with asyncio.timeout(20):
            before = (await hub.agents())["flood"]["batches_total"]
            for seq in range(1, 6):
                await sink.deliver([batch(float(seq))], seq)
            after = (await hub.agents())["flood"]["batches_total"]
        assert await hub.values() == [float(seq) for seq in range(1, 6)]
        assert after - before <= 7 * 3 * hub.config.window_count, "the flood had a few windows for each of our records"
        flooding.cancel()
        await sink.close()


async def test_who_sends_more_points_than_allowed_is_read_more_slowly(tmp_path, monkeypatch):
    """And loses nothing, and gets no advantage from a new connection. The waiting is noted down instead of waited."""
    pauses = []

    async def note(seconds):
        pauses.append(seconds)

    async with RunningHub(tmp_path, max_points_hz=1000) as hub:
        for run in range(2):
            async with open_agent(hub.url) as socket:
                await socket.send(hello())
                await socket.recv()
                await socket.send(definitions([f"s{number}" for number in range(500)]))
                with monkeypatch.context() as patched:
                    patched.setattr(inbox, "asyncio", SimpleNamespace(sleep=note, Event=asyncio.Event))
                    for frame in batches(run * 10 + 1, 10, 500):
                        await socket.send(frame)
                    last = 0
                    while last < run * 10 + 10:
                        last = json.loads(await socket.recv())["seq"]
        agent = (await hub.agents())["raw1"]
        _, _, text = await fetch(hub.page + "metrics")
    assert (agent["points_total"], agent["batches_total"]) == (10_000, 20)
    longest = max(pauses)
    assert 5 < longest <= 9.0, "ten thousand points, a thousand a second, with a second's worth in advance"
    slowed = float(re.search(rb"rebellion_hub_slowed_seconds_total ([0-9.e+]+)", text)[1])
    assert slowed > longest
