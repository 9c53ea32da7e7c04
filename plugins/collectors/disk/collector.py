"""Reads `/proc/diskstats`: running totals of each device, and from two readings how busy it was in between."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.api import LONG_BITS, CollectorContext, Kind, ProcFile, Recorder, Series

if TYPE_CHECKING:
    from plugins.collectors.disk import Config

__all__ = ["Disk", "is_partition"]

SECTOR_BYTES = 512
"""Of /proc/diskstats, whatever the device's own."""

TOTALS = (
    (0, "disk_reads_per_s", "1/s", 1),
    (1, "disk_merged_reads_per_s", "1/s", 1),
    (2, "disk_read_bytes_per_s", "bytes/s", SECTOR_BYTES),
    (4, "disk_writes_per_s", "1/s", 1),
    (5, "disk_merged_writes_per_s", "1/s", 1),
    (6, "disk_written_bytes_per_s", "bytes/s", SECTOR_BYTES),
    (11, "disk_discards_per_s", "1/s", 1),
    (13, "disk_discarded_bytes_per_s", "bytes/s", SECTOR_BYTES),
    (15, "disk_flushes_per_s", "1/s", 1),
)
"""Column after the device's name -> metric, unit, factor. Discards came with Linux 4.18, flushes with 5.5."""

READS, READ_MS, WRITES, WRITE_MS, IN_FLIGHT, BUSY_MS, WEIGHTED_MS = 0, 3, 4, 7, 8, 9, 10
MILLISECONDS_PER_S = 1000.0
MILLISECONDS_WRAP = 1 << 32
"""The kernel keeps times in 32 bits, on every machine: after 49 days of work they start anew."""

_PARTITION = re.compile(r"(?:[hsv]d[a-z]+|xvd[a-z]+)\d+|(?:nvme\d+n\d+|mmcblk\d+|nbd\d+|md\d+)p\d+")


class Device:
    """The series of one device, and its figures of the reading before."""

    def __init__(self, context: CollectorContext, name: str) -> None:
        labels = {"device": name}
        self._totals = [
            (
                column,
                factor,
                context.series(metric, unit=unit, kind=Kind.RATE, wrap_bits=_wrap_bits(factor), labels=labels),
            )
            for column, metric, unit, factor in TOTALS
        ]
        self._in_flight = context.series("disk_in_flight_count", labels=labels)
        self._queue = context.series("disk_queue_count", labels=labels)
        self._busy = context.series("disk_busy_ratio", unit="ratio", labels=labels)
        self._read_wait = context.series("disk_read_wait_s", unit="s", labels=labels)
        self._write_wait = context.series("disk_write_wait_s", unit="s", labels=labels)
        self._last: tuple[list[int], float] | None = None

    def record(self, out: Recorder, figures: list[int], now_s: float) -> None:
        """Record the totals, and from the second reading on what the time in between was spent on."""
        for column, factor, series in self._totals:
            if column < len(figures):
                out.add(series, figures[column] * factor)
        out.add(self._in_flight, figures[IN_FLIGHT])
        last, self._last = self._last, (figures, now_s)
        if last is not None and now_s > last[1]:
            self._record_times(out, last[0], figures, now_s - last[1])

    def _record_times(self, out: Recorder, before: list[int], now: list[int], elapsed_s: float) -> None:
        out.add(self._busy, min(1.0, _spent_s(before, now, BUSY_MS) / elapsed_s))
        out.add(self._queue, _spent_s(before, now, WEIGHTED_MS) / elapsed_s)
        self._record_wait(out, self._read_wait, _spent_s(before, now, READ_MS), now[READS] - before[READS])
        self._record_wait(out, self._write_wait, _spent_s(before, now, WRITE_MS), now[WRITES] - before[WRITES])

    def _record_wait(self, out: Recorder, series: Series, waited_s: float, operations: int) -> None:
        out.add(series, waited_s / operations if operations > 0 else 0.0)


class Disk:
    """Every device that is wanted, as it comes and goes."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._config = config
        self._context = context
        self._file = ProcFile(f"{config.proc_dir}/diskstats")
        self._devices: dict[bytes, Device | None] = {}

    def collect(self, out: Recorder, /) -> None:
        """Record every device; those that never did anything are left out."""
        now_s = self._context.clock.monotonic_s()
        for line in self._file.read().splitlines():
            words = line.split()
            if len(words) < 14:
                continue
            name = words[2]
            if name not in self._devices:
                self._devices[name] = self._device(name.decode("utf-8", "replace"))
            device = self._devices[name]
            if device is not None and (words[3] != b"0" or words[7] != b"0"):
                device.record(out, [int(word) for word in words[3:]], now_s)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _device(self, name: str) -> Device | None:
        is_skipped = name.startswith(self._config.skip) or (is_partition(name) and not self._config.partitions)
        return None if is_skipped else Device(self._context, name)


def is_partition(device: str) -> bool:
    """True for sda1, nvme0n1p2, mmcblk0p1; False for whole devices, device mapper and RAID."""
    return _PARTITION.fullmatch(device) is not None


def _wrap_bits(factor: int) -> int:
    """Where a total wraps that is multiplied by a power of two."""
    return LONG_BITS + factor.bit_length() - 1


def _spent_s(before: list[int], now: list[int], column: int) -> float:
    """Seconds between two readings; a device that was taken out and put back starts anew and has spent none."""
    spent_ms = (now[column] - before[column]) % MILLISECONDS_WRAP
    return spent_ms / MILLISECONDS_PER_S if spent_ms < MILLISECONDS_WRAP // 4 else 0.0
