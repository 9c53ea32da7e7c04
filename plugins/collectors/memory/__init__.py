"""Collector `memory`: how memory is used, and how hard the kernel works to find some."""

from __future__ import annotations

import msgspec

from agent.api import (
    LONG_BITS,
    CollectError,
    CollectorContext,
    Kind,
    ProcFile,
    Recorder,
    Register,
    hookimpl,
    key_values,
    picked,
)

__all__ = ["Config", "Memory"]

LEVELS = {
    b"MemTotal": "memory_total_bytes",
    b"MemFree": "memory_free_bytes",
    b"MemAvailable": "memory_available_bytes",
    b"Buffers": "memory_buffers_bytes",
    b"Cached": "memory_cached_bytes",
    b"Active": "memory_active_bytes",
    b"Inactive": "memory_inactive_bytes",
    b"AnonPages": "memory_anonymous_bytes",
    b"AnonHugePages": "memory_anonymous_huge_bytes",
    b"Mapped": "memory_mapped_bytes",
    b"Shmem": "memory_shared_bytes",
    b"Slab": "memory_slab_bytes",
    b"SReclaimable": "memory_slab_reclaimable_bytes",
    b"SUnreclaim": "memory_slab_unreclaimable_bytes",
    b"KernelStack": "memory_kernel_stack_bytes",
    b"PageTables": "memory_page_tables_bytes",
    b"VmallocUsed": "memory_vmalloc_used_bytes",
    b"Percpu": "memory_per_core_bytes",
    b"Dirty": "memory_dirty_bytes",
    b"Writeback": "memory_writeback_bytes",
    b"Mlocked": "memory_locked_bytes",
    b"Unevictable": "memory_unevictable_bytes",
    b"Committed_AS": "memory_committed_bytes",
    b"CommitLimit": "memory_commit_limit_bytes",
    b"HardwareCorrupted": "memory_hardware_corrupted_bytes",
}
"""Line of `meminfo`, in KiB there -> metric."""

RATES = {
    b"pgfault": ("memory_page_faults_per_s", 1, "1/s"),
    b"pgmajfault": ("memory_major_page_faults_per_s", 1, "1/s"),
    b"pgpgin": ("memory_paged_in_bytes_per_s", 1024, "bytes/s"),
    b"pgpgout": ("memory_paged_out_bytes_per_s", 1024, "bytes/s"),
    b"pgscan_kswapd": ("memory_pages_scanned_in_background_per_s", 1, "1/s"),
    b"pgscan_direct": ("memory_pages_scanned_directly_per_s", 1, "1/s"),
    b"pgsteal_kswapd": ("memory_pages_reclaimed_in_background_per_s", 1, "1/s"),
    b"pgsteal_direct": ("memory_pages_reclaimed_directly_per_s", 1, "1/s"),
    b"oom_kill": ("memory_oom_kills_per_s", 1, "1/s"),
}
"""Line of `vmstat` -> metric, factor and unit."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.memory]`"""

    proc_dir: str = "/proc"


class Memory:
    """Reads `/proc/meminfo` and `/proc/vmstat`."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._meminfo = ProcFile(f"{config.proc_dir}/meminfo")
        self._vmstat = ProcFile(f"{config.proc_dir}/vmstat")
        self._levels = [(key, context.series(name, unit="bytes")) for key, name in LEVELS.items()]
        self._used = context.series("memory_used_bytes", unit="bytes")
        self._used_ratio = context.series("memory_used_ratio", unit="ratio")
        self._rates = [
            (
                key,
                factor,
                context.series(name, unit=unit, kind=Kind.RATE, wrap_bits=LONG_BITS + factor.bit_length() - 1),
            )
            for key, (name, factor, unit) in RATES.items()
        ]

    def collect(self, out: Recorder, /) -> None:
        """Record the levels, and the totals of what this kernel counts."""
        levels = key_values(self._meminfo.read())
        for key, series in self._levels:
            if key in levels:
                out.add(series, int(levels[key]) << 10)
        self._record_used(out, levels)
        totals = picked(self._vmstat.read_if_there(), RATES)
        for key, factor, series in self._rates:
            if key in totals:
                out.add(series, int(totals[key]) * factor)

    def _record_used(self, out: Recorder, levels: dict[bytes, bytes]) -> None:
        if b"MemTotal" not in levels:
            raise CollectError(f"{self._meminfo.path} does not say MemTotal")
        total = int(levels[b"MemTotal"])
        used = total - _available(levels)
        out.add(self._used, used << 10)
        out.add(self._used_ratio, used / total)

    def close(self) -> None:
        """Let go of the files."""
        self._meminfo.close()
        self._vmstat.close()


def _available(levels: dict[bytes, bytes]) -> int:
    """KiB that programs could still get; kernels before 3.14 do not say it."""
    if b"MemAvailable" in levels:
        return min(int(levels[b"MemAvailable"]), int(levels[b"MemTotal"]))
    return sum(int(levels.get(key, 0)) for key in (b"MemFree", b"Buffers", b"Cached"))


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("memory", Memory, config=Config)
