"""Reads /proc/<pid>/stat of every process, one read each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from agent.api import CollectError, CollectorContext, Recorder
from plugins.collectors.processes.stat_files import StatFiles, open_count_allowed

if TYPE_CHECKING:
    from plugins.collectors.processes import Config

__all__ = ["ProcessStat", "Processes", "parsed"]

STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting_for_disk",
    "Z": "zombie",
    "T": "stopped",
    "t": "traced",
    "I": "idle",
}
KERNEL_THREAD = 0x0020_0000
"""Bit of the flags of a thread that belongs to the kernel."""


class ProcessStat(NamedTuple):
    """One process at one moment: name, state letter, processor ticks since its start, start tick, resident pages."""

    name: str
    state: str
    ticks: int
    start_ticks: int
    resident_pages: int


@dataclass(slots=True)
class Usage:
    """What all processes of one name use."""

    count: int = 0
    cpu_s: float = 0.0
    resident_bytes: int = 0


class Processes:
    """Counts by state, and the top names by processor and by memory.

    Processes of one name are added up, so that a pool of workers is one series and the number of series stays small.
    """

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._config = config
        self._clock = context.clock
        self._tick_s = 1.0 / os.sysconf("SC_CLK_TCK")
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._states = context.family("processes_count", label="state")
        self._total = context.series("processes_all_count")
        self._cpu = context.family("process_cpu_cores", label="process", unit="cores")
        self._memory = context.family("process_resident_bytes", label="process", unit="bytes")
        self._count = context.family("process_instances_count", label="process")
        self._files = StatFiles(config.proc_dir, open_count_allowed())
        self._before: dict[tuple[int, int], int] = {}
        self._before_s: float | None = None

    def collect(self, out: Recorder, /) -> None:
        """Record the counts, and from the second collect on who uses the processor."""
        now_s = self._clock.monotonic_s()
        counts = dict.fromkeys(STATES.values(), 0)
        usage: dict[str, Usage] = {}
        seen: dict[tuple[int, int], int] = {}
        for pid, stat in self._stats():
            counts[STATES.get(stat.state, "idle")] += 1
            seen[pid, stat.start_ticks] = stat.ticks
            self._add(usage.setdefault(stat.name, Usage()), pid, stat)
        if not seen:
            raise CollectError(f"{self._config.proc_dir} shows no process")
        for state, count in counts.items():
            out.add(self._states[state], count)
        out.add(self._total, len(seen))
        self._record_top(out, usage, now_s)
        self._before, self._before_s = seen, now_s

    def close(self) -> None:
        """Let go of the open files."""
        self._files.close()

    def _add(self, usage: Usage, pid: int, stat: ProcessStat) -> None:
        """A process that was not there before is new since: all its ticks are of this interval."""
        usage.count += 1
        usage.resident_bytes += stat.resident_pages * self._page_bytes
        usage.cpu_s += max(0, stat.ticks - self._before.get((pid, stat.start_ticks), 0)) * self._tick_s

    def _record_top(self, out: Recorder, usage: dict[str, Usage], now_s: float) -> None:
        top = self._config.top
        users = [name for name, used in usage.items() if used.resident_bytes]
        shown = dict.fromkeys(sorted(users, key=lambda name: usage[name].resident_bytes, reverse=True)[:top])
        if self._before_s is not None and now_s > self._before_s:
            busy = [name for name, used in usage.items() if used.cpu_s]
            shown.update(dict.fromkeys(sorted(busy, key=lambda name: usage[name].cpu_s, reverse=True)[:top]))
            for name in shown:
                out.add(self._cpu[name], usage[name].cpu_s / (now_s - self._before_s))
        for name in shown:
            out.add(self._memory[name], usage[name].resident_bytes)
            out.add(self._count[name], usage[name].count)

    def _stats(self) -> Iterator[tuple[int, ProcessStat]]:
        entries = [entry for entry in os.listdir(self._config.proc_dir) if entry.isdigit()]  # noqa: PTH208 - one call, no Path each
        self._files.keep_only(entries)
        for entry in entries:
            text = self._files.read(entry)
            stat = parsed(text) if text else None
            if stat is not None:
                yield int(entry), stat


def parsed(text: bytes) -> ProcessStat | None:
    """What /proc/<pid>/stat says; None when it is not whole. The name may hold spaces and parentheses."""
    head, closing, tail = text.rpartition(b")")
    fields = tail.split(None, 22)
    if not closing or len(fields) < 22:
        return None
    return ProcessStat(
        name=_name(head.partition(b"(")[2].decode("utf-8", "replace"), int(fields[6])),
        state=fields[0].decode("ascii", "replace"),
        ticks=int(fields[11]) + int(fields[12]),
        start_ticks=int(fields[19]),
        resident_pages=int(fields[21]),
    )


def _name(name: str, flags: int) -> str:
    """Threads of the kernel without what they are at, so that all of `kworker/0:1-events` and its like are one."""
    return name.partition("/")[0] if flags & KERNEL_THREAD else name
