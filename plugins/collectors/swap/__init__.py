"""Collector `swap`: how much of the swap space is used, and how much moves in and out."""

from __future__ import annotations

import os

import msgspec

from agent.api import CollectorContext, Kind, ProcFile, Recorder, Register, hookimpl, picked

__all__ = ["Config", "Swap"]

KIB = 1024
MEMINFO_KEYS = (b"SwapTotal", b"SwapFree", b"SwapCached")


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.swap]`"""

    proc_dir: str = "/proc"


class Swap:
    """Reads /proc/meminfo and /proc/vmstat. A host without swap has 0 bytes of it and no ratio."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._meminfo = ProcFile(f"{config.proc_dir}/meminfo")
        self._vmstat = ProcFile(f"{config.proc_dir}/vmstat")
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._total = context.series("swap_total_bytes", unit="bytes")
        self._used = context.series("swap_used_bytes", unit="bytes")
        self._cached = context.series("swap_cached_bytes", unit="bytes")
        self._used_ratio = context.series("swap_used_ratio", unit="ratio")
        self._moved = {
            b"pswpin": context.series("swap_in_bytes_per_s", unit="bytes/s", kind=Kind.RATE),
            b"pswpout": context.series("swap_out_bytes_per_s", unit="bytes/s", kind=Kind.RATE),
        }

    def collect(self, out: Recorder, /) -> None:
        """Record what there is, what is used, and the totals of what moved."""
        found = picked(self._meminfo.read(), MEMINFO_KEYS)
        total, free = int(found.get(b"SwapTotal", 0)), int(found.get(b"SwapFree", 0))
        out.add(self._total, total * KIB)
        out.add(self._used, (total - free) * KIB)
        out.add(self._cached, int(found.get(b"SwapCached", 0)) * KIB)
        if total:
            out.add(self._used_ratio, (total - free) / total)
        self._collect_moved(out)

    def close(self) -> None:
        """Let go of the files."""
        self._meminfo.close()
        self._vmstat.close()

    def _collect_moved(self, out: Recorder) -> None:
        found = picked(self._vmstat.read_if_there(), self._moved)
        for key, series in self._moved.items():
            if key in found:
                out.add(series, int(found[key]) * self._page_bytes)


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("swap", Swap, config=Config)
