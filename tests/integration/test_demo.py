"""`rebellion demo` as a person runs it: the page's address, a line a second, a hub that is killed, Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from process_support import wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


class Demo:
    """The demo as a child process, its lines read as they come."""

    def __init__(self, folder):
        self.child = subprocess.Popen(
            [sys.executable, "-m", "agent.cli", "demo"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip())

    def find(self, pattern, what):
        return wait_until(lambda: next(filter(None, (re.search(pattern, line) for line in self.lines)), None), what)

    @property
    def hub_pids(self):
        return [int(found[1]) for line in self.lines if (found := re.search(r"hub +pid (\d+)", line))]

    def ask(self, path, **query):
        address = self.find(r"http://127\.0\.0\.1:\d+/", "the page's address")[0]
        with urlopen(f"{address}api/v1/{path}?{urlencode(query)}", timeout=10) as answer:
            return json.load(answer)

    def host(self):
        return self.ask("agents")["agents"][0]

    def event_kinds(self):
        return {event["kind"] for event in self.ask("events", agent=self.host()["name"], **{"from": -600})["events"]}

    def values(self, series):
        return self.ask("query", agent=self.host()["name"], series=series, **{"from": -600})

    def end(self):
        self.child.send_signal(signal.SIGINT)
        code = self.child.wait(30)
        self.reader.join(10)
        return code


def has_every_tick(values):
    """True when no tick is missing and none is there twice."""
    return values == [values[0] + n for n in range(len(values))]


@pytest.fixture
def demo(tmp_path):
    made = Demo(tmp_path)
    yield made
    if made.child.poll() is None:
        made.child.send_signal(signal.SIGTERM)
        made.child.wait(30)
    made.child.stdout.close()


def test_the_demo_shows_this_host_outlives_its_hub_and_ends_cleanly(demo, tmp_path):
    demo.find(r"flow +.* connected: \d+ series", "a line of what flows")
    acked = demo.find(r"agent\.acked_first .*since_process_start_s=([\d.]+)", "the first acknowledgement")
    print(f"first batch acknowledged {acked[1]} s after the agent's start")
    wait_until(lambda: demo.host()["batches_total"] >= 3, "three batches")
    assert demo.host()["series_count"] >= 150
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert set(demo.values("memory_total_bytes")["values"]) == {float(total)}

    os.kill(demo.hub_pids[0], signal.SIGKILL)
    demo.find(r"breaker\.opened +component=sink:websocket", "the breaker opens")
    wait_until(lambda: len(demo.hub_pids) == 2, "the hub is started again")
    demo.find(r"sink\.resumed", "delivery resumes")
    wait_until(
        lambda: has_every_tick(demo.values("agent_ticks_total")["values"]), "what waited arrives behind what is new"
    )
    wait_until(lambda: "breaker.opened" in demo.event_kinds(), "the event too")

    assert demo.end() == 0, demo.lines
    assert any("agent.stopped" in line for line in demo.lines)
    for pid in demo.hub_pids:
        assert not Path(f"/proc/{pid}").exists()
    assert list(tmp_path.iterdir()) == []
