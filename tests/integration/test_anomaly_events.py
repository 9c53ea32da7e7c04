"""A real agent whose collector jumps, and a real hub: the incident arrives as one event, and the points are marked."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from hub_support import HubProcess
from process_support import Process, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

SERIES = 4
CALM_TICKS = 220
PLUGIN = f'''
from agent.api import hookimpl

class Jumping:
    """Four series that stand together on a new level after {CALM_TICKS} ticks, and one that never does."""
    def __init__(self, config, context):
        self.series = [context.series("queue_count", labels={{"n": str(n)}}) for n in range({SERIES})]
        self.calm = context.series("calm_count")
        self.tick = 0
    async def collect(self, out):
        self.tick += 1
        level = 50.0 if self.tick <= {CALM_TICKS} else 500.0
        for series in self.series:
            out.add(series, level + self.tick % 5)
        out.add(self.calm, self.tick % 2)

@hookimpl
def rebellion_register_collectors(register):
    register("jumping", Jumping)
'''


def agent_file(folder: Path, url: str) -> Path:
    (folder / "plugins").mkdir()
    (folder / "plugins" / "jumping.py").write_text(PLUGIN)
    path = folder / "agent.toml"
    path.write_text(
        f"""
        [agent]
        name = "web1"
        state_dir = {json.dumps(str(folder / "state"))}
        plugins_dir = {json.dumps(str(folder / "plugins"))}
        default_collectors = false
        interval_s = 0.02
        [collectors.jumping]
        [sinks.websocket]
        url = "{url.rstrip("/")}/api/v1/ingest"
        [status]
        listen = "127.0.0.1:0"
        """
    )
    return path


def ask(url: str, path: str, **query: str) -> dict:
    with urlopen(f"{url}/api/v1/{path}?{urlencode(query)}", timeout=10) as answer:
        return json.load(answer)


def incidents(url: str) -> list[dict]:
    return [event for event in ask(url, "events", **{"from": "-600"})["events"] if event["kind"] == "anomaly.found"]


def test_a_jump_of_several_series_is_one_event_at_the_hub_and_rings_on_their_charts(tmp_path):
    with HubProcess(tmp_path / "hub") as hub, Process("agent", "--config", str(agent_file(tmp_path, hub.url))) as agent:
        port = agent.wait_for("status.listening")["address"].rstrip("/")
        page = hub.page.rstrip("/")
        found = wait_until(lambda: incidents(page), "an incident has arrived")
        assert len(found) == 1
        assert (found[0]["agent"], found[0]["component"], found[0]["level"]) == ("web1", "host", "warning")
        detail = found[0]["detail"]
        assert detail["series"].startswith("queue_count{")
        assert (detail["series_count"], detail["alerts"], detail["detector"]) == (SERIES, SERIES, "rebellion")
        assert detail["expected_low"] < 50 < detail["expected_high"] < 60 < 450 < detail["value"]
        assert detail["evidence"].startswith("level ")
        marked = ask(page, "query", agent="web1", name="queue_count", **{"from": "-600"})["results"]
        assert [len(one["anomalies"]) for one in marked] == [1] * SERIES
        status = ask(port, "status")["anomalies"]
        assert (status["alerts_total"], status["incidents_total"]) == (SERIES, 1)
        assert agent.end() == 0
