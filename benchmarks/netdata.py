"""Debian's Netdata beside the agent: fetched and unpacked, never installed; ended with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = ("netdata-core", "netdata-plugins-bash")
CONFIG = """
[global]
    run as user = {user}
[directories]
    config = {folder}/etc
    stock config = {root}/usr/lib/netdata/conf.d
    plugins = {root}/usr/lib/netdata/plugins.d
    web = {folder}/web
    cache = {folder}/cache
    lib = {folder}/lib
    log = {folder}/log
[db]
    update every = 1
[web]
    bind to = 127.0.0.1
    default port = {port}
[registry]
    enabled = no
"""


def fetch(folder: Path) -> Path:
    """The packages and what this machine lacks for them, unpacked below `folder`; kept there for the next time."""
    root, packages = folder / "root", folder / "packages"
    if (root / "usr/sbin/netdata").exists():
        return root
    (packages / "partial").mkdir(parents=True, exist_ok=True)
    command = ["apt-get", "install", "--yes", "--download-only", "--no-install-recommends"]
    archives = f"Dir::Cache::archives={packages.resolve()}"
    done = subprocess.run([*command, "-o", archives, *PACKAGES], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"apt-get cannot fetch {' '.join(PACKAGES)} (it needs root and Debian): {done.stderr.strip()}")
    for package in sorted(packages.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
    return root


@contextmanager
def netdata(root: Path, folder: Path, port: int) -> Iterator[int]:
    """Netdata with its defaults at 1 s, telling nobody; its pid."""
    for name in ("etc", "web", "cache", "lib", "log"):
        (folder / name).mkdir(parents=True)
    (folder / "etc/.opt-out-from-anonymous-statistics").touch()
    user = "root" if os.getuid() == 0 else str(os.getuid())
    (folder / "etc/netdata.conf").write_text(CONFIG.format(user=user, folder=folder, root=root.resolve(), port=port))
    libraries = ":".join(str(path.resolve()) for path in root.glob("usr/lib/*-linux-gnu"))
    child = subprocess.Popen(
        [root / "usr/sbin/netdata", "-D", "-c", folder / "etc/netdata.conf"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LD_LIBRARY_PATH": libraries, "DO_NOT_TRACK": "1"},
        start_new_session=True,
    )
    try:
        yield child.pid
    finally:
        started = family(child.pid)
        child.terminate()
        child.wait(30)
        for pid in started:
            if "netdata" in command_of(pid):
                os.kill(pid, signal.SIGKILL)


def family(pid: int) -> list[int]:
    """A process and all that descend from it now."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(word) for word in task.read_text().split()]
    return found


def command_of(pid: int) -> str:
    """Its command line; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
