"""Where numbers and times lie on a picture, and which of them are written beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor, log10

__all__ = ["Scale", "number_marks", "time_marks"]

_STEPS_S = (1, 5, 15, 60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600, 2_592_000)
_MOST_TIME_MARKS = 8
_SIZES = ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))
"""Least number that is written so, what it is divided by, and the letter behind it."""
_MOST_DECIMALS = 6
_LARGEST = 1e15


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from numbers to places; `first` lies at `start`, `last` at `end`, in pixels."""

    first: float
    last: float
    start: float
    end: float

    def __call__(self, number: float) -> float:
        return self.start + (number - self.first) / (self.last - self.first) * (self.end - self.start)


def number_marks(low: float, high: float, most: int = 4) -> list[tuple[float, str]]:
    """Round numbers within low..high, low < high, at most `most` + 1, each with its text."""
    rough = (high - low) / most
    power = 10.0 ** floor(log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough * (1 - 1e-9))
    first = ceil(low / step - 1e-9)
    marks = [place * step for place in range(first, floor(high / step + 1e-9) + 1)]
    largest = max(map(abs, marks), default=0.0)
    size, letter = next((one[1:] for one in _SIZES if largest >= one[0]), (1.0, ""))
    decimals = max(0, -floor(log10(step / size) + 1e-9))
    form = f".{decimals}f" if decimals <= _MOST_DECIMALS and largest < _LARGEST else ".3g"
    return [(mark, f"{mark / size:{form}}{letter if mark else ''}") for mark in marks]


def time_marks(from_s: float, to_s: float) -> list[tuple[float, str]]:
    """Round moments (UTC) within from..to, each with its text."""
    step = next((one for one in _STEPS_S if (to_s - from_s) / one <= _MOST_TIME_MARKS), 0)
    step = step or ceil((to_s - from_s) / _MOST_TIME_MARKS / _STEPS_S[-1]) * _STEPS_S[-1]
    form = _time_form(step, to_s - from_s)
    first = ceil(from_s / step) * step
    moments = range(first, floor(to_s) + 1, step)
    return [(float(at), datetime.fromtimestamp(at, UTC).strftime(form)) for at in moments]


def _time_form(step_s: int, length_s: float) -> str:
    if step_s >= 86_400:
        return "%d %b"
    if length_s > 86_400:
        return "%d %b %H:%M"
    return "%H:%M" if step_s >= 60 else "%H:%M:%S"
