"""Turns what the validation library says into a sentence an operator can act on, and keeps secrets out of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

__all__ = ["MASK", "complaint", "did_you_mean", "is_secret", "masked", "shown"]

MASK = "********"

_SECRET_KEY = re.compile(r"(^|_)(token|password|passwd|secret|credential|api_key|private_key)s?$")
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")
_SECRET_IN_QUERY = re.compile(r"(?i)([?&](?:[a-z_]*(?:token|password|secret|key))=)[^&#\s]+")
_TOKEN = re.compile(r"\brbl_[\w-]{20,}|(?<=\bBearer )[\w.~+/=-]{8,}")
_TOML_WORD = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "a table",
    "array": "an array",
    "null": "left out",
}
_LONGEST_SHOWN = 80


def is_secret(key: str) -> bool:
    """True when the key's name says that its value must not be shown; `token_file` names a file and may be."""
    return bool(_SECRET_KEY.search(key.lower()))


def masked(key: str, value: Any) -> Any:
    """The value as it may be shown: secrets replaced, also those inside a URL or a text; an empty secret stays visible as empty.

    A number under a plural (`budget_tokens = 10`) is a count and no secret.
    """
    is_count = isinstance(value, int | float) and key.endswith("s")
    if is_secret(key) and not is_count:
        return MASK if value else value
    if isinstance(value, str):
        return _SECRET_IN_QUERY.sub(rf"\1{MASK}", _USER_IN_URL.sub(f"{MASK}@", _TOKEN.sub(MASK, value)))
    if isinstance(value, dict):
        return {inner: masked(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(key, item) for item in value]
    return value


def shown(key: str, value: Any) -> str:
    """The value for a message: masked, quoted, short."""
    value = masked(key, value)
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a name that does not exist: the nearest one, else all of them."""
    from difflib import get_close_matches

    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else ""


def complaint(error: Exception, expected: Any, key: str, value: Any) -> str:
    """What is wrong with a value, in the words of the file: `must be > 0 (got -1)`."""
    said = re.sub(r" - at `\$.*`$", "", str(error))
    got = f"(got {shown(key, value)})"
    if get_origin(expected) is Literal:
        return f"must be one of {', '.join(map(repr, get_args(expected)))} {got}"
    if bound := re.fullmatch(r"Expected `\w+` ([<>]=?) (\S+)", said):
        return f"must be {bound[1]} {float(bound[2]):.15g} {got}"
    if wrong_type := re.fullmatch(r"Expected `([^`]+)`, got `[^`]+`", said):
        words = [_TOML_WORD.get(word, word) for word in wrong_type[1].split(" | ")]
        return f"must be {' or '.join(words)} {got}"
    if other := re.fullmatch(r"Expected `(\w+)` (.+)", said):
        return f"must be {_TOML_WORD.get(other[1], other[1])} {other[2]} {got}"
    return f"{said} {got}"
