"""A Debian with a systemd of its own, booted in a moment on a tree that stays as it was: what is written goes with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from process_support import wait_until

__all__ = ["Container"]

STOP_S = 30.0


class Container:
    """One booted container; use it as a context manager. It has a loopback of its own and no way out.

    Args:
        cache: What `tests/system/prepare.sh` made: `rootfs` and `tools`.
        packages: Folder seen inside as `/packages`, read-only.

    Attributes:
        boot_s: Seconds from the start to a running system.
    """

    def __init__(self, cache: Path, packages: Path) -> None:
        tools = cache / "tools"
        self._command = [
            "setpriv", "--pdeathsig", "TERM", str(tools / "usr/bin/systemd-nspawn"), f"--directory={cache / 'rootfs'}",
            "--volatile=overlay", "--boot", "--register=no", "--keep-unit", f"--machine=rebellion-{os.getpid()}",
            "--console=pipe", "--private-network", f"--bind-ro={packages}:/packages",
        ]  # fmt: skip
        (libraries,) = tools.glob("usr/lib/*/systemd")
        self._environ = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
        self._init = 0
        self._cursor = ""
        self.boot_s = 0.0

    def __enter__(self) -> Self:
        begin_s = time.monotonic()
        self._nspawn = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            env=self._environ,
            start_new_session=True,
        )
        try:
            state = wait_until(self._settled, "the system inside is up")
            self.boot_s = time.monotonic() - begin_s
            assert state == "running", self.run("systemctl", "--failed", check=False).stdout
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, *words: str | Path, check: bool = True, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command inside as root; one that fails fails the test, with what it said, unless `check` is False."""
        command = ["nsenter", "--target", str(self._init), "--all", "--wdns=/", *map(str, words)]
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environ)
        assert not check or done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    def shell(self, script: str, *, check: bool = True) -> str:
        """What a script of `sh` prints."""
        return self.run("sh", "-euc", script, check=check).stdout

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """Write a file, its folders included."""
        self.run("sh", "-euc", 'mkdir -p "$(dirname "$1")"; cat >"$1"; chmod "$2" "$1"', "write", path, mode, text=text)

    def unit(self, name: str) -> dict[str, str]:
        """Every property of a unit."""
        lines = self.run("systemctl", "show", name).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def forget_journal(self) -> None:
        """Let `journal` begin here."""
        shown = self.run("journalctl", "--lines=1", "--show-cursor", "--output=cat").stdout
        self._cursor = shown.rpartition("-- cursor: ")[2].strip()

    def journal(self, unit: str) -> list[dict[str, Any]]:
        """The entries of a unit and of the manager about it, oldest first."""
        after = [f"--after-cursor={self._cursor}"] if self._cursor else []
        lines = self.run("journalctl", "--output=json", f"--unit={unit}", *after).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def messages(self, unit: str) -> str:
        """The same as lines of text."""
        return "".join(f"{entry['MESSAGE']}\n" for entry in self.journal(unit))

    def fetch(self, url: str) -> Any:
        """The decoded JSON behind a URL; None while nobody answers there."""
        ask = "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"
        done = self.run("python3", "-c", ask, url, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def _settled(self) -> str:
        """The system's state once it is not about to change any more; "" before. The first child makes way for the real one."""
        assert self._nspawn.poll() is None, f"systemd-nspawn ended with {self._nspawn.returncode}"
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        if not children:
            return ""
        self._init = int(children[0])
        state = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
        return state if state in {"running", "degraded"} else ""

    def _end(self) -> None:
        self._nspawn.send_signal(signal.SIGTERM)
        try:
            self._nspawn.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
