"""`make install` in a booted Debian, from what the sdist holds: installed, run, upgraded over edits, removed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from booted_container import Container
from booted_service import AGENT, HUB, files
from process_support import wait_until

pytestmark = [pytest.mark.booted, pytest.mark.timeout(300)]

Say = Callable[[str, str], None]

OFFLINE = "PIP_NO_INDEX=1 PIP_FIND_LINKS=/packages/wheels"
UNCOMPILED = "PIP_NO_COMPILE=1"
"""Saves the time of a second compilation of the same."""
PLACES = {
    "/opt/rebellion",
    "/usr/local/bin/rebellion",
    f"/usr/local/lib/systemd/system/{AGENT}",
    f"/usr/local/lib/systemd/system/{HUB}",
    "/usr/local/lib/sysusers.d/rebellion.conf",
    "/usr/local/lib/tmpfiles.d/rebellion.conf",
}
STAYS = ("/etc/rebellion", "/var/lib/rebellion")


def make(container: Container, source: str, target: str, environ: str = "") -> str:
    return container.shell(f"{OFFLINE} {environ} make --no-print-directory -C {source} {target}")


def pid(container: Container, unit: str) -> str:
    return container.unit(unit)["MainPID"]


def test_make_install_runs_the_services_and_make_uninstall_takes_only_the_program(
    source: str, container: Container, say: Say
) -> None:
    before = files(container)
    said = make(container, source, "install")
    assert "systemctl enable --now rebellion-agent" in said
    assert files(container) - before >= PLACES
    assert container.unit(AGENT)["ActiveState"] == "inactive"
    container.run("systemctl", "enable", "--now", HUB, AGENT)
    wait_until(lambda: container.fetch("http://127.0.0.1:8765/api/v1/agents")["agents"], "the agent is seen by the hub")
    container.shell("echo '# mine' >>/etc/rebellion/agent.toml; echo secret >/etc/rebellion/hub-token")
    upgrade(container, source)
    uninstall(container, source, before)
    say("make install", "units, user and command from the sdist; both services ran; a second one over them kept the edited file;"
        " make uninstall left configuration, state and user, and nothing else")  # fmt: skip


def upgrade(container: Container, source: str) -> None:
    """The same again over running services, which go on with the old program until they are started anew."""
    old = pid(container, AGENT)
    make(container, source, "install", UNCOMPILED)
    assert container.run("tail", "-n1", "/etc/rebellion/agent.toml").stdout == "# mine\n"
    assert container.shell("ls /etc/rebellion") == "agent.d\nagent.toml\nhub-token\nhub.d\nhub.toml\n"
    assert pid(container, AGENT) == old
    container.run("systemctl", "try-restart", AGENT, HUB)
    assert container.unit(AGENT)["ActiveState"] == "active"
    assert pid(container, AGENT) != old


def uninstall(container: Container, source: str, before: set[str]) -> None:
    said = make(container, source, "uninstall")
    assert [line.split()[1] for line in said.splitlines() if line.startswith("kept")][:2] == list(STAYS)
    assert container.shell("pgrep -u rebellion || echo none") == "none\n"
    left = files(container) - before
    assert {name for name in left if not name.startswith(STAYS)} == set()
    assert {"/etc/rebellion/hub-token", "/var/lib/rebellion/hub"} <= left
    assert container.run("systemctl", "list-unit-files", "rebellion*", "--no-legend", check=False).stdout == ""
