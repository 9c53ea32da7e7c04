"""Hub and agent as services of a booted container, and the plugin that makes them misbehave on demand."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from booted_container import Container
from process_support import wait_until

__all__ = ["AGENT", "HUB", "Service", "assert_whole", "files"]

AGENT = "rebellion-agent.service"
HUB = "rebellion-hub.service"

DRILL = '''
import os
import time
from pathlib import Path

from agent.api import hookimpl


class Drill:
    """Numbers its collects on the event loop, so that a hole is a loss; holds or blocks that loop when told to."""

    def __init__(self, config, context):
        self.steps = context.series("steps")
        self.ballast = [context.series("ballast", labels={"n": str(n)}) for n in range(300)]
        self.count = 0

    async def collect(self, out):
        while Path("/run/drill/hold").exists():
            time.sleep(0.01)
        stuck = Path("/run/drill/stuck")
        if stuck.exists() and stuck.read_text() == str(os.getpid()):
            time.sleep(3600)
        self.count += 1
        out.add(self.steps, self.count)
        for series in self.ballast:
            out.add(series, self.count)


@hookimpl
def rebellion_register_collectors(register):
    register("drill", Drill)
'''

AGENT_TOML = """
[agent]
name = "drill"
interval_s = 0.2
plugins_dir = "/etc/rebellion/plugins"
[collectors.drill]
[sinks.websocket]
url = "ws://127.0.0.1:8765"
reconnect_s = 0.1
reconnect_max_s = 0.2
breaker.max_open_s = 1.0
"""

NOT_LISTED = "/proc /sys /run /tmp /packages /root /var/log /var/tmp /var/cache"
WRITES_ABOUT_ITSELF = (
    "/var/lib/dpkg/",
    "/var/lib/systemd/",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow-",
    "/etc/gshadow-",
)
"""Records and last copies of dpkg, systemd and userdel: not of what is installed."""


class Service:
    """Both services in one container.

    Args:
        container: Where the package is installed.
    """

    def __init__(self, container: Container) -> None:
        self.container = container

    def configure(self, agent_toml: str = AGENT_TOML) -> None:
        """Keep the examples aside and write a configuration of our own; the journal begins here."""
        self.container.shell(
            "mkdir -p /run/drill /root/examples; cp --no-clobber --preserve /etc/rebellion/*.toml /root/examples"
        )
        self.container.write("/etc/rebellion/plugins/drill.py", DRILL)
        self.container.write("/etc/rebellion/agent.toml", agent_toml)
        self.container.forget_journal()

    def remove_traces(self) -> None:
        """Stop both and leave only what the package brought."""
        self.container.shell(
            f"systemctl stop {AGENT} {HUB}; systemctl reset-failed; "
            "rm -rf /run/drill /var/lib/rebellion/* /etc/rebellion/plugins /etc/rebellion/*-token /etc/rebellion/*.d/* "
            "/etc/systemd/system/rebellion-*.service.d; "
            "mv /root/examples/*.toml /etc/rebellion/; systemd-tmpfiles --create rebellion.conf; systemctl daemon-reload"
        )

    def start(self, *units: str) -> None:
        """Start units and wait for their READY."""
        self.container.run("systemctl", "start", *units)

    def drop_in(self, unit: str, text: str) -> None:
        """Change a unit as an administrator would."""
        self.container.write(f"/etc/systemd/system/{unit}.d/test.conf", text)
        self.container.run("systemctl", "daemon-reload")

    def wait_for_message(self, unit: str, text: str) -> None:
        """Wait until the journal of a unit says this."""
        wait_until(lambda: text in self.container.messages(unit), f"{unit} says {text!r}")

    def status(self) -> dict[str, Any]:
        """What the agent says of itself."""
        found: dict[str, Any] = wait_until(
            lambda: self.container.fetch("http://127.0.0.1:8764/api/v1/status"), "the agent answers"
        )
        return found

    def steps_collected(self) -> int:
        """How many steps the agent that runs now has collected so far."""
        (drill,) = [one for one in self.status()["collectors"] if one["name"] == "drill"]
        collected: int = drill["collects"]
        return collected

    def runs(self) -> list[list[float]]:
        """The steps stored by the hub, a list for each run of the agent."""
        query = urlencode({"agent": "drill", "series": "steps", "from": -600})
        answer = self.container.fetch(f"http://127.0.0.1:8765/api/v1/query?{query}")
        runs: list[list[float]] = []
        for value in answer["values"] if answer else ():
            if not runs or value < runs[-1][-1]:
                runs.append([])
            runs[-1].append(value)
        return runs

    def wait_for_steps(self, runs: int, steps: int) -> None:
        """Wait until the hub has so many runs of the agent, whole, and so many steps of the last.

        After an outage newer steps come first, so that for a moment some are missing.
        """
        wait_until(
            lambda: (got := self.runs()) and len(got) == runs and len(got[-1]) >= steps and all(map(_is_whole, got)),
            f"{runs} runs, whole, {steps} steps",
        )


def assert_whole(run: list[float]) -> None:
    """Every step from the first on, once."""
    assert _is_whole(run), run


def _is_whole(run: list[float]) -> bool:
    return run == [float(n) for n in range(1, len(run) + 1)]


def files(container: Container) -> set[str]:
    """Every file of the container that an installation could have left."""
    pruned = NOT_LISTED.replace(" ", " -o -path ")
    found = container.shell(f"find / -xdev \\( -path {pruned} \\) -prune -o -print").splitlines()
    return {name for name in found if not name.startswith(WRITES_ABOUT_ITSELF)}
