"""When something will have run out: seconds until a series reaches a limit, or never, with an interval and the reason.

    history -> even grid -> swings (saw-teeth) -> the longest stretch that rises evenly -> robust line -> crossing
                                              \\-> or tops and bottoms that rise from swing to swing ---/

Only what has gone on for a while is believed, and no further ahead than six times as long as it has been seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.experts import theil_sen
from agent.numeric.median import median, medians
from agent.numeric.regular_grid import regular
from agent.numeric.swings import noise_of, swings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.model import FloatArray
    from agent.numeric.swings import Swing

__all__ = ["NEVER", "Exhaustion", "exhaustion", "time_to_exhaustion_s"]

_HISTORY_COUNT = 1440
_MIN_COUNT = 24
_SHRINK = 0.8
_PARTS = 8
_MAX_FALLS = 1
_MAX_PART_RATIO = 0.4
_MAX_BEND_RATIO = 0.2
_RISE_SIGMAS = 3.0
_REACH = 6.0
_BEYOND_RATIO = 0.25
_MIN_SWINGS = 3
_MAX_SWINGS = 8
_INTERVAL_SIGMAS = 2.0


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """A crossing that is expected, or none.

    Attributes:
        eta_s: Seconds until the limit is reached; 0 = it is, inf = nothing points to it.
        low_s, high_s: 90 % interval of `eta_s`; `high_s` may be inf.
        confidence: 0..1: how much of what was seen agrees with the trend (within a factor of two of its slope).
        reason: Why, in words.
        seen_s: How long the trend has been going on, seconds.
    """

    eta_s: float
    low_s: float
    high_s: float
    confidence: float
    reason: str
    seen_s: float = 0.0


NEVER = Exhaustion(inf, inf, inf, 0.0, "no lasting rise")


@dataclass(frozen=True, slots=True)
class _Trend:
    """A line that is believed; slope per step, `now` the fitted value at the newest step."""

    slope: float
    slope_error: float
    now: float
    now_error: float
    count: float
    confidence: float
    reason: str


def time_to_exhaustion_s(times_s: FloatArray, values: FloatArray, limit: float) -> float:
    """Seconds until a series crosses the limit, from the side where its history began; inf = never, 0 = it has."""
    return exhaustion(times_s, values, limit).eta_s


def exhaustion(times_s: FloatArray, values: FloatArray, limit: float) -> Exhaustion:
    """When a series crosses a limit.

    Args:
        times_s: Rising seconds, shape (n,), any epoch.
        values: Shape (n,); what is not finite is a gap. The newest 1,440 on an even grid count.
        limit: Reached from below, or from above where the history began above it: most of its first quarter.
    Returns:
        `NEVER` with fewer than 24 values, without a trend, or when the crossing lies further ahead than six times what
        was seen of the trend. Under 1 ms.
    """
    series = regular(times_s, values).last(_HISTORY_COUNT)
    count = len(series.values)
    if not count or not isfinite(limit):
        return NEVER
    with np.errstate(over="ignore", invalid="ignore"):
        sign = 1.0 if median(series.values[: -(-count // 4)]) <= limit else -1.0
        rising = sign * (series.values - limit)
        if rising[-1] >= 0:
            return Exhaustion(0.0, 0.0, 0.0, 1.0, "the limit is reached")
        trend = _trend(rising) if count >= _MIN_COUNT and rising.min() < rising.max() else None
        return NEVER if trend is None else _crossing(trend, series.step_s)


def _crossing(trend: _Trend, step_s: float) -> Exhaustion:
    """Where a trend reaches 0."""
    to_go = max(-trend.now, 0.0)
    steps = to_go / trend.slope
    if steps > _REACH * trend.count:
        return NEVER
    slowest = trend.slope - _INTERVAL_SIGMAS * trend.slope_error
    fastest = trend.slope + _INTERVAL_SIGMAS * trend.slope_error
    apart = _INTERVAL_SIGMAS * trend.now_error
    low_s = max(to_go - apart, 0.0) / fastest * step_s
    high_s = (to_go + apart) / slowest * step_s if slowest > 0 else inf
    return Exhaustion(steps * step_s, low_s, high_s, trend.confidence, trend.reason, trend.count * step_s)


def _trend(rising: FloatArray) -> _Trend | None:
    noise = noise_of(rising)
    swings = swings_of(rising, noise)
    if not _is_known_ground(float(rising[-1]), swings):
        for count in _stretches(len(rising)):
            found = _even_rise(rising[-count:], noise)
            if found is not None:
                return found
    return _rising_swings(swings, len(rising))


def _stretches(count: int) -> Iterator[int]:
    """Lengths to look at, the longest first."""
    while count >= _MIN_COUNT:
        yield count
        count = int(count * _SHRINK)


def _is_known_ground(level: float, before: Sequence[Swing]) -> bool:
    """True while a rise has come no higher than rises before it that were undone."""
    if not before:
        return False
    top = max(swing.top for swing in before)
    height = max(swing.height for swing in before)
    return level < top + _BEYOND_RATIO * height


def _even_rise(stretch: FloatArray, noise: float) -> _Trend | None:
    """The line through a stretch when it rises from part to part, none of them alone accounts for it, and it goes on as before.

    As before: the later half is as steep as the line, within a fifth; what bends more is looked at in a shorter stretch.
    """
    width = len(stretch) // _PARTS
    parts = medians(stretch[len(stretch) - _PARTS * width :].reshape(_PARTS, width), axis=1)
    steps = np.diff(parts)
    rise = float(parts[-1] - parts[0])
    if rise <= 0 or int((steps < 0).sum()) > _MAX_FALLS or float(steps.max()) > _MAX_PART_RATIO * rise:
        return None
    slopes, levels = theil_sen(parts[None, :])
    slope, level = float(slopes[0]), float(levels[0])
    recent = float(parts[-1] - parts[_PARTS // 2 - 1]) / (_PARTS // 2)
    if slope <= 0 or abs(recent / slope - 1.0) > _MAX_BEND_RATIO:
        return None
    apart = parts - (level + slope * np.arange(1 - _PARTS, 1))
    spread = max(float(np.sqrt((apart * apart).sum() / (_PARTS - 2))), noise / width**0.5)
    if rise < _RISE_SIGMAS * spread:
        return None
    now = level + slope * (width - 1) / 2 / width
    error = spread / float(np.sqrt(((np.arange(_PARTS) - (_PARTS - 1) / 2) ** 2).sum()))
    agreed = _agreement(parts, slope)
    return _Trend(slope / width, error / width, now, spread / 2, len(stretch), agreed, "it rises steadily")


def _agreement(parts: FloatArray, slope: float) -> float:
    """Share of the pairs of parts whose slope is within a factor of two of the line's."""
    earlier, later = np.triu_indices(len(parts), 1)
    relative = (parts[later] - parts[earlier]) / (later - earlier) / slope
    return float(((relative >= 0.5) & (relative <= 2.0)).mean())


