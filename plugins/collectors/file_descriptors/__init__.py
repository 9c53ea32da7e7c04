"""Collector `file_descriptors`: how many files, inodes and process ids the kernel has given out, and how many it may."""

from __future__ import annotations

import msgspec

from agent.api import CollectError, CollectorContext, ProcFile, Recorder, Register, hookimpl

__all__ = ["Config", "FileDescriptors"]

UNLIMITED = 2**62
"""Kernels write a number beyond this for "as many as you like"; a ratio to it means nothing."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.file_descriptors]`"""

    proc_dir: str = "/proc"


class FileDescriptors:
    """Reads /proc/sys/fs/file-nr, inode-nr and /proc/sys/kernel/pid_max."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._files = ProcFile(f"{config.proc_dir}/sys/fs/file-nr")
        self._inodes = ProcFile(f"{config.proc_dir}/sys/fs/inode-nr")
        self._pid_max = ProcFile(f"{config.proc_dir}/sys/kernel/pid_max")
        self._used = context.series("file_descriptors_used_count")
        self._max = context.series("file_descriptors_max_count")
        self._used_ratio = context.series("file_descriptors_used_ratio", unit="ratio")
        self._inodes_used = context.series("file_inodes_count")
        self._inodes_free = context.series("file_inodes_free_count")
        self._pids_max = context.series("process_ids_max_count")

    def collect(self, out: Recorder, /) -> None:
        """Record the files, and of inodes and process ids what this kernel tells."""
        allocated, free, most = _numbers(self._files.path, self._files.read(), 3)
        out.add(self._used, allocated - free)
        if most < UNLIMITED:
            out.add(self._max, most)
            out.add(self._used_ratio, (allocated - free) / most)
        if text := self._inodes.read_if_there():
            inodes, free_inodes = _numbers(self._inodes.path, text, 2)
            out.add(self._inodes_used, inodes)
            out.add(self._inodes_free, free_inodes)
        if text := self._pid_max.read_if_there():
            out.add(self._pids_max, _numbers(self._pid_max.path, text, 1)[0])

    def close(self) -> None:
        """Let go of the files."""
        for file in (self._files, self._inodes, self._pid_max):
            file.close()


def _numbers(path: str, text: bytes, count: int) -> list[int]:
    words = text.split()
    if len(words) < count or not all(word.isdigit() for word in words[:count]):
        raise CollectError(f"{path} must hold {count} numbers (got {words!r:.80})")
    return [int(word) for word in words[:count]]


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("file_descriptors", FileDescriptors, config=Config)
