"""Finds the agent's own control group, of version 1 or 2, and reads its limits and use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agent.api import CollectorContext, Kind, ProcFile, Recorder, Series, key_values

if TYPE_CHECKING:
    from plugins.collectors.cgroup import Config

__all__ = ["Cgroup", "group_folders"]

UNLIMITED = 2**60
"""Version 1 writes a number of this size for "no limit"."""

MICROSECONDS_PER_S = 1e6
NANOSECONDS_PER_S = 1e9


class Cgroup:
    """Memory, processes and processor time; what has no limit has no limit series. Outside any group it gives nothing."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        folders = group_folders(Path(config.proc_dir, "self", "cgroup"), Path(config.cgroup_dir))
        self._files = {name: _found(folders, places) for name, places in _PLACES.items()}
        self._limits = {name: context.series(f"cgroup_{name}", unit=_UNITS.get(name, "")) for name in _LIMITS}
        self._memory_ratio = context.series("cgroup_memory_used_ratio", unit="ratio")
        self._cpu_used = context.series("cgroup_cpu_used_cores", unit="cores", kind=Kind.RATE)
        self._throttled = context.series("cgroup_cpu_throttled_ratio", unit="ratio", kind=Kind.RATE)
        self._cpu_limit = context.series("cgroup_cpu_limit_cores", unit="cores")

    def collect(self, out: Recorder) -> None:
        values = {name: _limit(self._text(name)) for name in _LIMITS}
        for name, value in values.items():
            if value is not None:
                out.add(self._limits[name], value)
        used, limit = values["memory_used_bytes"], values["memory_limit_bytes"]
        if used is not None and limit:
            out.add(self._memory_ratio, used / limit)
        self._collect_cpu(out)

    def close(self) -> None:
        for file in self._files.values():
            if file is not None:
                file.close()

    def _collect_cpu(self, out: Recorder) -> None:
        stat = key_values(self._text("cpu_stat"))
        _add_total(out, self._cpu_used, stat.get(b"usage_usec"), MICROSECONDS_PER_S)
        _add_total(out, self._cpu_used, _limit(self._text("cpu_used_ns")), NANOSECONDS_PER_S)
        _add_total(out, self._throttled, stat.get(b"throttled_usec"), MICROSECONDS_PER_S)
        _add_total(out, self._throttled, stat.get(b"throttled_time"), NANOSECONDS_PER_S)
        quota, period = self._quota()
        if quota is not None and period:
            out.add(self._cpu_limit, quota / period)

    def _quota(self) -> tuple[int | None, int | None]:
        words = self._text("cpu_max").split()
        if len(words) == 2:
            return _limit(words[0]), _limit(words[1])
        return _limit(self._text("cpu_quota_us")), _limit(self._text("cpu_period_us"))

    def _text(self, name: str) -> bytes:
        file = self._files[name]
        return b"" if file is None else file.read_if_there()


_PLACES = {
    "memory_used_bytes": (("", "memory.current"), ("memory", "memory.usage_in_bytes")),
    "memory_limit_bytes": (("", "memory.max"), ("memory", "memory.limit_in_bytes")),
    "processes": (("", "pids.current"), ("pids", "pids.current")),
    "processes_limit": (("", "pids.max"), ("pids", "pids.max")),
    "cpu_stat": (("", "cpu.stat"), ("cpu", "cpu.stat")),
    "cpu_used_ns": (("cpuacct", "cpuacct.usage"),),
    "cpu_max": (("", "cpu.max"),),
    "cpu_quota_us": (("cpu", "cpu.cfs_quota_us"),),
    "cpu_period_us": (("cpu", "cpu.cfs_period_us"),),
}
"""What -> (controller, file) to look at, version 2 (no controller) first."""

_LIMITS = ("memory_used_bytes", "memory_limit_bytes", "processes", "processes_limit")
_UNITS = {"memory_used_bytes": "bytes", "memory_limit_bytes": "bytes"}


def group_folders(membership: Path, root: Path) -> dict[str, Path]:
    """Controller -> folder of the group that this process is in; "" is the unified hierarchy of version 2.

    Groups that are the root of their hierarchy are left out: they hold the whole host. Inside a container the group's own folder
    is mounted at the root, so a path that is not there is looked for at the root instead.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return {}
    return {controller: folder for line in lines for controller, folder in _folders_of(line, root)}


def _folders_of(line: str, root: Path) -> Iterator[tuple[str, Path]]:
    _, controllers, path = [*line.split(":", 2), "", ""][:3]
    for controller in controllers.split(",") if controllers else [""]:
        mounts = [root / controller] if controller else [root / "unified", root]
        for mount in mounts:
            folder = mount / path.lstrip("/")
            if path != "/" and mount.is_dir():
                yield controller, folder if folder.is_dir() else mount
                break


def _found(folders: dict[str, Path], places: tuple[tuple[str, str], ...]) -> ProcFile | None:
    for controller, name in places:
        folder = folders.get(controller)
        if folder is not None and (folder / name).is_file():
            return ProcFile(str(folder / name))
    return None


def _limit(text: bytes) -> int | None:
    """The number; None for "max", -1, an absurdly large one, or none at all."""
    word = text.strip()
    if not word.isdigit() or int(word) >= UNLIMITED:
        return None
    return int(word)


def _add_total(out: Recorder, series: Series, total: bytes | int | None, per_s: float) -> None:
    if total is not None:
        out.add(series, int(total) / per_s)
