"""What came in since the last tick, added up within bounds."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from plugins.collectors.statsd.lines import Line

__all__ = ["Taken", "Tally", "Timer"]

Key = tuple[str, tuple[tuple[str, str], ...]]
_MAX_SET = 10_000


@dataclass(slots=True)
class Timer:
    """Durations, in what the program sent them; a uniform sample of them for percentiles (Vitter's algorithm R, 1985)."""

    most: int
    rng: random.Random
    count: float = 0.0
    seen: int = 0
    total: float = 0.0
    largest: float = 0.0
    sample: list[float] = field(default_factory=list)

    def add(self, value: float, weight: float) -> None:
        """Take one measurement that stands for `weight` of them."""
        self.seen += 1
        self.count += weight
        self.total += value * weight
        self.largest = value if self.seen == 1 else max(self.largest, value)
        if len(self.sample) < self.most:
            self.sample.append(value)
        elif (place := self.rng.randrange(self.seen)) < self.most:
            self.sample[place] = value

    def percentile(self, ratio: float) -> float:
        """The smallest of the sample that at least this share of it does not exceed."""
        ordered = sorted(self.sample)
        return ordered[min(len(ordered) - 1, int(ratio * len(ordered)))]


@dataclass(slots=True)
class Taken:
    """What came in between two ticks; gauges as they stand now."""

    counters: dict[Key, float] = field(default_factory=dict)
    gauges: dict[Key, float] = field(default_factory=dict)
    timers: dict[Key, Timer] = field(default_factory=dict)
    sets: dict[Key, set[str]] = field(default_factory=dict)

    def __contains__(self, key: Key) -> bool:
        return any(key in kept for kept in (self.counters, self.gauges, self.timers, self.sets))

    def __len__(self) -> int:
        return len(self.counters) + len(self.gauges) + len(self.timers) + len(self.sets)


class Tally:
    """Adds measurements up by name and tags; a gauge keeps its value until it is set again or forgotten.

    Args:
        max_names: Different names and tags that are taken between two ticks, >= 1.
        timer_samples: See `Timer.most`.
        keep_gauges_s: A gauge that nobody set for so many seconds is forgotten.
        rng: For the timers' samples.

    Attributes:
        lines, left_out: Measurements taken, and those left out because there were too many names, since the start.
    """

    def __init__(self, max_names: int, timer_samples: int, keep_gauges_s: float, rng: random.Random) -> None:
        self.lines = 0
        self.left_out = 0
        self._max_names = max_names
        self._timer_samples = timer_samples
        self._keep_gauges_s = keep_gauges_s
        self._rng = rng
        self._current = Taken()
        self._gauge_set_s: dict[Key, float] = {}

    def add(self, line: Line, now_s: float) -> None:
        """Take one measurement, or count it as left out."""
        key, current = (line.name, line.tags), self._current
        if key not in current and len(current) >= self._max_names:
            self.left_out += 1
            return
        self.lines += 1
        if line.type == "c":
            current.counters[key] = current.counters.get(key, 0.0) + line.number / line.ratio
        elif line.type == "g":
            before = current.gauges.get(key, 0.0) if line.text[0] in "+-" else 0.0
            current.gauges[key] = before + line.number
            self._gauge_set_s[key] = now_s
        elif line.type == "s":
            _add_within(current.sets.setdefault(key, set()), line.text)
        else:
            timer = current.timers.setdefault(key, Timer(self._timer_samples, self._rng))
            timer.add(line.number, 1.0 / line.ratio)

    def take(self, now_s: float) -> Taken:
        """What came in since the last time."""
        taken = self._current
        for key in [key for key, set_s in self._gauge_set_s.items() if now_s - set_s > self._keep_gauges_s]:
            del self._gauge_set_s[key], taken.gauges[key]
        self._current = Taken(gauges=dict(taken.gauges))
        return taken


def _add_within(members: set[str], text: str) -> None:
    if len(members) < _MAX_SET:
        members.add(text)
