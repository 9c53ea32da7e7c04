"""Collector `sensors`: temperatures, fans and the battery, on hosts that have any."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from agent.api import CollectorContext, Recorder, Register, SeriesFamily, hookimpl

__all__ = ["Sensors"]


DEVICE_CLASSES = ("hwmon", "thermal", "power_supply")
"""Where Linux lists what psutil reads."""


class Sensors:
    """Asks psutil. A host without sensors, as most virtual ones, gives nothing and is asked again only now and then.

    psutil is imported when there is something to ask it: it takes 1 MiB, and nothing else here needs it.

    Args:
        config: None; there is nothing to set.
        context: See `CollectorContext`.
        class_dir: Where Linux lists its devices.
    """

    EMPTY_COLLECTS_SKIPPED = 59

    def __init__(self, config: None, context: CollectorContext, class_dir: Path = Path("/sys/class")) -> None:
        del config
        self._class_dir = class_dir
        self._psutil: Any = None
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
        if not (self._has_devices() and self._collect_all(out)):
            self._skip = self.EMPTY_COLLECTS_SKIPPED

    def _has_devices(self) -> bool:
        """Whether there may be any sensor; the rare host that lists its devices elsewhere is asked."""
        if sys.platform != "linux":
            return True
        return any(any((self._class_dir / name).glob("*")) for name in DEVICE_CLASSES)

    def _collect_all(self, out: Recorder) -> int:
        if self._psutil is None:
            import psutil

            self._psutil = psutil
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
