"""Colours for people: on a terminal only, and not where NO_COLOR is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO

__all__ = ["painter", "wants_colour"]

_CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}


def wants_colour(stream: IO[str], environ: Mapping[str, str]) -> bool:
    """Whether what goes to the stream may be coloured.

    Args:
        stream: Where the text goes.
        environ: NO_COLOR (not empty) and TERM=dumb mean no colours.
    """
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def painter(stream: IO[str], environ: Mapping[str, str]) -> Callable[[str, str], str]:
    """A function (text, colour) -> text; it leaves the text as it is where colours are not wanted."""
    if not wants_colour(stream, environ):
        return lambda text, _colour: text
    return lambda text, colour: f"\x1b[{_CODES[colour]}m{text}\x1b[0m"
