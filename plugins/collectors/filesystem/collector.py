"""Asks each mount on a thread of its own, so that a dead one holds up nothing."""

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


class Filesystems:
    """One `statvfs` per mount, each on a worker thread and with its own deadline.

    A mount that does not answer is shown as `filesystem_responding` 0 and is not asked again until the call in hand returns.
    """

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._config = config
        self._context = context
        self._mounts = ProcFile(f"{config.proc_dir}/self/mounts")
        self._asking: dict[str, asyncio.Task[os.statvfs_result]] = {}
        self._responding = context.family("filesystem_responding", label="mount")
        sizes = ("total", "used", "free", "available")
        self._bytes = {what: context.family(f"filesystem_{what}_bytes", label="mount", unit="bytes") for what in sizes}
        self._used_ratio = context.family("filesystem_used_ratio", label="mount", unit="ratio")
        self._inodes = context.family("filesystem_inodes", label="mount")
        self._inodes_used = context.family("filesystem_inodes_used", label="mount")
        self._inodes_used_ratio = context.family("filesystem_inodes_used_ratio", label="mount", unit="ratio")

    async def collect(self, out: Recorder) -> None:
        wanted = self._wanted()
        for mount in wanted:
            if mount not in self._asking:
                asking = self._context.run_blocking(os.statvfs, mount)
                self._asking[mount] = asyncio.create_task(asking, name=f"statvfs:{mount}")
        if self._asking:
            await asyncio.wait(self._asking.values(), timeout=self._config.mount_deadline_s)
        for mount in wanted:
            self._record(out, mount)

    async def close(self) -> None:
        for task in self._asking.values():
            task.cancel()
        if self._asking:
            await asyncio.wait(self._asking.values())
        self._asking.clear()
        self._mounts.close()

    def _wanted(self) -> list[str]:
        config = self._config
        found: dict[str, str] = {}
        for source, mount, kind in mounts(self._mounts.read()):
            is_real = kind in config.include_types or not (kind in PSEUDO or kind in config.skip_types)
            is_skipped = any(mount == skip or mount.startswith(skip + "/") for skip in config.skip_mounts)
            if is_real and not is_skipped:
                found.setdefault(source if source.startswith("/dev/") else mount, mount)
        return list(found.values())[: config.max_mounts]

    def _record(self, out: Recorder, mount: str) -> None:
        task = self._asking[mount]
        out.add(self._responding[mount], task.done() and not task.cancelled() and task.exception() is None)
        if not task.done():
            return
        del self._asking[mount]
        if not task.cancelled() and task.exception() is None:
            self._record_sizes(out, mount, task.result())

    def _record_sizes(self, out: Recorder, mount: str, stat: os.statvfs_result) -> None:
        unit_bytes, used = stat.f_frsize, stat.f_blocks - stat.f_bfree
        blocks = {"total": stat.f_blocks, "used": used, "free": stat.f_bfree, "available": stat.f_bavail}
        for what, count in blocks.items():
            out.add(self._bytes[what][mount], count * unit_bytes)
        if used + stat.f_bavail > 0:
            out.add(self._used_ratio[mount], used / (used + stat.f_bavail))
        if stat.f_files:
            out.add(self._inodes[mount], stat.f_files)
            out.add(self._inodes_used[mount], stat.f_files - stat.f_ffree)
            out.add(self._inodes_used_ratio[mount], (stat.f_files - stat.f_ffree) / stat.f_files)


def mounts(text: bytes) -> Iterator[tuple[str, str, str]]:
    """(source, mount point, type) of each line of /proc/self/mounts, with its octal escapes resolved."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3:
            source, mount, kind = (os.fsdecode(_unescaped(word)) for word in words[:3])
            yield source, mount, kind


def _unescaped(word: bytes) -> bytes:
    r"""The kernel writes space, tab, newline and backslash as \040, \011, \012 and \134."""
    if b"\\" not in word:
        return word
    for escape, char in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        word = word.replace(escape, char)
    return word
