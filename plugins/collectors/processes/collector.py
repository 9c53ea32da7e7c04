"""How many processes there are in which state, and the names that use most."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from agent.api import CollectError, CollectorContext, Recorder
from plugins.collectors.processes.table import ProcessTable

if TYPE_CHECKING:
    from plugins.collectors.processes import Config

__all__ = ["Processes"]

STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting_for_disk",
    "Z": "zombie",
    "T": "stopped",
    "t": "traced",
    "I": "idle",
}
REST_S = 5.0
"""How long a process that does nothing goes unread at most."""


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
        self._table = ProcessTable(config.proc_dir, max(1, int(REST_S / context.interval_s)))
        self._looked_s: float | None = None

    def collect(self, out: Recorder, /) -> None:
        """Record the counts, and from the second collect on who uses the processor."""
        now_s = self._clock.monotonic_s()
        table = self._table
        table.look(now_s)
        if not table:
            raise CollectError(f"{self._config.proc_dir} shows no process")
        counts = dict.fromkeys(STATES.values(), 0)
        for letter, count in table.states.items():
            counts[STATES.get(letter, "idle")] += count
        for state, count in counts.items():
            out.add(self._states[state], count)
        out.add(self._total, len(table))
        has_passed = self._looked_s is not None and now_s > self._looked_s
        self._looked_s = now_s
        self._record_top(out, has_passed)

    def close(self) -> None:
        """Let go of the open files."""
        self._table.close()

    def _record_top(self, out: Recorder, has_passed: bool) -> None:
        usage, work = self._table.usage, self._table.ticks_per_s
        largest = self._first((name for name, used in usage.items() if used.resident_pages), self._resident_pages)
        busiest = self._first(work, work.__getitem__) if has_passed else []
        for name in dict.fromkeys((*largest, *busiest)):
            if has_passed:
                out.add(self._cpu[name], work.get(name, 0.0) * self._tick_s)
            out.add(self._memory[name], usage[name].resident_pages * self._page_bytes)
            out.add(self._count[name], usage[name].count)

    def _resident_pages(self, name: str) -> int:
        return self._table.usage[name].resident_pages

    def _first(self, names: Iterable[str], use: Callable[[str], float]) -> list[str]:
        return sorted(names, key=use, reverse=True)[: self._config.top]
