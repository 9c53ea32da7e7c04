"""Every process as it was last read, and what those of one name use together."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from agent.api import ProcFile
from plugins.collectors.processes.stat_files import StatFiles, open_count_allowed

__all__ = ["ProcessStat", "ProcessTable", "Usage", "parsed"]

KERNEL_THREAD = 0x0020_0000
"""Bit of the flags of a thread that belongs to the kernel."""
QUIET_STATES = "SI"
REST_AFTER_COUNT = 5
"""A process that said the same so many times in a row rests."""


class ProcessStat(NamedTuple):
    """One process at one moment: name, state letter, processor ticks since its start, start tick, resident pages."""

    name: str
    state: str
    ticks: int
    start_ticks: int
    resident_pages: int


@dataclass(slots=True)
class Usage:
    """What all processes of one name are."""

    count: int = 0
    resident_pages: int = 0


@dataclass(slots=True)
class _Process:
    """One process: in which looks it is read while it rests, what its file said, when (monotonic seconds), how often in a row."""

    turn: int
    text: bytes
    stat: ProcessStat
    read_s: float
    same_count: int = 0


class ForkMark:
    """Tells without listing them whether there may be other processes than before.

    The last words of `/proc/loadavg` are how many threads there are and the number given last: while neither moves, nobody
    came, and so nobody went. (In a container the count is the host's: a process that ended may go unnoticed until it is read.)
    """

    def __init__(self, proc_dir: str) -> None:
        self._file = ProcFile(f"{proc_dir}/loadavg")
        self._words: list[bytes] = []

    def has_moved(self) -> bool:
        """False when there are the same processes as at the last call; True when that cannot be told."""
        words = self._file.read_if_there().replace(b"/", b" ").split()[-2:]
        has_moved = not words or words != self._words
        self._words = words
        return has_moved

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class ProcessTable:
    """Looks at all processes again and again, and reads those of which there may be something new.

    A process that sleeps and says the same again and again rests: it is then read in one look of `rest_looks`, each at a turn of
    its own, until something changed. The kernel needs longer to write a stat file than we to compare it, and most
    processes of most hosts sleep all the time.

    Args:
        proc_dir: Where the kernel shows its processes.
        rest_looks: A resting process is read in one look of so many, >= 1; 1 = none ever rests.

    Attributes:
        states: Processes by state letter.
        usage: What the processes of one name are, by name.
        ticks_per_s: Processor ticks per second since they were last read, by name, of those that used any.
    """

    def __init__(self, proc_dir: str, rest_looks: int) -> None:
        self.states: Counter[str] = Counter()
        self.usage: dict[str, Usage] = {}
        self.ticks_per_s: dict[str, float] = {}
        self._proc_dir = proc_dir
        self._rest_looks = rest_looks
        self._files = StatFiles(proc_dir, open_count_allowed())
        self._forks = ForkMark(proc_dir)
        self._entries: list[str] = []
        self._known: dict[str, _Process] = {}
        self._looks = 0
        self._last_s: float | None = None

    def __len__(self) -> int:
        return len(self._known)

    def look(self, now_s: float) -> None:
        """Take in who came, who went, and what those did that are read this time."""
        self._looks += 1
        if self._forks.has_moved() or self._looks % self._rest_looks == 0:
            self._list()
        self.ticks_per_s = {}
        turn, known = self._looks % self._rest_looks, self._known
        for entry in self._entries:
            process = known.get(entry)
            if process is None or process.same_count < REST_AFTER_COUNT or process.turn == turn:
                self._read(entry, process, now_s)
        self._last_s = now_s

    def close(self) -> None:
        """Let go of the open files."""
        self._files.close()
        self._forks.close()

    def _list(self) -> None:
        self._entries = [entry for entry in os.listdir(self._proc_dir) if entry.isdigit()]  # noqa: PTH208 - one call
        gone = self._known.keys() - set(self._entries)
        if gone:
            self._files.keep_only(self._entries)
        for entry in gone:
            self._forget(entry)

    def _read(self, entry: str, process: _Process | None, now_s: float) -> None:
        text = self._files.read(entry)
        if process is not None and process.text == text:
            process.read_s = now_s
            process.same_count += process.stat.state in QUIET_STATES
            return
        stat = parsed(text) if text else None
        if process is not None:
            self._forget(entry)
        if stat is not None:
            self._add_work(stat, process, now_s)
            self._keep(entry, _Process(int(entry) % self._rest_looks, text, stat, now_s))

    def _add_work(self, stat: ProcessStat, process: _Process | None, now_s: float) -> None:
        """A process that was not there before is new since the last look: all its ticks were used since then."""
        if process is not None and process.stat.start_ticks == stat.start_ticks:
            since_s, ticks = process.read_s, stat.ticks - process.stat.ticks
        elif self._last_s is not None:
            since_s, ticks = self._last_s, stat.ticks
        else:
            return
        if ticks > 0 and now_s > since_s:
            self.ticks_per_s[stat.name] = self.ticks_per_s.get(stat.name, 0.0) + ticks / (now_s - since_s)

    def _keep(self, entry: str, process: _Process) -> None:
        self._known[entry] = process
        self.states[process.stat.state] += 1
        usage = self.usage.setdefault(process.stat.name, Usage())
        usage.count += 1
        usage.resident_pages += process.stat.resident_pages

    def _forget(self, entry: str) -> None:
        stat = self._known.pop(entry).stat
        self.states[stat.state] -= 1
        usage = self.usage[stat.name]
        usage.count -= 1
        usage.resident_pages -= stat.resident_pages
        if not usage.count:
            del self.usage[stat.name]


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
