"""Collector `cpu`: what the cores spend their time on, and how often they are interrupted."""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent.api import LONG_BITS, CollectError, CollectorContext, Kind, ProcFile, Recorder, Register, Series, hookimpl

__all__ = ["Config", "Cpu"]

MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest")
"""In the order of a line of `/proc/stat`; its tenth figure, niced guests, is added to `guest`."""

CORE_MODES = ("user", "system", "iowait", "steal")
COUNTERS = {
    b"ctxt": "cpu_context_switches_per_s",
    b"intr": "cpu_interrupts_per_s",
    b"softirq": "cpu_softirqs_per_s",
    b"processes": "cpu_forks_per_s",
}
LEVELS = {b"procs_running": "cpu_running_threads_count", b"procs_blocked": "cpu_blocked_threads_count"}

Times = list[int]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.cpu]`"""

    per_core: bool = True
    detail_max_cores: Annotated[int, msgspec.Meta(ge=0)] = 8
    proc_dir: str = "/proc"


class Core:
    """Turns the times of one core, or of all together, into shares of the time since the last look.

    Args:
        modes: Mode, or `used`, -> its series.
    """

    def __init__(self, modes: dict[str, Series]) -> None:
        self._used = modes["used"]
        self._modes = [(MODES.index(mode), series) for mode, series in modes.items() if mode != "used"]
        self._last: Times | None = None

    def record(self, out: Recorder, times: Times) -> None:
        """Record the shares; nothing at the first look, and when no time has passed."""
        last, self._last = self._last, times
        if last is None:
            return
        spent = [max(0, now - before) for now, before in zip(times, last, strict=True)]
        total = sum(spent)
        if not total:
            return
        out.add(self._used, 1 - (spent[3] + spent[4]) / total)
        for position, series in self._modes:
            out.add(series, spent[position] / total)


class Cpu:
    """Reads `/proc/stat`."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._config = config
        self._context = context
        self._file = ProcFile(f"{config.proc_dir}/stat")
        self._count = context.series("cpu_count")
        self._counters = {
            key: context.series(name, unit="1/s", kind=Kind.RATE, wrap_bits=LONG_BITS) for key, name in COUNTERS.items()
        }
        self._levels = {key: context.series(name) for key, name in LEVELS.items()}
        self._cores: dict[bytes, Core] = {b"cpu": Core(self._host_series())}

    def collect(self, out: Recorder, /) -> None:
        """Record the shares of the host and of each core, and the counters."""
        lines = [line.split(None, 11) for line in self._file.read().splitlines()]
        cores = [words for words in lines if words and words[0].startswith(b"cpu")]
        if not cores:
            raise CollectError(f"{self._file.path} has no line that starts with cpu")
        self._record_cores(out, cores)
        for words in lines[len(cores) :]:
            if words and (series := self._counters.get(words[0]) or self._levels.get(words[0])):
                out.add(series, int(words[1]))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _record_cores(self, out: Recorder, lines: list[list[bytes]]) -> None:
        count = len(lines) - 1
        out.add(self._count, count)
        has_detail = count <= self._config.detail_max_cores
        for words in lines if self._config.per_core else lines[:1]:
            core = self._cores.get(words[0])
            if core is None:
                core = self._cores[words[0]] = Core(self._core_series(words[0][3:].decode(), has_detail))
            core.record(out, _times(words))

    def _host_series(self) -> dict[str, Series]:
        return {mode: self._context.series(f"cpu_{mode}_ratio", unit="ratio") for mode in ("used", *MODES)}

    def _core_series(self, core: str, has_detail: bool) -> dict[str, Series]:
        modes = ("used", *CORE_MODES) if has_detail else ("used",)
        return {
            mode: self._context.series(f"cpu_core_{mode}_ratio", unit="ratio", labels={"core": core}) for mode in modes
        }


def _times(words: list[bytes]) -> Times:
    """Times by mode, in ticks. The kernel counts guests in `user` and `nice` too; here each tick is counted once.

    Kernels before 2.6.33 write fewer figures.
    """
    user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice = [int(word) for word in words[1:11]] + [
        0
    ] * (11 - len(words))
    return [user - guest, nice - guest_nice, system, idle, iowait, irq, softirq, steal, guest + guest_nice]


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("cpu", Cpu, config=Config)
