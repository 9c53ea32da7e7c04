"""A folder of one process on a file system that is read-only for a while: a mount of its own in a namespace of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["has_own_mounts", "make_writable", "own_mount"]

_UNSHARED = ("unshare", "--map-root-user", "--mount")


def has_own_mounts() -> bool:
    """Whether this machine lets an ordinary user have namespaces."""
    try:
        return subprocess.run([*_UNSHARED, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def own_mount(folder: Path, *, is_read_only: bool = False) -> tuple[str, ...]:
    """What to put before a command so that it has a mount of its own at the folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    mounts = 'mount --bind "$0" "$0"' + (' && mount -o remount,bind,ro "$0"' if is_read_only else "")
    return (*_UNSHARED, "sh", "-c", f'{mounts} && exec "$@"', str(folder))


def make_writable(pid: int, folder: Path) -> None:
    """Change the mount of a running process; the other way the kernel refuses while something on it is open for writing."""
    command = ("nsenter", "--target", str(pid), "--user", "--mount", "--preserve-credentials")
    subprocess.run([*command, "mount", "-o", "remount,bind,rw", str(folder)], check=True)
