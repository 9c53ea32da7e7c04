"""What the agent alone costs at 1 s with the default collectors: CPU seconds a minute, resident memory, series.

    python benchmarks/agent_cost.py [--seconds 60] [--settle 15]

Starts a hub and an agent as processes of their own on loopback and reads the agent's cost from /proc. Run it on a machine
that does nothing else.
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
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

GOALS = "goals: at most 0.6 CPU s a minute and 55 MiB; of the project: 0.45 and 50"


def cpu_s(pid: int) -> float:
    """User and system time of a process, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    """Resident memory of a process, MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@contextmanager
def process(command: str, config: Path):
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure")
    parser.add_argument("--settle", type=float, default=15.0, help="how long to wait before")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        hub, agent = Path(folder, "hub.toml"), Path(folder, "agent.toml")
        hub.write_text(f'[hub]\nlisten = "127.0.0.1:{port}"\nstate_dir = "{folder}/hub"\n')
        agent.write_text(f'[agent]\nstate_dir = "{folder}/agent"\n[sinks.websocket]\nurl = "ws://127.0.0.1:{port}/"\n')
        with process("hub", hub):
            wait_for_port(port)
            with process("agent", agent) as child:
                time.sleep(arguments.settle)
                before_s, started_s = cpu_s(child.pid), time.monotonic()
                time.sleep(arguments.seconds)
                spent_s, elapsed_s = cpu_s(child.pid) - before_s, time.monotonic() - started_s
                with urlopen(f"http://127.0.0.1:{port}/api/v1/agents", timeout=5) as answer:
                    known = json.load(answer)["agents"][0]
                print(f"series           {known['series_count']}")
                print(f"CPU s a minute   {spent_s * 60 / elapsed_s:.3f}")
                print(f"RSS MiB          {rss_mib(child.pid):.1f}")
                print(f"acknowledged     {known['last_seq']} records, {known['points_total']} points")
    print(GOALS)


if __name__ == "__main__":
    main()
