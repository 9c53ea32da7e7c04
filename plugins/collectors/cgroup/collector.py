"""Finds the limits that the agent runs under, of control groups version 1 or 2, and reads how much of them is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent.api import CollectorContext, Kind, ProcFile, Recorder, key_values

if TYPE_CHECKING:
    from plugins.collectors.cgroup import Config

__all__ = ["Cgroup", "Group", "groups"]

UNLIMITED = 2**60
"""Version 1 writes a number of this size for "no limit"."""

LOOK_AGAIN_S = 60.0
"""How often a limit is looked for where there was none."""

MICROSECONDS_PER_S = 1e6
NANOSECONDS_PER_S = 1e9


class Group(NamedTuple):
    """A control group: its version, its folder, and the folder of the hierarchy it is in."""

    version: int
    folder: Path
    root: Path


class Cgroup:
    """Memory, processes and processor time of the nearest group that limits them: the agent's own, or the first above it.

    What nobody limits is the host's, and other collectors show it: it gives nothing here.
    """

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._membership = Path(config.proc_dir, "self", "cgroup")
        self._root = Path(config.cgroup_dir)
        self._clock = context.clock
        self._files: dict[Path, ProcFile] = {}
        self._limiting: dict[str, Group] = {}
        self._look_at_s: dict[str, float] = {}
        self._periods: tuple[int, int] | None = None
        self._memory_limit = context.series("cgroup_memory_limit_bytes", unit="bytes")
        self._memory_used = context.series("cgroup_memory_used_bytes", unit="bytes")
        self._working_set = context.series("cgroup_memory_working_set_bytes", unit="bytes")
        self._memory_ratio = context.series("cgroup_memory_used_ratio", unit="ratio")
        self._oom_kills = context.series("cgroup_memory_oom_kills_per_s", unit="1/s", kind=Kind.RATE)
        self._processes_limit = context.series("cgroup_processes_limit_count")
        self._processes = context.series("cgroup_processes_count")
        self._processes_ratio = context.series("cgroup_processes_used_ratio", unit="ratio")
        self._cpu_limit = context.series("cgroup_cpu_limit_cores", unit="cores")
        self._cpu_used = context.series("cgroup_cpu_used_cores", unit="cores", kind=Kind.RATE)
        self._throttled = context.series("cgroup_cpu_throttled_ratio", unit="ratio")

    def collect(self, out: Recorder, /) -> None:
        """Record what is limited, and how much of it is used."""
        self._record_memory(out)
        self._record_processes(out)
        self._record_cpu(out)

    def close(self) -> None:
        """Let go of the files, and look for the groups anew."""
        while self._files:
            self._files.popitem()[1].close()
        self._limiting.clear()
        self._look_at_s.clear()

    def _record_memory(self, out: Recorder) -> None:
        group, limit = self._limited("memory", self._memory_limit_of)
        used = _number(self._text(group, "memory.current", "memory.usage_in_bytes")) if group else None
        if group is None or used is None:
            return
        inactive = key_values(self._text(group, "memory.stat")).get(b"inactive_file", b"0")
        out.add(self._memory_limit, limit)
        out.add(self._memory_used, used)
        out.add(self._working_set, max(0, used - int(inactive)))
        out.add(self._memory_ratio, min(1.0, used / limit))
        kills = key_values(self._text(group, "memory.events", "memory.oom_control")).get(b"oom_kill")
        if kills is not None:
            out.add(self._oom_kills, int(kills))

    def _record_processes(self, out: Recorder) -> None:
        group, limit = self._limited("pids", lambda group: _number(self._text(group, "pids.max")))
        used = _number(self._text(group, "pids.current")) if group else None
        if used is not None:
            out.add(self._processes_limit, limit)
            out.add(self._processes, used)
            out.add(self._processes_ratio, min(1.0, used / limit))

    def _record_cpu(self, out: Recorder) -> None:
        group, limit = self._limited("cpu", self._cores_of)
        if group is None:
            return
        stat = key_values(self._text(group, "cpu.stat"))
        out.add(self._cpu_limit, limit)
        if group.version == 2:
            out.add(self._cpu_used, int(stat.get(b"usage_usec", 0)) / MICROSECONDS_PER_S)
        else:
            account = self._root / "cpuacct" / group.folder.relative_to(group.root) / "cpuacct.usage"
            out.add(self._cpu_used, (_number(self._read(account)) or 0) / NANOSECONDS_PER_S)
        periods = int(stat.get(b"nr_periods", 0)), int(stat.get(b"nr_throttled", 0))
        before, self._periods = self._periods, periods
        if before is not None and periods[0] > before[0]:
            out.add(self._throttled, min(1.0, max(0.0, (periods[1] - before[1]) / (periods[0] - before[0]))))

    def _memory_limit_of(self, group: Group) -> float | None:
        return _number(self._text(group, "memory.max", "memory.limit_in_bytes"))

    def _cores_of(self, group: Group) -> float | None:
        if group.version == 2:
            quota, _, period = self._text(group, "cpu.max").partition(b" ")
        else:
            quota, period = self._text(group, "cpu.cfs_quota_us"), self._text(group, "cpu.cfs_period_us")
        quota_us, period_us = _number(quota), _number(period)
        return quota_us / period_us if quota_us and period_us else None

    def _limited(
        self, controller: str, limit_of: Callable[[Group], float | None]
    ) -> tuple[Group, float] | tuple[None, float]:
        """The nearest group that limits this, and its limit, > 0."""
        group = self._limiting.pop(controller, None)
        limit = limit_of(group) if group else None
        if group is None or not limit:
            group, limit = self._find(controller, limit_of)
        if group is None or not limit:
            return None, 0.0
        self._limiting[controller] = group
        return group, limit

    def _find(
        self, controller: str, limit_of: Callable[[Group], float | None]
    ) -> tuple[Group, float] | tuple[None, float]:
        now_s = self._clock.monotonic_s()
        if now_s >= self._look_at_s.get(controller, now_s):
            self._look_at_s[controller] = now_s + LOOK_AGAIN_S
            for group in groups(self._membership, self._root, controller):
                limit = limit_of(group)
                if limit:
                    return group, limit
        return None, 0.0

    def _text(self, group: Group, name: str, name_in_version_1: str = "") -> bytes:
        return self._read(group.folder / (name_in_version_1 if group.version == 1 and name_in_version_1 else name))

    def _read(self, path: Path) -> bytes:
        if path not in self._files:
            self._files[path] = ProcFile(str(path))
        return self._files[path].read_if_there()


def groups(membership: Path, root: Path, controller: str) -> Iterator[Group]:
    """The group that this process is in and those above it, nearest first, in every hierarchy that may have the controller.

    A container sees its own group at the root of the hierarchy, whatever path it is told.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controller in controllers.split(","):
            yield from _upwards(1, root / controller, path)
        elif not controllers:
            unified = root / "unified"
            yield from _upwards(2, unified if unified.is_dir() else root, path)


def _upwards(version: int, root: Path, path: str) -> Iterator[Group]:
    own = root.joinpath(*(part for part in path.split("/") if part not in {"", ".."}))
    for folder in (own, *own.parents):
        if folder.is_relative_to(root) and folder.is_dir():
            yield Group(version, folder, root)


def _number(text: bytes) -> int | None:
    """The number; None for "max", -1, an absurdly large one, or none at all."""
    word = text.strip()
    if not word.isdigit() or int(word) >= UNLIMITED:
        return None
    return int(word)
