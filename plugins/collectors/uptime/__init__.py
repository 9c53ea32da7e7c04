"""Collector `uptime`: how long the host has been up."""

from __future__ import annotations

import msgspec

from agent.api import CollectorContext, ProcFile, Recorder, Register, hookimpl

__all__ = ["Config", "Uptime"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.uptime]`"""

    proc_dir: str = "/proc"


class Uptime:
    """Reads `/proc/uptime`."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._file = ProcFile(f"{config.proc_dir}/uptime")
        self._uptime = context.series("uptime_s", unit="s")

    def collect(self, out: Recorder, /) -> None:
        """Record the time since the host was started."""
        out.add(self._uptime, float(self._file.read().split()[0]))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("uptime", Uptime, config=Config)
