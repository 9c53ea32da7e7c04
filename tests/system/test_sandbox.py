"""What the units' sandbox takes away, and what it leaves: every collector must see inside what it sees outside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from booted_container import Container
from booted_service import AGENT, HUB, Service

pytestmark = [pytest.mark.booted, pytest.mark.timeout(300)]

Say = Callable[[str, str], None]
Seen = dict[str, set[str]]

UNITS = "/usr/lib/systemd/system"
MAX_EXPOSURE = 1.5
NO_SECRET_RIGHTS = "setpriv --reuid=rebellion --regid=rebellion --clear-groups"
ONE_TICK = """[Service]
Type=oneshot
ExecStart=/opt/rebellion/bin/rebellion collect --json
StandardOutput=truncate:/run/tick.json
"""
COLLECTORS = Path(__file__).parents[2] / "plugins/collectors"
COMES_AND_GOES = {"process_cpu_cores", "process_resident_bytes", "process_instances_count"}
"""Names of processes: which are shown depends on the moment."""


@pytest.fixture
def nic(installed: Container) -> Iterator[None]:
    """A network interface beside the loopback, so that there is something to see."""
    installed.shell("ip link add name test0 type veth peer name test1; ip link set test0 up; ip link set test1 up")
    yield
    installed.run("ip", "link", "delete", "test0")


def one_tick(container: Container, unit: str) -> Seen:
    """Series by metric name, from `rebellion collect` run as a service with all directives of a unit."""
    text = container.run("cat", f"{UNITS}/{unit}").stdout
    text = re.sub(r"(?m)^(Type|ExecStart|ExecReload|WatchdogSec|Restart\w*|NotifyAccess)=.*\n", "", text)
    container.write("/run/systemd/system/tick.service", text.replace("[Service]\n", ONE_TICK, 1))
    container.run("systemctl", "daemon-reload")
    container.run("systemctl", "start", "tick.service")
    return series(container.run("cat", "/run/tick.json").stdout)


def series(text: str) -> Seen:
    found: Seen = {}
    for one in json.loads(text)["metrics"]:
        found.setdefault(one["name"], set()).add(json.dumps(one["labels"], sort_keys=True))
    return found


def differences(outside: Seen, inside: Seen) -> dict[str, Any]:
    """Series that only one side has; values differ from moment to moment and are not compared."""
    names = (outside.keys() | inside.keys()) - COMES_AND_GOES
    return {name: got for name in names if (got := outside.get(name, set()) ^ inside.get(name, set()))}


@pytest.mark.usefixtures("nic")
def test_every_collector_sees_inside_the_sandbox_what_it_sees_outside(installed: Container, say: Say) -> None:
    outside = series(installed.run(*f"{NO_SECRET_RIGHTS} rebellion collect --json".split()).stdout)
    inside = one_tick(installed, AGENT)
    assert differences(outside, inside) == {}
    assert COMES_AND_GOES & inside.keys() == COMES_AND_GOES & outside.keys()
    silent = sorted(name for name, metrics in documented().items() if not metrics & inside.keys())
    seen = sum(map(len, inside.values()))
    say(
        "sandbox",
        f"{seen} series of {len(inside)} metrics, the same inside as outside; nothing to read here for: {', '.join(silent)}",
    )


def documented() -> dict[str, set[str]]:
    """Metrics of each collector, from its README."""
    pages = COLLECTORS.glob("*/README.md")
    return {page.parent.name: set(re.findall(r"(?m)^\| `(\w+)`", page.read_text())) for page in pages}


@pytest.mark.parametrize("unit", [AGENT, HUB])
def test_exposure_as_systemd_judges_it(installed: Container, say: Say, unit: str) -> None:
    judged = installed.run(
        "systemd-analyze", "security", "--no-pager", "--offline=true", f"{UNITS}/{unit}", check=False
    )
    level = re.search(r"exposure level for \S+: ([\d.]+)", judged.stdout)
    assert level is not None, judged.stderr
    assert float(level[1]) <= MAX_EXPOSURE
    say("exposure", f"{unit}: {level[1]} offline (bar {MAX_EXPOSURE})")


def test_service_cannot_do_what_it_has_no_business_doing(service: Service, say: Say) -> None:
    """What the kernel says of the running process, and what it may write."""
    service.start(AGENT)
    container = service.container
    pid = container.unit(AGENT)["MainPID"]
    status = dict(
        line.split(":\t", 1)
        for line in container.run("cat", f"/proc/{pid}/status").stdout.splitlines()
        if ":\t" in line
    )
    assert [int(status[key], 16) for key in ("CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0, 0, 0, 0]
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    mounts = [line.split() for line in container.run("cat", f"/proc/{pid}/mounts").stdout.splitlines()]
    writable = {
        target
        for _, target, kind, options, *_ in mounts
        if options.split(",")[0] == "rw" and kind not in {"proc", "sysfs"}
    }
    assert "/" not in writable
    assert "/var/lib/rebellion/agent" in writable
    say(
        "rights",
        "no capability, no new privileges, system calls filtered; the root is read-only, the state folder is not",
    )