def _rising_swings(swings: Sequence[Swing], count: int) -> _Trend | None:
    """The line through the tops of the last swings when tops and bottoms both rise from swing to swing."""
    last = swings[-_MAX_SWINGS:]
    if len(last) < _MIN_SWINGS or _is_known_ground(last[-1].top, swings[:-_MAX_SWINGS]):
        return None
    tops, bottoms = np.array([swing.top for swing in last]), np.array([swing.bottom for swing in last])
    if int((np.diff(tops) <= 0).sum()) > len(last) // 4 or int((np.diff(bottoms) <= 0).sum()) > len(last) // 4:
        return None
    places = np.array([swing.peak for swing in last], dtype=np.float64)
    earlier, later = np.triu_indices(len(last), 1)
    slopes = (tops[later] - tops[earlier]) / (places[later] - places[earlier])
    slope = median(slopes)
    rise = float(tops[-1] - tops[0])
    least = max(median(tops - bottoms), float(tops[-1] - tops[0]))
    if slope <= 0 or min(rise, float(bottoms[-1] - bottoms[0])) < _BEYOND_RATIO * least:
        return None
    level = median(tops - slope * (places - (count - 1)))
    error = median(np.abs(slopes - slope))
    level_error = median(np.abs(tops - slope * (places - (count - 1)) - level))
    agreed = float(((slopes >= slope / 2) & (slopes <= 2 * slope)).mean())
    seen = float(count - places[0])
    return _Trend(slope, error, level, level_error, seen, agreed, "its saw-teeth rise from one to the next")
