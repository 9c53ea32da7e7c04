"""The units as systemd itself judges them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[3] / "systemd"
UNITS = ("rebellion-agent.service", "rebellion-hub.service")
MAX_EXPOSURE = 1.5

analyze = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(analyze is None, reason="systemd-analyze is not installed")


def directives(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (SYSTEMD / unit).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words, "--no-pager"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C"},
    )


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_exposure_is_at_most_the_bar(unit: str) -> None:
    judged = run("security", "--offline=true", str(SYSTEMD / unit))
    level = re.search(r"exposure level for \S+: ([\d.]+)", judged.stdout)
    assert level is not None, judged.stderr
    assert float(level[1]) <= MAX_EXPOSURE


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_unit_is_understood_without_a_complaint(unit: str, tmp_path: Path) -> None:
    """The program itself is not installed here, so another one stands in its place."""
    text = (SYSTEMD / unit).read_text().replace("/opt/rebellion/bin/rebellion", sys.executable)
    (tmp_path / unit).write_text(text)
    judged = run("verify", str(tmp_path / unit))
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", UNITS)
def test_unit_keeps_the_promises_of_the_service(unit: str) -> None:
    found = directives(unit)
    assert found["Type"] == ["notify"]
    reloads = {"rebellion-agent.service": ["/bin/kill -HUP $MAINPID"]}
    assert found.get("ExecReload") == reloads.get(unit)
    assert found["Restart"] == ["always"]
    assert found["RestartPreventExitStatus"] == ["78"]
    assert found["User"] == ["rebellion"]
    assert float(found["WatchdogSec"][0]) > 0


def test_every_directive_is_explained() -> None:
    text = (SYSTEMD / "README.md").read_text()
    self_evident = {
        "Description", "After", "NotifyAccess", "ExecStart", "TimeoutStartSec", "Group", "StateDirectoryMode", "WantedBy",
    }  # fmt: skip
    used = {key for unit in UNITS for key in directives(unit)}
    assert {key for key in used - self_evident if key not in text} == set()


def test_user_and_folders_are_declared_for_the_units() -> None:
    user = (SYSTEMD / "rebellion.sysusers.conf").read_text()
    assert re.search(r"^u rebellion ", user, re.MULTILINE)
    folders = (SYSTEMD / "rebellion.tmpfiles.conf").read_text()
    assert re.search(r"^d /var/lib/rebellion +0750 rebellion rebellion", folders, re.MULTILINE)
