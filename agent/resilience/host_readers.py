"""Pressure readers of this host: the agent's own CPU and memory, the cgroup's limit, stalls. A few short reads each."""

from __future__ import annotations

import os
import resource
from collections import deque
from collections.abc import Callable
from pathlib import Path

from agent.clock import Clock

__all__ = ["OwnCpu", "own_memory_ratio", "stall_ratio"]

CGROUP = Path("/sys/fs/cgroup")
PRESSURE = Path("/proc/pressure")
STATM = Path("/proc/self/statm")
NO_LIMIT = "max"


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


def own_memory_ratio(max_bytes: int, cgroup: Path = CGROUP, statm: Path = STATM) -> float:
    """Memory in use over the limit: the cgroup's own where it has one, else this process's over `max_bytes`.

    Raises:
        OSError: Neither can be read.
    """
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        if limit != NO_LIMIT:
            return _working_set_bytes(cgroup) / int(limit)
    except (OSError, ValueError):
        pass
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / max_bytes


def _working_set_bytes(cgroup: Path) -> int:
    """What the group uses, less the file cache that the kernel would give back at once."""
    stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    return max(0, int((cgroup / "memory.current").read_text()) - int(stat.get("inactive_file", 0)))


def stall_ratio(kind: str, folder: Path = PRESSURE) -> float:
    """Share of the last ten seconds in which something waited for a resource.

    Args:
        kind: "cpu", "memory" or "io".
        folder: Where the kernel tells it.

    Raises:
        OSError: The kernel does not tell it.
    """
    first = (folder / kind).read_text().splitlines()[0]
    fields = dict(part.split("=") for part in first.split()[1:])
    return float(fields["avg10"]) / 100
