"""Agents killed with -9 while the hub is away or dies: what was on disk arrives, once."""

import json
import signal
import socket
import sqlite3
import threading
from contextlib import ExitStack
from http import HTTPStatus
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from process_support import Process, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

COMMIT_S = 0.2

STEPS_PLUGIN = '''
from agent.api import hookimpl

class Steps:
    """Numbers its collects. It runs on the event loop, so a tick cannot be over before it has answered: a hole is a loss."""
    def __init__(self, config, context):
        self.series = context.series("steps")
        self.count = 0
    async def collect(self, out):
        self.count += 1
        out.add(self.series, self.count)

@hookimpl
def rebellion_register_collectors(register):
    register("steps", Steps)
'''


class Host:
    """One hub and one agent whose only state is a folder."""

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack
        (folder / "plugins").mkdir()
        (folder / "plugins" / "steps.py").write_text(STEPS_PLUGIN)
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
            plugins_dir = "{folder}/plugins"
            default_collectors = false
            [collectors.steps]
            [collectors.agent]
            [sinks.websocket]
            url = "ws://127.0.0.1:{self.port}/api/v1/ingest"
            reconnect_s = 0.1
            reconnect_max_s = 0.2
            breaker.max_open_s = 1.0
            spool.commit_s = {COMMIT_S}
            """
        )

    def start_hub(self):
        hub = self.stack.enter_context(Process("hub", "--config", str(self.folder / "hub.toml")))
        hub.wait_for("hub.started")
        return hub

    def start_agent(self):
        agent = self.stack.enter_context(Process("agent", "--config", str(self.folder / "agent.toml")))
        agent.wait_for("agent.started")
        return agent

    def spooled(self):
        """Records in the agent's spool, read beside it."""
        path = self.folder / "agent/sink-websocket/spool/spool.db"
        if not path.exists():
            return 0
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return database.execute("SELECT records FROM meta").fetchone()[0]
        except sqlite3.OperationalError:
            return 0
        finally:
            database.close()

    def runs(self):
        """The stored steps of each run of the agent, in the order of their time; none while the hub knows no such series."""
        query = urlencode({"agent": "host one", "series": "steps", "from": -600})
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{query}", timeout=10) as answer:
                values = json.load(answer)["values"]
        except HTTPError as error:
            with error:
                if error.code != HTTPStatus.NOT_FOUND:
                    raise
            return []
        runs = []
        for value in values:
            if not runs or value < runs[-1][-1]:
                runs.append([])
            runs[-1].append(value)
        return runs


@pytest.fixture
def host(tmp_path):
    with ExitStack() as stack:
        yield Host(tmp_path, stack)


def assert_whole(run):
    """Every step from the first on, once."""
    assert run == [float(n) for n in range(1, len(run) + 1)]


def spool(command, config):
    """Exit code and lines of `rebellion spool COMMAND`."""
    with Process("spool", command, "--config", str(config)) as process:
        code = process.wait()
        return code, process.lines


def kill(process):
    process.kill(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.long)])
def test_an_agent_killed_while_the_hub_is_away_loses_no_more_than_the_window_and_doubles_nothing(host, kills):
    for _ in range(kills):
        before = host.spooled()
        agent = host.start_agent()
        wait_until(lambda before=before: host.spooled() > before + 10, "the spool grows")
        kill(agent)
    on_disk = [json.loads(line) for line in spool("export", host.folder / "agent.toml")[1]]
    ticks = [one["value"] for line in on_disk for one in line.get("metrics", ()) if one["series"] == "steps"]
    assert [line["id"] for line in on_disk] == list(range(on_disk[0]["id"], on_disk[0]["id"] + len(on_disk)))
    host.start_hub()
    agent = host.start_agent()
    agent.wait_for("sink.acked_first")
    wait_until(lambda: len(host.runs()) == kills + 1 and len(host.runs()[-1]) > 5, "all runs arrive")
    assert agent.end() == 0
    runs = host.runs()
    assert [tick for run in runs[:-1] for tick in run] == ticks
    for run in runs:
        assert_whole(run)
    assert host.spooled() == 0


def test_a_kill_of_both_ends_between_commit_and_ack_doubles_nothing(host):
    for round_number in range(4):
        hub, agent = host.start_hub(), host.start_agent()
        agent.wait_for("sink.acked_first")
        threading.Event().wait(0.3 + 0.07 * round_number)
        hub.kill(signal.SIGKILL if round_number % 2 else signal.SIGSTOP)
        wait_until(lambda: host.spooled() > 5, "the spool grows")
        kill(agent)
        kill(hub)
    host.start_hub()
    agent = host.start_agent()
    wait_until(lambda: len(host.runs()) == 5 and len(host.runs()[-1]) > 5, "all runs arrive")
    assert agent.end() == 0
    for run in host.runs():
        assert_whole(run)


def test_an_agent_stopped_while_the_hub_is_away_leaves_everything_to_the_next_run(host):
    config = host.folder / "agent.toml"
    config.write_text(config.read_text().replace("[agent]", "[agent]\ndrain_s = 0.3"))
    agent = host.start_agent()
    wait_until(lambda: host.spooled() > 10, "the spool grows")
    assert agent.end() == 0
    stopped = next(entry for entry in agent.events() if entry.get("event") == "agent.stopped")
    host.start_hub()
    agent = host.start_agent()
    agent.wait_for("sink.acked_first")
    wait_until(lambda: len(host.runs()) == 2 and len(host.runs()[-1]) > 3, "both runs arrive")
    assert agent.end() == 0
    first = host.runs()[0]
    assert_whole(first)
    assert first[-1] == stopped["ticks"]


def test_a_damaged_file_is_put_aside_and_said_and_the_agent_runs(host):
    folder = host.folder / "agent/sink-websocket/spool"
    folder.mkdir(parents=True)
    (folder / "spool.db").write_bytes(b"no database" * 1000)
    host.start_hub()
    agent = host.start_agent()
    agent.wait_for("sink.acked_first")
    (said,) = wait_until(lambda: [one for one in agent.events() if one.get("event") == "spool.repaired"], "it is said")
    assert said["moved_to"].endswith("spool.db.damaged-1")
    assert agent.end() == 0
    assert (folder / "spool.db.damaged-1").exists()


def test_a_spool_is_shown_checked_exported_and_drained_from_the_command_line(host):
    config = host.folder / "agent.toml"
    agent = host.start_agent()
    wait_until(lambda: host.spooled() > 10, "the spool grows")
    code, lines = spool("drain", config)
    assert code == 1
    assert "in use by another process" in lines[-1]
    kill(agent)
    records = host.spooled()
    assert spool("status", config)[1][0].startswith(f"websocket: {records} records")
    assert spool("verify", config) == (0, [f"websocket: {records} records are whole, 0 are damaged"])
    code, lines = spool("export", config)
    exported = [json.loads(line) for line in lines]
    assert (code, len(exported)) == (0, records)
    ticks = [one["value"] for line in exported for one in line.get("metrics", ()) if one["series"] == "steps"]
    host.start_hub()
    code, lines = spool("drain", config)
    assert (code, lines[-1]) == (0, "everything is delivered")
    assert host.spooled() == 0
    assert host.runs()[0] == ticks
