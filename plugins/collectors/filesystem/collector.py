"""Asks each mount on a worker thread, with a deadline of its own, so that a dead one holds up nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.api import CollectorContext, ProcFile, Recorder

if TYPE_CHECKING:
    from plugins.collectors.filesystem import Config

__all__ = ["Filesystems", "mounts"]

PSEUDO = frozenset(
    {
        "autofs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "fusectl",
        "hugetlbfs",
        "mqueue",
        "nsfs",
        "overlay",
        "proc",
        "pstore",
        "ramfs",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "squashfs",
        "sysfs",
        "tmpfs",
        "tracefs",
    }
)
"""Types that take no room on a disk, and those that are full by design."""


class Mount:
    """One mount point.

    Attributes:
        is_busy: True from asking until the call has returned, however long ago it was given up.
    """

    def __init__(self, point: str) -> None:
        self.point = point
        self.is_busy = False

    def stat(self) -> os.statvfs_result:
        """On a worker thread: what the kernel says of it."""
        try:
            return os.statvfs(self.point)
        finally:
            self.is_busy = False


class Filesystems:
    """One `statvfs` per mount.

    A mount that does not answer is shown as `filesystem_responding` 0, and is neither asked nor waited for again until the
    call in hand has returned.
    """

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._config = config
        self._context = context
        self._deadline_s = min(config.mount_deadline_s, context.interval_s / 2)
        self._file = ProcFile(f"{config.proc_dir}/self/mounts", has_long_lines=True)
        self._text = b""
        self._mounts: dict[str, Mount] = {}
        self._responding = context.family("filesystem_responding", label="mount")
        self._read_only = context.family("filesystem_read_only", label="mount")
        sizes = ("total", "used", "free", "available")
        self._bytes = [context.family(f"filesystem_{what}_bytes", label="mount", unit="bytes") for what in sizes]
        self._used_ratio = context.family("filesystem_used_ratio", label="mount", unit="ratio")
        self._inodes = context.family("filesystem_inodes_count", label="mount")
        self._inodes_used = context.family("filesystem_inodes_used_count", label="mount")
        self._inodes_used_ratio = context.family("filesystem_inodes_used_ratio", label="mount", unit="ratio")

    async def collect(self, out: Recorder, /) -> None:
        """Ask every mount at once and record what those say that answer in time."""
        self._look_for_mounts()
        async with asyncio.TaskGroup() as group:
            for mount in self._mounts.values():
                group.create_task(self._record(out, mount), name=f"statvfs:{mount.point}")

    async def close(self) -> None:
        """Let go of the list of mounts."""
        self._file.close()

    async def _record(self, out: Recorder, mount: Mount) -> None:
        try:
            stat = await self._ask(mount)
        except PermissionError:
            return
        except OSError:
            stat = None
        out.add(self._responding[mount.point], 0 if stat is None else 1)
        if stat is not None:
            self._record_sizes(out, mount.point, stat)

    async def _ask(self, mount: Mount) -> os.statvfs_result | None:
        """What it says; None when it is still busy with an earlier call, or when there is no thread left to ask it on.

        Raises:
            OSError: It did not answer in time (TimeoutError), or the kernel cannot ask it.
        """
        if mount.is_busy:
            return None
        mount.is_busy = True
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._context.run_blocking(mount.stat)
        except RuntimeError:
            mount.is_busy = False
            return None

    def _record_sizes(self, out: Recorder, point: str, stat: os.statvfs_result) -> None:
        used = stat.f_blocks - stat.f_bfree
        for family, blocks in zip(self._bytes, (stat.f_blocks, used, stat.f_bfree, stat.f_bavail), strict=True):
            out.add(family[point], blocks * stat.f_frsize)
        out.add(self._read_only[point], 1 if stat.f_flag & os.ST_RDONLY else 0)
        if used + stat.f_bavail > 0:
            out.add(self._used_ratio[point], used / (used + stat.f_bavail))
        if stat.f_files:
            inodes_used = stat.f_files - stat.f_ffree
            out.add(self._inodes[point], stat.f_files)
            out.add(self._inodes_used[point], inodes_used)
            out.add(self._inodes_used_ratio[point], inodes_used / stat.f_files)

    def _look_for_mounts(self) -> None:
        """Known mounts keep their state; one that went away while stuck is new, and asked again, when it comes back."""
        text = self._file.read()
        if text != self._text:
            self._text = text
            self._mounts = {point: self._mounts.get(point) or Mount(point) for point in self._wanted(text)}

    def _wanted(self, text: bytes) -> list[str]:
        """Mount points to show, each device once, where it was mounted first; the last one mounted covers those below it."""
        sources = {point: source for source, point, kind in mounts(text) if self._is_wanted(point, kind)}
        by_source: dict[str, str] = {}
        for point, source in sources.items():
            by_source.setdefault(source if source.startswith("/dev/") else point, point)
        return list(by_source.values())[: self._config.max_mounts]

    def _is_wanted(self, point: str, kind: str) -> bool:
        """The root is always shown: in a container it is an overlay, and may fill up like any other."""
        config = self._config
        if any(point == skip or point.startswith(skip + "/") for skip in config.skip_mounts):
            return False
        return point == "/" or kind in config.include_types or kind not in PSEUDO.union(config.skip_types)


def mounts(text: bytes) -> Iterator[tuple[str, str, str]]:
    """(source, mount point, type) of each line of /proc/self/mounts, with its octal escapes resolved."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3:
            source, point, kind = (os.fsdecode(_unescaped(word)) for word in words[:3])
            yield source, point, kind


def _unescaped(word: bytes) -> bytes:
    r"""The kernel writes space, tab, newline and backslash as \040, \011, \012 and \134."""
    for escape, char in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        word = word.replace(escape, char)
    return word
