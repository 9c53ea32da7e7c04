"""The files /proc/<pid>/stat. Opening and closing one costs twice as much as reading it, so they stay open."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable

__all__ = ["StatFiles", "open_count_allowed"]

_STAT_BYTES = 1024
_OPEN_COUNT = 256
_SHARE_OF_LIMIT = 4


def open_count_allowed() -> int:
    """How many files may stay open: 256, and no more than a quarter of what this process may open at all."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _OPEN_COUNT if limit == resource.RLIM_INFINITY else min(_OPEN_COUNT, limit // _SHARE_OF_LIMIT)


class StatFiles:
    """The stat files of processes, kept open between reads.

    Args:
        proc_dir: Where the kernel shows its processes.
        max_open_count: Most files kept open, >= 0; those of further processes are opened each time.
    """

    def __init__(self, proc_dir: str, max_open_count: int) -> None:
        self._proc_dir = proc_dir
        self._max_open_count = max_open_count
        self._open: dict[str, int] = {}

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def read(self, pid: str) -> bytes:
        """The file's text; nothing when the process has ended meanwhile or is hidden.

        An open file stays that of the process it was opened for: once that has ended, and another one has its number, it is
        opened anew.
        """
        descriptor = self._open.get(pid)
        if descriptor is not None:
            try:
                return os.pread(descriptor, _STAT_BYTES, 0)
            except OSError:
                self._let_go(pid)
        return self._opened(pid)

    def keep_only(self, pids: Iterable[str]) -> None:
        """Close the files of all other processes."""
        for pid in self._open.keys() - set(pids):
            self._let_go(pid)

    def close(self) -> None:
        """Close all; safe twice."""
        self.keep_only(())

    def __del__(self) -> None:
        self.close()

    def _opened(self, pid: str) -> bytes:
        try:
            descriptor = os.open(f"{self._proc_dir}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        self._open[pid] = descriptor
        try:
            return os.pread(descriptor, _STAT_BYTES, 0)
        except OSError:
            return b""
        finally:
            if len(self._open) > self._max_open_count:
                self._let_go(pid)

    def _let_go(self, pid: str) -> None:
        os.close(self._open.pop(pid))
