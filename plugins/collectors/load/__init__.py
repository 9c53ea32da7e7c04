"""Collector `load`: how many threads run or wait, averaged and now."""

from __future__ import annotations

import msgspec

from agent.api import CollectorContext, ProcFile, Recorder, Register, hookimpl

__all__ = ["Config", "Load"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.load]`"""

    proc_dir: str = "/proc"


class Load:
    """Reads `/proc/loadavg`."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._file = ProcFile(f"{config.proc_dir}/loadavg")
        self._averages = [context.series(f"load_{minutes}m") for minutes in (1, 5, 15)]
        self._runnable = context.series("load_runnable_count")
        self._threads = context.series("load_threads_count")

    def collect(self, out: Recorder, /) -> None:
        """Record the three averages and the threads of this moment."""
        words = self._file.read().split()
        for series, word in zip(self._averages, words, strict=False):
            out.add(series, float(word))
        runnable, threads = words[3].split(b"/")
        out.add(self._runnable, int(runnable))
        out.add(self._threads, int(threads))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("load", Load, config=Config)
