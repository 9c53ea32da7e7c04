"""One line of the statsd protocol, with tags as DogStatsD writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite

__all__ = ["Line", "parsed"]

_LINE = re.compile(r"([^:|]+):([^|]+)\|(ms|[cghs])(?:\|@([0-9.]+))?(?:\|#(.*))?")
_NOT_A_NAME = re.compile(r"[^a-z0-9_]+")
_MAX_TAGS = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One measurement.

    Attributes:
        name: `lower_snake_case`.
        text: The value as sent; sets count different texts, all other types hold a number.
        type: c, g, ms, h or s.
        ratio: Share of measurements that the program sends, 0 < ratio <= 1.
        tags: Pairs sorted by name.
    """

    name: str
    text: str
    type: str
    ratio: float = 1.0
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def number(self) -> float:
        return float(self.text)


def parsed(text: str) -> Line:
    """The line's meaning.

    Raises:
        ValueError: It is no line of statsd.
    """
    found = _LINE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"no statsd line: {text!r:.80}")
    name, value, kind, ratio, tags = found.groups()
    share = float(ratio) if ratio else 1.0
    if not 0 < share <= 1:
        raise ValueError(f"a sample rate lies in 0..1: {text!r:.80}")
    if kind != "s" and not isfinite(float(value)):
        raise ValueError(f"a value is finite: {text!r:.80}")
    return Line(_plain(name), value, kind, share, _tags(tags or ""))


def _tags(text: str) -> tuple[tuple[str, str], ...]:
    pairs = {}
    for tag in text.split(",")[:_MAX_TAGS]:
        name, _, value = tag.partition(":")
        if name.strip():
            pairs[_plain(name)] = value or "true"
    return tuple(sorted(pairs.items()))


def _plain(name: str) -> str:
    """`Web.Requests` becomes `web_requests`."""
    plain = _NOT_A_NAME.sub("_", name.lower()).strip("_") or "unnamed"
    return plain if plain[0].isalpha() else f"n{plain}"
