"""Draws a replay as SVG: value, moving average, forecast, score and alerts of each series, for light and dark pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from agent.replay.scales import Scale, number_marks, time_marks

if TYPE_CHECKING:
    from agent.model import FloatArray
    from agent.replay.run import Replayed

__all__ = ["MOST_PANELS", "picture"]

MOST_PANELS = 12
WIDTH, LEFT, RIGHT = 960, 64, 16
HEAD, VALUES, BETWEEN, SCORES, FOOT = 26, 170, 8, 40, 26
PANEL = HEAD + VALUES + BETWEEN + SCORES + FOOT
LEGEND = 28
_ROOM = 0.06
_FORECAST_ROOM = 0.4
"""How far, in heights of the values, a forecast's interval may stretch the scale."""
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #6b7682 }
  .name { font-weight: 600 }
  .grid { stroke: #8a94a0; stroke-opacity: .28 }
  .value { fill: none; stroke: #2f7fc4; stroke-width: 1.2; stroke-linejoin: round }
  .average { fill: none; stroke: #d98a1f; stroke-width: 1.1; stroke-linejoin: round }
  .band { fill: #8a63d2; fill-opacity: .25; stroke: none }
  .ahead { fill: none; stroke: #8a63d2; stroke-width: 1.4; stroke-dasharray: 4 3 }
  .score { fill: #6f8296; fill-opacity: .55; stroke: none }
  .alert { stroke: #d6453d; stroke-width: 1 }
  .mark { fill: #d6453d; stroke: none }
  @media (prefers-color-scheme: dark) { text { fill: #97a2ae } }
"""


def picture(seen: Replayed) -> str:
    """The whole picture. Draws at most 12 series, those with most alerts, and says how many it leaves out."""
    panels = _chosen(seen)
    height = LEGEND + PANEL * len(panels) + (20 if len(panels) < len(seen.history.series) else 0)
    title = f"{len(seen.history.times_s)} rows, {len(seen.alerts)} alerts by {seen.judge}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        *_legend(seen.judge),
    ]
    for place, column in enumerate(panels):
        parts += [f'<g transform="translate(0 {LEGEND + place * PANEL})">', *_Panel(seen, column).drawn(), "</g>"]
    if len(panels) < len(seen.history.series):
        left = len(seen.history.series) - len(panels)
        parts.append(f'<text x="{LEFT}" y="{height - 6}">{left} more series are not drawn</text>')
    return "\n".join(parts) + "\n</svg>\n"


def _chosen(seen: Replayed) -> list[int]:
    counts = [0] * len(seen.history.series)
    for alert in seen.alerts:
        counts[alert.column] += 1
    return sorted(sorted(range(len(counts)), key=lambda column: -counts[column])[:MOST_PANELS])


def _legend(judge: str) -> Iterator[str]:
    signs = (
        ('<path class="value" d="M0 0h18"/>', "value"),
        ('<path class="average" d="M0 0h18"/>', "moving average"),
        ('<path class="band" d="M0 -5h18v10h-18z"/><path class="ahead" d="M0 0h18"/>', "forecast, 90 %"),
        ('<path class="score" d="M0 -5h18v10h-18z"/>', f"score ({escape(judge)}), 0 to 1"),
        ('<circle class="mark" cx="9" r="3.5"/>', "alert"),
    )
    across = LEFT
    for sign, text in signs:
        yield f'<g transform="translate({across} 14)">{sign}<text x="24" y="4">{text}</text></g>'
        across += 24 + 7 * len(text) + 24


class _Panel:
    """One series: its values above, its scores below."""

    def __init__(self, seen: Replayed, column: int) -> None:
        self._seen = seen
        self._column = column
        self._times = seen.history.times_s
        self._values = seen.history.values[:, column]
        self._made = seen.forecasts[column]
        self._ahead_s = self._times[-1] + self._made.step_s * np.arange(len(self._made.point) + 1)
        low, high = self._bounds()
        self._x = Scale(float(self._times[0]), float(self._ahead_s[-1]), LEFT, WIDTH - RIGHT)
        self._y = Scale(low, high, HEAD + VALUES, HEAD)
        self._s = Scale(0.0, 1.0, HEAD + VALUES + BETWEEN + SCORES, HEAD + VALUES + BETWEEN)

    def drawn(self) -> Iterator[str]:
        yield f'<clipPath id="c{self._column}"><rect x="{LEFT}" y="{HEAD}" width="{WIDTH - LEFT - RIGHT}"'
        yield f' height="{VALUES}"/></clipPath>'
        yield f'<text class="name" x="{LEFT}" y="16">{escape(str(self._seen.history.series[self._column]))}</text>'
        yield from self._grid()
        yield f'<path class="score" d="{self._area(self._seen.scores[:, self._column])}"/>'
        yield f'<g clip-path="url(#c{self._column})">'
        yield from self._forecast()
        yield f'<path class="value" d="{self._line(self._values)}"/>'
        yield f'<path class="average" d="{self._line(self._seen.averages[:, self._column])}"/></g>'
        yield from self._alerts()

    def _bounds(self) -> tuple[float, float]:
        """Lowest and highest number of the scale."""
        kept = self._values[np.isfinite(self._values)]
        low, high = (float(kept.min()), float(kept.max())) if len(kept) else (0.0, 1.0)
        tall = high - low or abs(high) * 0.1 or 1.0
        ahead = np.concatenate((self._made.low, self._made.high, self._made.point))
        ahead = ahead[np.isfinite(ahead)]
        if len(ahead):
            low = min(low, max(float(ahead.min()), low - _FORECAST_ROOM * tall))
            high = max(high, min(float(ahead.max()), high + _FORECAST_ROOM * tall))
        return low - _ROOM * tall, high + _ROOM * tall

    def _grid(self) -> Iterator[str]:
        for mark, text in number_marks(self._y.first, self._y.last):
            down = self._y(mark)
            yield f'<path class="grid" d="M{LEFT} {down:.1f}H{WIDTH - RIGHT}"/>'
            yield f'<text x="{LEFT - 6}" y="{down + 4:.1f}" text-anchor="end">{text}</text>'
        for level in (0.0, 1.0):
            down = self._s(level)
            yield f'<path class="grid" d="M{LEFT} {down:.1f}H{WIDTH - RIGHT}"/>'
            yield f'<text x="{LEFT - 6}" y="{down + 4:.1f}" text-anchor="end">{level:.0f}</text>'
        for mark, text in time_marks(self._x.first, self._x.last):
            across = self._x(mark)
            yield f'<path class="grid" d="M{across:.1f} {HEAD}V{self._s.start:.1f}"/>'
            yield f'<text x="{across:.1f}" y="{self._s.start + 16:.1f}" text-anchor="middle">{text}</text>'

    def _forecast(self) -> Iterator[str]:
        if not np.isfinite(self._made.point).all():
            return
        known = self._values[np.isfinite(self._values)][-1]
        across = [self._x(float(at)) for at in self._ahead_s]
        middle = _points(across, [self._y(float(one)) for one in (known, *self._made.point)])
        if np.isfinite(self._made.low).all():
            upper = _points(across, [self._y(float(one)) for one in (known, *self._made.high)])
            lower = _points(across, [self._y(float(one)) for one in (known, *self._made.low)])
            yield f'<path class="band" d="M{"L".join(upper + lower[::-1])}Z"/>'
        yield f'<path class="ahead" d="M{"L".join(middle)}"/>'

    def _alerts(self) -> Iterator[str]:
        for alert in self._seen.alerts:
            if alert.column == self._column:
                across, down = self._x(alert.time_s), self._y(alert.point.value)
                yield f'<path class="alert" d="M{across:.1f} {down:.1f}V{self._s.start:.1f}"/>'
                yield f'<circle class="mark" cx="{across:.1f}" cy="{down:.1f}" r="3.5"><title>'
                yield f"{escape(alert.point.explanation)}</title></circle>"

    def _line(self, numbers: FloatArray) -> str:
        """A path through the numbers; a gap where they are missing."""
        return "".join(
            "M" + "L".join(_points(across, map(self._y, drawn))) for across, drawn in self._stretches(numbers)
        )

    def _area(self, numbers: FloatArray) -> str:
        """The outline of what lies below the numbers."""
        floor = self._s.start
        return "".join(
            f"M{across[0]:.1f} {floor:.1f}L{'L'.join(_points(across, map(self._s, drawn)))}L{across[-1]:.1f} {floor:.1f}Z"
            for across, drawn in self._stretches(numbers)
        )

    def _stretches(self, numbers: FloatArray) -> Iterator[tuple[list[float], list[float]]]:
        """Places and numbers of each stretch without a gap; of those that share a pixel only the outermost."""
        rows = np.flatnonzero(np.isfinite(numbers))
        for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
            if len(run):
                across = [self._x(at) for at in self._times[run].tolist()]
                kept = _outline(across, numbers[run])
                yield [across[place] for place in kept], numbers[run][kept].tolist()


def _outline(across: list[float], numbers: FloatArray) -> list[int]:
    """Places of the first, lowest, highest and last point of each pixel."""
    pixel = np.floor(across).astype(np.int64)
    starts = [0, *(np.flatnonzero(np.diff(pixel)) + 1).tolist(), len(pixel)]
    kept: set[int] = set()
    for start, stop in pairwise(starts):
        part = numbers[start:stop]
        kept |= {start, stop - 1, start + int(part.argmin()), start + int(part.argmax())}
    return sorted(kept)


def _points(across: Iterable[float], down: Iterable[float]) -> list[str]:
    return [f"{x:.1f} {y:.1f}" for x, y in zip(across, down, strict=True)]
