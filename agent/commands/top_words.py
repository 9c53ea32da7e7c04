"""Figures as `rebellion top` writes them: short, with their unit, and as bars and curves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ASCII", "BLOCKS", "Glyphs", "bar", "byte_text", "count_text", "curve", "duration_text", "span_text"]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What bars and curves are made of.

    Attributes:
        full, empty: A bar's parts.
        steps: A curve's heights, rising.
        dot: Before a state.
    """

    full: str
    empty: str
    steps: str
    dot: str


BLOCKS = Glyphs("█", "░", "▁▂▃▄▅▆▇█", "●")
ASCII = Glyphs("#", ".", "_.-=*#", "*")
"""For terminals that do not speak Unicode."""


def bar(ratio: float, width: int, glyphs: Glyphs) -> str:
    """`width` characters, as many of them full as the ratio, 0..1, says; beyond 1 all of them."""
    full = round(min(max(ratio, 0.0), 1.0) * width)
    return glyphs.full * full + glyphs.empty * (width - full)


def curve(values: Iterable[float], width: int, glyphs: Glyphs) -> str:
    """The newest `width` values, the largest of them as high as it goes."""
    newest = list(values)[-width:] if width > 0 else []
    top = max(newest, default=0.0) or 1.0
    last = len(glyphs.steps) - 1
    return "".join(glyphs.steps[round(max(value, 0.0) / top * last)] for value in newest)


def count_text(count: float) -> str:
    """`950`, `12.3k`, `4.56M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if count >= size:
            scaled = count / (1e3 if unit == "k" else size)
            return f"{scaled:.3g}{unit}" if scaled < 999.5 else f"{scaled:.0f}{unit}"
    return f"{count:.0f}" if count >= 10 or count == int(count) else f"{count:.1f}"


def byte_text(size: float) -> str:
    """`512 B`, `21 KiB`, `1.5 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.1f} {unit}" if size < 10 and unit != "B" else f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def duration_text(seconds: float) -> str:
    """`0.4 ms`, `88 ms`, `1.25 s`."""
    if seconds < 1:
        millis = seconds * 1e3
        return f"{millis:.1f} ms" if millis < 10 else f"{millis:.0f} ms"
    return f"{seconds:.2f} s"


def span_text(seconds: float) -> str:
    """`8 s`, `3 m 20 s`, `2 h 5 m`, `3 d 4 h`: the two largest units."""
    left = int(seconds)
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
