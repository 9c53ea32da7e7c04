"""What every port that serves the page says over HTTP: answers, and how a query is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from agent.dashboard import asset

__all__ = ["TEXT", "Answer", "BadQuery", "Query", "json_answer", "number", "page", "parse_target", "span_ns"]

TEXT = "text/plain; charset=utf-8"
_DEFAULT_SPAN_S = 300.0

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response."""

    status: int
    body: bytes
    content_type: str = "application/json"


class BadQuery(Exception):
    """A query that cannot be answered; `status` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def json_answer(content: Any, status: int = 200) -> Answer:
    """An answer of one JSON value on a line of its own."""
    return Answer(status, msgspec.json.encode(content) + b"\n")


def page(path: str) -> Answer:
    """One of the page's own files, or 404."""
    found = asset(path)
    if found is None:
        return Answer(404, b'{"error":"no such page"}\n')
    body, content_type = found
    return Answer(200, body, content_type)


def parse_target(target: str) -> tuple[str, dict[str, str]]:
    """Path and query of a request line; of a parameter given twice the last counts."""
    parts = urlsplit(target)
    return parts.path, {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}


def number(query: Query, name: str, default: float) -> float:
    """A parameter as a number.

    Raises:
        BadQuery: It is none, or too large to be a time.
    """
    text = query.get(name, "")
    if not text:
        return default
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not abs(found) < 9e9:
        raise BadQuery(400, f"{name}= must be a number of seconds (got {text[:40]!r})")
    return found


def span_ns(query: Query, now_ns: int) -> tuple[int, int]:
    """`from=` and `to=` as UTC nanoseconds; without them the last 300 s.

    Raises:
        BadQuery: One of them is no number.
    """
    now_s = now_ns / 1e9
    from_s = _instant(number(query, "from", -_DEFAULT_SPAN_S), now_s)
    to_s = _instant(number(query, "to", now_s), now_s)
    return round(from_s * 1e9), round(to_s * 1e9)


def _instant(number_s: float, now_s: float) -> float:
    """Unix seconds; a negative number, -0 too, counts back from now."""
    return now_s + number_s if math.copysign(1.0, number_s) < 0 else number_s
