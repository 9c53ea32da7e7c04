"""The services in a booted systemd: started, killed, stuck, misconfigured, reloaded."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from booted_container import Container
from booted_service import AGENT, AGENT_TOML, HUB, Service, assert_whole
from process_support import wait_until

pytestmark = [pytest.mark.booted, pytest.mark.timeout(300)]

Say = Callable[[str, str], None]
RELOADS = 20


def start_to_ready_s(unit: dict[str, str]) -> float:
    return (int(unit["ActiveEnterTimestampMonotonic"]) - int(unit["ExecMainStartTimestampMonotonic"])) / 1e6


def active_again(container: Container, name: str, old_pid: str) -> dict[str, str]:
    """The unit's properties once another process of it is ready."""

    def look() -> dict[str, str] | None:
        unit = container.unit(name)
        return unit if unit["ActiveState"] == "active" and unit["MainPID"] not in {"0", old_pid} else None

    found: dict[str, str] = wait_until(look, f"{name} is active again")
    return found


def test_ready_is_said_after_the_first_tick_and_not_before(service: Service, say: Say) -> None:
    container = service.container
    container.write("/run/drill/hold", "")
    container.run("systemctl", "start", "--no-block", AGENT)
    service.wait_for_message(AGENT, "agent.started")
    assert container.unit(AGENT)["ActiveState"] == "activating"
    container.run("rm", "/run/drill/hold")
    active_again(container, AGENT, "")
    container.run("systemctl", "restart", AGENT)
    service.start(HUB)
    agent_s, hub_s = start_to_ready_s(container.unit(AGENT)), start_to_ready_s(container.unit(HUB))
    say(
        "READY",
        f"held back while the first tick was; else the agent after {agent_s:.2f} s, the hub after {hub_s:.2f} s",
    )


@pytest.mark.parametrize("name", [AGENT, HUB])
def test_killed_service_is_back(service: Service, say: Say, name: str) -> None:
    container = service.container
    service.start(HUB, AGENT)
    service.wait_for_steps(1, 5)
    pid = container.unit(name)["MainPID"]
    killed_s = time.monotonic()
    container.run("kill", "-9", pid)
    unit = active_again(container, name, pid)
    assert unit["NRestarts"] == "1"
    back_s = int(unit["ActiveEnterTimestampMonotonic"]) / 1e6 - killed_s
    service.wait_for_steps(2 if name == AGENT else 1, 10)
    for run in service.runs():
        assert_whole(run)
    say("kill -9", f"{name} is ready again {back_s:.2f} s later (RestartSec=1); no step is missing, none came twice")


def test_stuck_loop_and_stopped_process_are_restarted_by_the_watchdog(service: Service, say: Say) -> None:
    container = service.container
    service.start(HUB, AGENT)
    service.wait_for_steps(1, 5)
    agent, hub = (container.unit(name)["MainPID"] for name in (AGENT, HUB))
    begin_s = time.monotonic()
    container.write("/run/drill/stuck", agent)
    container.run("kill", "-STOP", hub)
    for name, pid, what in ((AGENT, agent, "event loop blocked in a coroutine"), (HUB, hub, "process stopped")):
        unit = active_again(container, name, pid)
        service.wait_for_message(name, "Watchdog timeout (limit 10s)!")
        back_s = int(unit["ActiveEnterTimestampMonotonic"]) / 1e6 - begin_s
        say("watchdog", f"{name}, {what}: aborted and ready again after {back_s:.1f} s (WatchdogSec=10)")
    service.wait_for_steps(2, 5)
    for run in service.runs():
        assert_whole(run)


def test_bad_configuration_stays_down_with_78_and_says_why(service: Service, say: Say) -> None:
    container = service.container
    service.configure(AGENT_TOML.replace("interval_s = 0.2", "interval_s = -1"))
    assert container.run("systemctl", "start", AGENT, check=False).returncode != 0
    unit = container.unit(AGENT)
    assert (unit["ActiveState"], unit["SubState"], unit["Result"]) == ("failed", "failed", "exit-code")
    assert (unit["ExecMainStatus"], unit["NRestarts"]) == ("78", "0")
    (problem,) = [line for line in container.messages(AGENT).splitlines() if "agent.interval_s" in line]
    say(
        "bad file",
        f"state {unit['ActiveState']}, exit code {unit['ExecMainStatus']}, {unit['NRestarts']} restarts: {problem}",
    )


def test_reload_of_a_bad_file_is_refused_and_the_old_one_goes_on(service: Service, say: Say) -> None:
    container = service.container
    service.start(HUB, AGENT)
    pid = container.unit(AGENT)["MainPID"]
    container.write("/etc/rebellion/agent.toml", AGENT_TOML.replace("interval_s = 0.2", "interval_s = -1"))
    container.run("systemctl", "reload", AGENT)
    service.wait_for_message(AGENT, "config.refused")
    steps = len((service.runs() or [[]])[-1])
    service.wait_for_steps(1, steps + 5)
    unit = container.unit(AGENT)
    assert (unit["ActiveState"], unit["MainPID"]) == ("active", pid)
    say("bad reload", "refused, the service stays active and goes on as before")


