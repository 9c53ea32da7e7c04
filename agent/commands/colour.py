"""Colours of the commands that print lines: on a terminal only, and not where NO_COLOR is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TextIO

__all__ = ["painter"]

_CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}


def painter(stream: TextIO, environ: Mapping[str, str]) -> Callable[[str, str], str]:
    """A function (text, colour) -> text; it leaves the text as it is where colours are not wanted.

    Args:
        stream: Where the text goes.
        environ: NO_COLOR (not empty) and TERM=dumb mean no colours.
    """
    if not stream.isatty() or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return lambda text, _colour: text
    return lambda text, colour: f"\x1b[{_CODES[colour]}m{text}\x1b[0m"
