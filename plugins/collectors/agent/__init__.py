"""Collector `agent`: the agent's own state, by the same road as everything else."""

from __future__ import annotations

import msgspec

from agent.api import CollectorContext, Reading, Recorder, Register, Series, hookimpl

__all__ = ["Agent", "Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.agent]`: nothing to set."""


class Agent:
    """Turns the agent's readings into series.

    `collect` is a coroutine function: it runs on the event loop, which owns what is read, so that the readings of one tick
    belong together.
    """

    def __init__(self, _config: Config, context: CollectorContext) -> None:
        self._context = context
        self._series: dict[tuple[object, ...], Series] = {}

    async def collect(self, out: Recorder, /) -> None:
        """Record every reading of this moment."""
        known = self._series
        for reading in self._context.own_readings():
            key = (reading.name, *reading.labels.values())
            series = known.get(key)
            if series is None:
                series = known[key] = self._define(reading)
            out.add(series, reading.value)

    def _define(self, reading: Reading) -> Series:
        return self._context.series(reading.name, unit=reading.unit, kind=reading.kind, labels=reading.labels)


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("agent", Agent, config=Config)
