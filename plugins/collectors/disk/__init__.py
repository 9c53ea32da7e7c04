"""Collector `disk`: what each block device reads and writes, and how busy it is."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from agent.api import CollectorContext, Kind, Recorder, Register, hookimpl

__all__ = ["Config", "Disk", "is_partition"]

MILLISECONDS_PER_S = 1000.0
PER_DEVICE = {
    "read_bytes": ("disk_read_bytes_per_s", "bytes/s", 1.0),
    "write_bytes": ("disk_written_bytes_per_s", "bytes/s", 1.0),
    "read_count": ("disk_reads_per_s", "1/s", 1.0),
    "write_count": ("disk_writes_per_s", "1/s", 1.0),
    "read_merged_count": ("disk_merged_reads_per_s", "1/s", 1.0),
    "write_merged_count": ("disk_merged_writes_per_s", "1/s", 1.0),
    "read_time": ("disk_read_wait_ratio", "ratio", MILLISECONDS_PER_S),
    "write_time": ("disk_write_wait_ratio", "ratio", MILLISECONDS_PER_S),
    "busy_time": ("disk_busy_ratio", "ratio", MILLISECONDS_PER_S),
}
"""psutil's field -> name, unit, and by what the running total is divided; a ratio is seconds of it a second."""

_PARTITION = re.compile(r"(?:[hsv]d[a-z]+|xvd[a-z]+)\d+|(?:nvme\d+n\d+|mmcblk\d+)p\d+")


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.disk]`"""

    partitions: bool = False
    skip: tuple[str, ...] = ("loop", "ram", "zram", "fd", "sr")


class Disk:
    """Running totals of each device, from psutil."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        import psutil

        self._psutil: Any = psutil
        self._config = config
        self._families = {
            field: (context.family(name, label="device", unit=unit, kind=Kind.RATE), divisor)
            for field, (name, unit, divisor) in PER_DEVICE.items()
        }

    def collect(self, out: Recorder) -> None:
        for device, counters in (self._psutil.disk_io_counters(perdisk=True, nowrap=False) or {}).items():
            if self._is_wanted(device):
                for field, (family, divisor) in self._families.items():
                    total = getattr(counters, field)
                    out.add(family[device], total if divisor == 1.0 else total / divisor)

    def _is_wanted(self, device: str) -> bool:
        return not device.startswith(self._config.skip) and (self._config.partitions or not is_partition(device))


def is_partition(device: str) -> bool:
    """True for sda1, nvme0n1p2, mmcblk0p1; False for whole devices, device mapper and RAID."""
    return _PARTITION.fullmatch(device) is not None


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("disk", Disk, config=Config)
