"""Pressure readers of this host: the agent's own CPU and memory, the cgroup's limit, stalls. A few short reads each."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from agent.clock import Clock

__all__ = ["OwnCpu", "own_memory_ratio", "stall_ratio"]

CGROUP = Path("/sys/fs/cgroup")
PRESSURE = Path("/proc/pressure")
STATM = Path("/proc/self/statm")
NO_LIMIT = "max"


class OwnCpu:
    """CPU time of this process since the last call, over what it may use.

    Args:
        clock: Measures the wall time.
        max_ratio: Share of one processor that counts as the limit, > 0.
    """

    def __init__(self, clock: Clock, max_ratio: float = 0.5) -> None:
        self._clock = clock
        self._max_ratio = max_ratio
        self._seen_s = clock.monotonic_s()
        self._used_s = _used_s()

    def __call__(self) -> float:
        """The ratio; NaN when no time has passed."""
        now_s, used_s = self._clock.monotonic_s(), _used_s()
        elapsed_s, self._seen_s = now_s - self._seen_s, now_s
        spent_s, self._used_s = used_s - self._used_s, used_s
        return spent_s / elapsed_s / self._max_ratio if elapsed_s > 0 else float("nan")


def _used_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def own_memory_ratio(max_bytes: int, cgroup: Path = CGROUP, statm: Path = STATM) -> float:
    """Memory in use over the limit: the cgroup's own where it has one, else this process's over `max_bytes`.

    Raises:
        OSError: Neither can be read.
    """
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        if limit != NO_LIMIT:
            return int((cgroup / "memory.current").read_text()) / int(limit)
    except (OSError, ValueError):
        pass
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / max_bytes


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
