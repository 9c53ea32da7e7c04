"""An agent whose transformer is off runs where numpy cannot even be imported: it collects, spools and delivers."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from hub_support import HubProcess
from process_support import Process, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

BLOCKED = """
import sys

class NoNumpy:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "numpy":
            raise ImportError("numpy is blocked")

sys.meta_path.insert(0, NoNumpy())
from agent.cli import main
sys.exit(main(sys.argv[1:]))
"""


def agent_file(folder: Path, port: int, transformer: bool = False) -> str:
    path = folder / "agent.toml"
    path.write_text(
        f"""
        [agent]
        name = "lite"
        state_dir = {json.dumps(str(folder / "state"))}
        interval_s = 0.1
        drain_s = 0.0
        [transformer]
        enabled = {json.dumps(transformer)}
        [sinks.websocket]
        url = "ws://127.0.0.1:{port}/api/v1/ingest"
        [sinks.websocket.spool]
        commit_s = 0.1
        [status]
        listen = "127.0.0.1:0"
        """
    )
    return str(path)


def ask(address: str, path: str, **query: str) -> dict:
    with urlopen(f"{address.rstrip('/')}/api/v1/{path}?{urlencode(query)}", timeout=10) as answer:
        return json.load(answer)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def runs_at(hub: HubProcess) -> list[list[float]]:
    """What the agent counted as its ticks, as the hub has it, one list a run of the agent."""
    try:
        results = ask(hub.page, "query", agent="lite", name="agent_ticks_total", **{"from": "-600"})["results"]
    except HTTPError:
        return []
    runs: list[list[float]] = []
    for value in results[0]["values"]:
        if not runs or value < runs[-1][-1]:
            runs.append([])
        runs[-1].append(value)
    return runs


def run(config: str) -> Process:
    return Process("agent", "--config", config, program=("-c", BLOCKED))


def test_without_numpy_nothing_is_lost_over_an_outage_and_a_restart(tmp_path):
    port = free_port()
    config = agent_file(tmp_path, port)
    with run(config) as first:
        address = first.wait_for("status.listening")["address"]
        wait_until(lambda: ask(address, "status")["sinks"][0]["spool"]["points"] > 0, "something is on disk")
        report = ask(address, "status")
        assert report["anomalies"] == {"points_total": 0, "alerts_total": 0, "incidents_total": 0, "now": []}
        assert report["series"] > 50
        assert first.end() == 0
    with HubProcess(tmp_path / "hub", port) as hub, run(config) as second:
        address = second.wait_for("status.listening")["address"]
        runs = wait_until(lambda: (found := runs_at(hub))[1:] and found[1][5:] and found, "both runs are at the hub")
        wait_until(lambda: ask(address, "status")["sinks"][0]["spool"]["points"] == 0, "the disk is empty")
        assert len(runs) == 2
        assert all(sorted(set(values)) == values for values in runs)
        assert second.end() == 0


def test_with_the_transformer_the_same_start_says_what_is_missing(tmp_path):
    with run(agent_file(tmp_path, free_port(), transformer=True)) as agent:
        assert agent.wait() != 0
        assert any("numpy is blocked" in line for line in agent.lines)