def test_reloads_under_load_lose_no_point(service: Service, say: Say) -> None:
    """Every other reload replaces the sink, and a collector beside the one that is counted."""
    container = service.container
    busy = AGENT_TOML.replace("interval_s = 0.2", "interval_s = 0.05")
    service.configure(busy)
    service.start(HUB, AGENT)
    for number in range(1, RELOADS + 1):
        changed = busy + f"max_group_count = {number % 2 + 8}\n[collectors.load]\ninterval_s = {number % 2 + 0.05}\n"
        container.write("/etc/rebellion/agent.toml", changed)
        container.run("systemctl", "reload", AGENT)
        wait_until(lambda n=number: container.messages(AGENT).count("config.reloaded") == n, f"reload {number}")
    assert_accounts_balance(service)
    collected = service.steps_collected()
    container.run("systemctl", "stop", AGENT)
    assert container.unit(AGENT)["Result"] == "success"
    (run,) = service.runs()
    assert_whole(run)
    assert len(run) >= collected
    say(
        "reload",
        f"{RELOADS} at 20 ticks/s of 300+ points, the sink replaced each time: {len(run)} steps stored, each once, none missing",
    )


def assert_accounts_balance(service: Service) -> None:
    status = service.status()
    (sink,) = status["sinks"]
    waiting = sink["buffer"]["points"] + sink["spool"]["points"] + sink["in_flight_points"]
    assert sink["accepted"] == sink["delivered"] + sink["dropped"] + waiting
    assert sink["dropped"] == 0, (sink["dropped_by_reason"], status["sampling"])


def test_journal_has_priorities_and_fields_and_its_restart_costs_nothing(service: Service, say: Say) -> None:
    container = service.container
    service.start(HUB, AGENT)
    service.wait_for_steps(1, 3)
    container.run("systemctl", "stop", HUB)
    service.wait_for_message(AGENT, "now=OPEN")
    opened = next(one for one in container.journal(AGENT) if one.get("REBELLION_NOW") == "OPEN")
    told = {
        "PRIORITY": "4",
        "REBELLION_EVENT": "breaker.opened",
        "REBELLION_SINK": "websocket",
        "REBELLION_WAS": "CLOSED",
    }
    assert told.items() <= opened.items()
    assert (opened["_TRANSPORT"], opened["SYSLOG_IDENTIFIER"]) == ("journal", "rebellion")
    container.run("systemctl", "restart", "systemd-journald")
    service.start(HUB)
    service.wait_for_message(AGENT, "breaker.closed")
    by_sink = container.run("journalctl", "--output=cat", "REBELLION_SINK=websocket", "REBELLION_NOW=CLOSED").stdout
    assert "breaker.closed" in by_sink
    say("journal", f"{opened['MESSAGE']!r}: priority 4, {sum(key.startswith('REBELLION_') for key in opened)} fields,"
        " found by journalctl REBELLION_SINK=websocket; goes on after journald was started anew")  # fmt: skip


def test_token_is_a_credential_that_only_the_service_reads(service: Service, say: Say) -> None:
    container = service.container
    container.write(
        "/etc/rebellion/hub.d/test.toml", '[hub]\nagent_tokens_file = "/var/lib/rebellion/hub/agent-tokens"\n'
    )
    token = container.run("rebellion", "hub", "token", "create", "drill").stdout.split()[-1]
    service.start(HUB)
    container.write("/etc/rebellion/hub-token", token + "\n", "600")
    service.configure(AGENT_TOML + 'token_file = "hub-token"\n')
    container.shell(
        "install -Dm644 /opt/rebellion/share/rebellion/drop-ins/agent-token.conf "
        f"/etc/systemd/system/{AGENT}.d/token.conf; systemctl daemon-reload; systemctl start {AGENT}"
    )
    service.wait_for_steps(1, 3)
    as_service = "setpriv --reuid=rebellion --regid=rebellion --clear-groups cat /etc/rebellion/hub-token"
    refused = container.run(*as_service.split(), check=False)
    assert "Permission denied" in refused.stderr
    say(
        "credential",
        "the hub takes the token given by LoadCredential; the file itself (mode 0600) stays closed to the service",
    )


def test_state_lies_in_a_folder_of_the_service_alone(service: Service, say: Say) -> None:
    container = service.container
    service.start(HUB, AGENT)
    folders = container.run("stat", "--format=%n %a %U", "/var/lib/rebellion/agent", "/var/lib/rebellion/hub").stdout
    assert folders.splitlines() == ["/var/lib/rebellion/agent 700 rebellion", "/var/lib/rebellion/hub 700 rebellion"]
    pid = container.unit(AGENT)["MainPID"]
    assert container.run("stat", "--format=%U", f"/proc/{pid}").stdout == "rebellion\n"
    say("state", "/var/lib/rebellion/agent and hub: mode 0700, of the user rebellion, which both run as")


def test_limits_are_set_and_said_where_the_machine_does_not_hold_them(service: Service, say: Say) -> None:
    service.start(AGENT)
    unit = service.container.unit(AGENT)
    limits = {key: unit[key] for key in ("MemoryHigh", "MemoryMax", "TasksMax")}
    assert limits == {"MemoryHigh": str(192 << 20), "MemoryMax": str(384 << 20), "TasksMax": "128"}
    is_held = unit["MemoryCurrent"].isdecimal()
    how = f"MemoryCurrent={unit['MemoryCurrent']}" + (
        "" if is_held else ": set, but NOT held by the kernel of this machine, so not tested"
    )
    say("limits", f"MemoryMax=384M TasksMax=128; {how}")
