"""The port of a real agent: its state as JSON, its page, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from process_support import Process
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

CONFIG = """
[agent]
name = "web1"
labels = {{ rack = "7" }}
state_dir = {state_dir}
default_collectors = false
interval_s = 0.2
[collectors.load]
[collectors.agent]
[sinks.file]
path = {path}
[status]
listen = "127.0.0.1:{port}"
"""


def agent(tmp_path: Path, port: int = 0, name: str = "agent") -> Process:
    config = tmp_path / f"{name}.toml"
    folder, path = json.dumps(str(tmp_path / name)), json.dumps(str(tmp_path / f"{name}.jsonl"))
    config.write_text(CONFIG.format(state_dir=folder, path=path, port=port))
    return Process("agent", "--config", str(config))


def get(url: str, **headers: str):
    with urlopen(Request(url, headers=headers), timeout=20) as answer:
        return json.load(answer)


def refusal(url: str, **headers: str) -> tuple[int, str]:
    with pytest.raises(HTTPError) as caught:
        get(url, **headers)
    with caught.value as error:
        return error.code, json.load(error)["error"]


async def next_of(socket, kind: str):
    async with asyncio.timeout(20):
        while True:
            message = json.loads(await socket.recv())
            if message["type"] == kind:
                return message


async def test_it_tells_state_history_and_live_ticks_of_its_agent(tmp_path):
    with agent(tmp_path) as running:
        url = running.wait_for("status.listening")["address"]
        async with connect(
            f"{url.replace('http', 'ws')}api/v1/live", subprotocols=["rebellion.live.v1"], origin=url[:-1], proxy=None
        ) as page:
            (told,) = (await next_of(page, "agents"))["agents"]
            assert (told["name"], told["labels"], told["connected"]) == ("web1", {"rack": "7"}, True)
            await page.send(json.dumps({"type": "subscribe", "agent": "web1"}))
            ticks = [await next_of(page, "tick") for _ in range(4)]
        report = await asyncio.to_thread(get, f"{url}api/v1/status")
        assert (report["agent"], report["health"]["state"], report["tick"]["interval_s"]) == ("web1", "ok", 0.2)
        assert {one["name"]: one["state"] for one in report["collectors"]} == {"load": "CLOSED", "agent": "CLOSED"}
        (sink,) = report["sinks"]
        assert (sink["name"], sink["breaker"], sink["dropped_by_reason"], sink["dropped_by_lane"]) == (
            "file",
            "CLOSED",
            {},
            {},
        )
        waiting = sink["buffer"]["points"] + sink["spool"]["points"] + sink["in_flight_points"]
        assert sink["accepted"] == sink["delivered"] + sink["dropped"] + waiting
        assert report["tick"]["count"] >= 4
        assert "agent.started" in {event["kind"] for event in report["events"]}
        history = await asyncio.to_thread(get, f"{url}api/v1/query?agent=web1&series=load_1m&from=-60")
        stored = dict(zip(history["times"], history["values"], strict=True))
        assert {tick["time_s"]: tick["values"]["load_1m"] for tick in ticks if "load_1m" in tick["values"]}.items() <= (
            stored.items()
        )
        listed = await asyncio.to_thread(get, f"{url}api/v1/series?agent=web1&name=load_1m")
        assert [one["series"] for one in listed["series"]] == ["load_1m"]
        assert running.end() == 0


async def test_it_answers_nobody_who_comes_by_another_name_or_site(tmp_path):
    with agent(tmp_path) as running:
        url = running.wait_for("status.listening")["address"]
        by_name = await asyncio.to_thread(refusal, f"{url}api/v1/status", Host="rebound.example")
        assert by_name == (403, "ask for it by its loopback address")
        for target, status in [("query", 400), ("query?series=nope", 404), ("series?agent=other", 404), ("nope", 404)]:
            assert (await asyncio.to_thread(refusal, f"{url}api/v1/{target}"))[0] == status
        live = f"{url.replace('http', 'ws')}api/v1/live"
        for keys, status in [({"origin": "http://other.example"}, 403), ({"subprotocols": ["x"]}, 400)]:
            with pytest.raises(InvalidStatus) as caught:
                await connect(live, **{"subprotocols": ["rebellion.live.v1"], "proxy": None, **keys})
            assert caught.value.response.status_code == status
        assert running.end() == 0


def test_a_taken_port_costs_one_warning_and_nothing_else(tmp_path):
    with agent(tmp_path) as first:
        port = int(first.wait_for("status.listening")["address"].rstrip("/").rpartition(":")[2])
        with agent(tmp_path, port, "second") as second:
            said = second.wait_for("status.unavailable")
            assert (said["level"], said["listen"]) == ("warning", f"127.0.0.1:{port}")
            assert "already in use" in said["reason"]
            second.wait_for("sink.acked_first")
            assert [entry["event"] for entry in second.events()].count("status.unavailable") == 1
            assert second.end() == 0
        assert first.end() == 0
