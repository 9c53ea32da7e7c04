"""What the agent costs at 1 s with the default collectors: CPU, memory, series; alone, or beside Netdata.

    python benchmarks/agent_cost.py [--seconds 60] [--settle 15] [--netdata FOLDER] [--profile NAME ...]

Starts for each profile a hub and an agent as processes of their own on loopback, and reads the agents' costs from /proc in the
same seconds. `default` is the agent as shipped, `host` only the host's series and none of the agent's own (about 200), `lite` is
without the transformer, hence without numpy. With `--netdata` Debian's Netdata is fetched into FOLDER (not installed) and runs
beside them. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from netdata import family, fetch, netdata

PROFILES = {
    "default": "",
    "host": "[collectors.agent]\nenabled = false\n",
    "lite": "[transformer]\nenabled = false\n",
}
GOALS = "goals: at most 0.6 CPU s a minute and 55 MiB; of the project: 0.45 and 50 at about 200 series with processes"
NETDATA_GOAL_RATIO = 0.7


def cpu_s(pid: int) -> float:
    """User and system time of a process and all that it started, those that ended included; seconds."""
    fields = [Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split() for one in family(pid)]
    return sum(sum(map(int, one[11:15])) for one in fields) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, key: str = "VmRSS") -> float:
    """Resident memory of a process and all that it started, or the part named by a key of /proc/PID/status; MiB."""
    texts = [Path(f"/proc/{one}/status").read_text() for one in family(pid)]
    return sum(int(text.partition(f"{key}:")[2].split()[0]) for text in texts) / 1024


@contextmanager
def process(command: str, config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A `rebellion` process, ended by SIGTERM."""
    child = subprocess.Popen(
        [sys.executable, "-m", "agent.cli", command, "--config", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


def wait_for_port(port: int) -> None:
    """Return once something listens there."""
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit("the hub did not come up")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def agent_and_hub(folder: str, profile: str) -> Iterator[tuple[int, str]]:
    """An agent that ships to a hub on loopback, with more lines of configuration: its pid, and the hub's address."""
    port = free_port()
    hub, agent = Path(folder, "hub.toml"), Path(folder, "agent.toml")
    hub.write_text(f'[hub]\nlisten = "127.0.0.1:{port}"\nstate_dir = "{folder}/hub"\n')
    status = f'[status]\nlisten = "127.0.0.1:{free_port()}"\n'
    sink = f'[sinks.websocket]\nurl = "ws://127.0.0.1:{port}/"\n'
    agent.write_text(f'[agent]\nstate_dir = "{folder}/agent"\n{status}{sink}{profile}')
    with process("hub", hub):
        wait_for_port(port)
        with process("agent", agent) as child:
            yield child.pid, f"http://127.0.0.1:{port}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took: CPU seconds a minute; MiB resident, and of these what no file stands behind."""

    minute_s: float
    rss_mib: float
    own_mib: float

    def __str__(self) -> str:
        return f"CPU s a minute {self.minute_s:6.3f}   RSS {self.rss_mib:5.1f} MiB ({self.own_mib:.1f} its own, the rest files)"


def measure(pids: dict[str, int], settle_s: float, seconds: float) -> dict[str, Cost]:
    """What each process cost, over the same seconds."""
    time.sleep(settle_s)
    before, started_s = {name: cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
    time.sleep(seconds)
    minutes = (time.monotonic() - started_s) / 60
    return {
        name: Cost((cpu_s(pid) - before[name]) / minutes, memory_mib(pid), memory_mib(pid, "RssAnon"))
        for name, pid in pids.items()
    }


def dimensions(port: int) -> int:
    """How many values Netdata collects."""
    with urlopen(f"http://127.0.0.1:{port}/api/v1/charts", timeout=20) as answer:
        return sum(len(chart["dimensions"]) for chart in json.load(answer)["charts"].values())


def shipped(hub: str) -> str:
    """What a hub has of the one agent that it knows."""
    with urlopen(f"{hub}/api/v1/agents", timeout=5) as answer:
        known = json.load(answer)["agents"][0]
    return f"{known['series_count']} series, {known['last_seq']} records acknowledged"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure")
    parser.add_argument("--settle", type=float, default=15.0, help="how long to wait before")
    parser.add_argument(
        "--netdata", type=Path, metavar="FOLDER", help="run Netdata beside it, fetched into this folder"
    )
    parser.add_argument("--profile", action="append", choices=PROFILES, help="default: default; may be repeated")
    arguments = parser.parse_args()
    profiles = arguments.profile or ["default"]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        port, pids, hubs = free_port(), {}, {}
        if arguments.netdata:
            root = fetch(arguments.netdata)
            pids["netdata"] = running.enter_context(netdata(root, Path(folder, "netdata"), port))
        for name in profiles:
            Path(folder, name).mkdir()
            pids[name], hubs[name] = running.enter_context(agent_and_hub(f"{folder}/{name}", PROFILES[name]))
        costs = measure(pids, arguments.settle, arguments.seconds)
        for name, cost in costs.items():
            print(f"{name:<8} {cost}; {shipped(hubs[name]) if name in hubs else f'{dimensions(port)} dimensions'}")
        print(GOALS)
        if arguments.netdata:
            ratio = costs[profiles[0]].minute_s / costs["netdata"].minute_s
            print(f"CPU of the agent ({profiles[0]}) {ratio:.2f} of Netdata's (goal {NETDATA_GOAL_RATIO})")


if __name__ == "__main__":
    main()
