"""The package in a booted Debian: installed, upgraded with data waiting, removed, purged."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from booted_container import Container
from booted_service import AGENT, HUB, Service, assert_whole, files
from process_support import wait_until

pytestmark = [pytest.mark.booted, pytest.mark.timeout(300)]

Say = Callable[[str, str], None]


def test_upgrade_delivers_what_waits_and_keeps_the_edited_configuration(service: Service, say: Say) -> None:
    container = service.container
    service.start(HUB, AGENT)
    service.wait_for_steps(1, 5)
    container.run("systemctl", "stop", HUB)
    wait_until(lambda: spooled_points(service) > 3000, "points wait on disk")
    waiting, pid = spooled_points(service), container.unit(AGENT)["MainPID"]
    assert_its_user_sees_what_waits(container)
    collected = service.steps_collected()
    container.run("dpkg", "--force-confold", "--install", "/packages/later.deb")
    assert container.run("rebellion", "version").stdout == "rebellion 9.0\n"
    assert container.unit(AGENT)["MainPID"] != pid
    assert container.unit(AGENT)["ActiveState"] == "active"
    assert container.unit(HUB)["ActiveState"] == "inactive"
    assert 'name = "drill"' in container.run("cat", "/etc/rebellion/agent.toml").stdout
    assert "## New in 9.0." in container.run("cat", "/etc/rebellion/hub.toml").stdout
    service.start(HUB)
    service.wait_for_steps(2, 6)
    wait_until(lambda: spooled_points(service) == 0, "nothing waits any more")
    first, second = service.runs()
    assert_whole(first)
    assert_whole(second)
    assert len(first) >= collected
    say("upgrade", f"agent restarted as 9.0, the edited agent.toml kept, hub.toml renewed; {waiting} points that waited on disk"
        f" arrived, all {len(first)} steps of the old agent once each")  # fmt: skip


def assert_its_user_sees_what_waits(container: Container) -> None:
    """As docs/operating.md has it, and nothing that belongs to root is left behind."""
    as_service = (
        "setpriv --reuid=rebellion --regid=rebellion --clear-groups env STATE_DIRECTORY=/var/lib/rebellion/agent"
    )
    assert container.shell(f"{as_service} rebellion spool status").startswith("websocket: ")
    assert container.shell("find /var/lib/rebellion/agent -user root") == ""


def spooled_points(service: Service) -> int:
    (sink,) = service.status()["sinks"]
    points: int = sink["spool"]["points"]
    return points


def test_removal_keeps_what_is_yours_and_purge_leaves_nothing(container: Container, say: Say) -> None:
    container.run("dpkg", "--purge", "rebellion-agent")
    before = files(container)
    container.run("dpkg", "--install", "/packages/this.deb")
    container.run("systemctl", "enable", "--now", HUB, AGENT)
    wait_until(lambda: container.fetch("http://127.0.0.1:8765/api/v1/agents")["agents"], "the agent is seen by the hub")
    container.write("/etc/rebellion/hub-token", "secret", "600")
    container.write(f"/etc/systemd/system/{AGENT}.d/mine.conf", "[Service]\nRestartSec=2\n")
    container.run("dpkg", "--remove", "rebellion-agent")
    assert container.shell("pgrep -u rebellion || echo none") == "none\n"
    kept = files(container) - before
    assert {"/etc/rebellion/agent.toml", "/etc/rebellion/hub-token", "/var/lib/rebellion/hub"} <= kept
    assert [name for name in kept if name.startswith(("/usr/", "/opt/rebellion/bin"))] == []
    container.run("dpkg", "--purge", "rebellion-agent")
    assert files(container) - before == set()
    assert container.run("getent", "passwd", "rebellion", check=False).returncode != 0
    units = container.run("systemctl", "list-unit-files", "rebellion*", "--no-legend", check=False).stdout
    assert units == ""
    say(
        "purge",
        "no file, no unit, no user, no process is left; a removal before it kept configuration, token and state",
    )
