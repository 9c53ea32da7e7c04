"""Collector `pressure`: the share of time in which work waited for processor, memory or disk (PSI)."""

from __future__ import annotations

import msgspec

from agent.api import CollectorContext, Kind, ProcFile, Recorder, Register, hookimpl

__all__ = ["Config", "Pressure", "pressure_lines"]

RESOURCES = ("cpu", "memory", "io", "irq")
MICROSECONDS_PER_S = 1e6


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.pressure]`"""

    proc_dir: str = "/proc"


class Pressure:
    """Reads /proc/pressure. A kernel without it, or started with `psi=0`, gives nothing, and that is said once."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._files = {resource: ProcFile(f"{config.proc_dir}/pressure/{resource}") for resource in RESOURCES}
        self._log = context.log
        self._is_absence_said = False
        self._waiting = {
            (resource, who): context.series(
                "pressure_waiting_ratio", unit="ratio", kind=Kind.RATE, labels={"resource": resource, "who": who}
            )
            for resource in RESOURCES
            for who in ("some", "full")
        }
        self._average = {
            (resource, who): context.series(
                "pressure_waiting_10s_ratio", unit="ratio", labels={"resource": resource, "who": who}
            )
            for resource in RESOURCES
            for who in ("some", "full")
        }

    def collect(self, out: Recorder, /) -> None:
        """Record the kernel's own averages, and the running totals."""
        found = 0
        for resource, file in self._files.items():
            text = file.read_if_there()
            found += bool(text)
            for who, average_ratio, total_s in pressure_lines(text):
                out.add(self._average[resource, who], average_ratio)
                out.add(self._waiting[resource, who], total_s)
        if not found and not self._is_absence_said:
            self._is_absence_said = True
            self._log.info("pressure.absent", hint="this kernel has no /proc/pressure, or was started with psi=0")

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files.values():
            file.close()


def pressure_lines(text: bytes) -> list[tuple[str, float, float]]:
    """(some or full, share of the last 10 s, seconds waited since boot) of each line."""
    found = []
    for line in text.splitlines():
        who, *pairs = line.split()
        values = dict(pair.split(b"=", 1) for pair in pairs)
        if who in {b"some", b"full"} and b"avg10" in values and b"total" in values:
            found.append((who.decode(), float(values[b"avg10"]) / 100, int(values[b"total"]) / MICROSECONDS_PER_S))
    return found


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("pressure", Pressure, config=Config)
