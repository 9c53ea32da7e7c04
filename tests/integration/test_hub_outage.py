"""A real agent and a real hub on loopback, and the hub killed, stopped and started again."""

import json
import signal
import socket
from contextlib import ExitStack
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from process_support import Process, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


class Fleet:
    """One hub and one agent, each a process of its own, on a port that stays the same."""

    def __init__(self, folder, stack):
        self.folder = folder
        self.stack = stack
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (folder / "hub.toml").write_text(f'[hub]\nlisten = "127.0.0.1:{self.port}"\nstate_dir = "{folder}/hub"\n')
        (folder / "agent.toml").write_text(
            f"""
            [agent]
            name = "host one"
            interval_s = 0.1
            state_dir = "{folder}/agent"
            default_collectors = false
            [collectors.load]
            [collectors.agent]
            [sinks.websocket]
            url = "ws://127.0.0.1:{self.port}/api/v1/ingest"
            """
        )

    def start_hub(self):
        hub = self.stack.enter_context(Process("hub", "--config", str(self.folder / "hub.toml")))
        hub.wait_for("hub.started")
        return hub

    def start_agent(self):
        return self.stack.enter_context(Process("agent", "--config", str(self.folder / "agent.toml")))

    def ask(self, path, **query):
        with urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(query)}", timeout=10) as answer:
            return json.load(answer)

    def agents(self):
        return self.ask("agents")["agents"]

    def ticks(self):
        """The agent's own count of its ticks, as the hub has stored it: it rises with each, so a double shows."""
        found = self.ask("query", agent="host one", series="agent_ticks_total", **{"from": -600})
        return found["values"]

    def assert_nothing_lost_or_doubled(self, agent):
        """Every point that the agent says it made is stored, and no tick is there twice."""
        stopped = next(entry for entry in agent.events() if entry.get("event") == "agent.stopped")
        assert self.agents()[0]["points_total"] == stopped["points"]
        ticks = self.ticks()
        assert ticks == sorted(set(ticks))
        assert ticks[0] <= 1.0


@pytest.fixture
def fleet(tmp_path):
    with ExitStack() as stack:
        yield Fleet(tmp_path, stack)


def test_the_hub_killed_and_started_again_has_every_tick_once(fleet):
    hub = fleet.start_hub()
    agent = fleet.start_agent()
    agent.wait_for("sink.acked_first")
    hub.kill(signal.SIGKILL)
    hub.wait()
    agent.wait_for("breaker.opened", component="sink:websocket")
    fleet.start_hub()
    agent.wait_for("breaker.closed", component="sink:websocket")
    agent.wait_for("sink.resumed")
    before = len(fleet.ticks())
    wait_until(lambda: len(fleet.ticks()) > before + 3, "new ticks arrive")
    assert agent.end() == 0
    fleet.assert_nothing_lost_or_doubled(agent)
    kinds = [event["kind"] for event in fleet.ask("events", agent="host one", **{"from": -600})["events"]]
    assert {"breaker.opened", "breaker.closed"} <= set(kinds)


def test_a_stopped_hub_is_seen_as_dead_within_ten_seconds_and_loses_nothing(fleet):
    hub = fleet.start_hub()
    agent = fleet.start_agent()
    agent.wait_for("sink.acked_first")
    hub.kill(signal.SIGSTOP)
    try:
        failed = wait_until(
            lambda: [entry for entry in agent.events() if entry.get("event") == "sink.failed"],
            "the agent sees the dead hub",
            seconds=10.0,
        )
        assert failed[0]["component"] == "sink:websocket"
    finally:
        hub.kill(signal.SIGCONT)
    agent.wait_for("sink.resumed")
    assert agent.end() == 0
    fleet.assert_nothing_lost_or_doubled(agent)


def test_a_hub_that_is_not_there_is_no_error(fleet):
    agent = fleet.start_agent()
    agent.wait_for("breaker.opened", component="sink:websocket")
    assert agent.is_running
    fleet.start_hub()
    agent.wait_for("sink.acked_first")
    assert agent.end() == 0
    fleet.assert_nothing_lost_or_doubled(agent)


def test_the_agent_started_again_is_the_same_host_with_a_new_epoch(fleet):
    fleet.start_hub()
    epochs = set()
    for _ in range(2):
        agent = fleet.start_agent()
        agent.wait_for("sink.acked_first")
        epochs.add(fleet.agents()[0]["epoch"])
        assert agent.end() == 0
    assert len(fleet.agents()) == 1
    assert len(epochs) == 2
