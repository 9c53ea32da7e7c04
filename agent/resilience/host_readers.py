"""Pressure readers of this host: the agent's own CPU and memory, the cgroup's limit, stalls. A few short reads each."""

from __future__ import annotations

import resource
from collections import deque
from collections.abc import Callable
from pathlib import Path

from agent.clock import Clock
from agent.procfs import ProcFile, picked, resident_bytes

__all__ = ["OwnCpu", "OwnMemory", "StallRatio"]

CGROUP = Path("/sys/fs/cgroup")
PRESSURE = Path("/proc/pressure")
STATM = Path("/proc/self/statm")
NO_LIMIT = b"max"
INACTIVE_FILE = b"inactive_file"


def _used_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class OwnCpu:
    """CPU time of this process over a while, over what it may use: a burst, such as its own start, is no pressure.

    Args:
        clock: Measures the wall time.
        max_ratio: Share of one processor that counts as the limit, > 0.
        window_s: How long that while is, seconds, > 0; before so much has passed, the rest counts as idle.
        used_s: Gives the CPU seconds used so far.
    """

    def __init__(
        self,
        clock: Clock,
        max_ratio: float = 0.5,
        window_s: float = 30.0,
        used_s: Callable[[], float] = _used_s,
    ) -> None:
        self._clock = clock
        self._max_ratio = max_ratio
        self._window_s = window_s
        self._used_s = used_s
        self._seen: deque[tuple[float, float]] = deque([(clock.monotonic_s(), used_s())])

    def __call__(self) -> float:
        """The ratio, >= 0; call it about once a second."""
        now_s, used_s = self._clock.monotonic_s(), self._used_s()
        self._seen.append((now_s, used_s))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - self._window_s:
            self._seen.popleft()
        since_s, used_before_s = self._seen[0]
        return (used_s - used_before_s) / max(now_s - since_s, self._window_s) / self._max_ratio


class OwnMemory:
    """Memory in use over the limit: the cgroup's own where it has one, else this process's over `max_bytes`.

    Args:
        max_bytes: The limit where the cgroup has none, > 0.
        cgroup: Folder of the cgroup.
        statm: Where the kernel tells what this process uses, in pages.
    """

    def __init__(self, max_bytes: int, cgroup: Path = CGROUP, statm: Path = STATM) -> None:
        self._max_bytes = max_bytes
        self._limit, self._current, self._stat = (
            ProcFile(str(cgroup / f"memory.{what}")) for what in ("max", "current", "stat")
        )
        self._statm = ProcFile(str(statm))

    def __call__(self) -> float:
        """The ratio, >= 0.

        Raises:
            CollectError: Neither can be read.
        """
        limit = self._limit.read_if_there().strip()
        if limit and limit != NO_LIMIT:
            return self._working_set_bytes() / int(limit)
        return resident_bytes(self._statm) / self._max_bytes

    def _working_set_bytes(self) -> int:
        """What the group uses, less the file cache that the kernel would give back at once."""
        cache = picked(self._stat.read(), [INACTIVE_FILE]).get(INACTIVE_FILE, b"0")
        return max(0, int(self._current.read()) - int(cache))


class StallRatio:
    """Share of the last ten seconds in which something waited for a resource.

    Args:
        kind: "cpu", "memory" or "io".
        folder: Where the kernel tells it.
    """

    def __init__(self, kind: str, folder: Path = PRESSURE) -> None:
        self._file = ProcFile(str(folder / kind))

    def __call__(self) -> float:
        """The ratio, 0 ... 1.

        Raises:
            CollectError: The kernel does not tell it.
        """
        text = self._file.read()
        return float(text[text.index(b"avg10=") + 6 :].split(None, 1)[0]) / 100
