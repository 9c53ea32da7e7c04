"""Collector `sensors`: temperatures, fans and the battery, on hosts that have any."""

from __future__ import annotations

from typing import Any

from agent.api import CollectorContext, Recorder, Register, SeriesFamily, hookimpl

__all__ = ["Sensors"]


class Sensors:
    """Asks psutil. A host without sensors, as most virtual ones, gives nothing and is asked again only now and then."""

    EMPTY_COLLECTS_SKIPPED = 59

    def __init__(self, config: None, context: CollectorContext) -> None:
        import psutil

        del config
        self._psutil: Any = psutil
        self._context = context
        self._temperatures: dict[str, SeriesFamily] = {}
        self._fans = context.family("sensor_fan_rpm", label="sensor", unit="rpm")
        self._battery = context.series("sensor_battery_ratio", unit="ratio")
        self._skip = 0

    def collect(self, out: Recorder, /) -> None:
        """Record every sensor there is."""
        if self._skip:
            self._skip -= 1
            return
        if not self._collect_all(out):
            self._skip = self.EMPTY_COLLECTS_SKIPPED

    def _collect_all(self, out: Recorder) -> int:
        found = 0
        for chip, entries in self._ask("sensors_temperatures").items():
            for number, entry in enumerate(entries):
                found += 1
                out.add(self._temperature(chip)[entry.label or str(number)], entry.current)
        for chip, entries in self._ask("sensors_fans").items():
            for number, entry in enumerate(entries):
                found += 1
                out.add(self._fans[f"{chip} {entry.label or number}"], entry.current)
        battery = self._ask("sensors_battery")
        if battery:
            found += 1
            out.add(self._battery, battery.percent / 100)
        return found

    def _ask(self, what: str) -> Any:
        """psutil lacks the function on some systems and fails on odd drivers; then there are none."""
        try:
            return getattr(self._psutil, what)() or {}
        except (AttributeError, OSError, ValueError):
            return {}

    def _temperature(self, chip: str) -> SeriesFamily:
        if chip not in self._temperatures:
            self._temperatures[chip] = self._context.family(
                "sensor_temperature_celsius", label="sensor", unit="celsius", labels={"chip": chip}
            )
        return self._temperatures[chip]


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("sensors", Sensors)
