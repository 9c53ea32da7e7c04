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
        self._used = context.series("file_descriptors_used")
        self._max = context.series("file_descriptors_max")
        self._used_ratio = context.series("file_descriptors_used_ratio", unit="ratio")
        self._inodes_used = context.series("kernel_inodes")
        self._inodes_free = context.series("kernel_inodes_free")
        self._pids_max = context.series("process_ids_max")

    def collect(self, out: Recorder) -> None:
        allocated, free, most = _numbers(self._files, 3)
        out.add(self._used, allocated - free)
        if most < UNLIMITED:
            out.add(self._max, most)
            out.add(self._used_ratio, (allocated - free) / most)
        inodes, free_inodes = _numbers(self._inodes, 2)
        out.add(self._inodes_used, inodes)
        out.add(self._inodes_free, free_inodes)
        out.add(self._pids_max, _numbers(self._pid_max, 1)[0])

    def close(self) -> None:
        for file in (self._files, self._inodes, self._pid_max):
            file.close()


def _numbers(file: ProcFile, count: int) -> list[int]:
    words = file.read().split()
    if len(words) < count or not all(word.isdigit() for word in words[:count]):
        raise CollectError(f"{file.path} must hold {count} numbers (got {words!r:.80})")
    return [int(word) for word in words[:count]]


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("file_descriptors", FileDescriptors, config=Config)
