"""Says in words what a section may hold, and writes values as TOML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

__all__ = ["KeyDescription", "describe", "toml_value"]

_UNIT_BY_SUFFIX = {
    "_s": "seconds",
    "_bytes": "bytes",
    "_ratio": "ratio",
    "_count": "count",
    "_hz": "hertz",
    "_dir": "folder",
    "_file": "file",
}
_WORD_BY_TYPE: Mapping[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "text", Any: "anything"}


@dataclass(frozen=True, slots=True)
class KeyDescription:
    """One key of a section.

    Attributes:
        key: Dotted below the section: `breaker.open_s`.
        type: What it may hold: `number, > 0, seconds`.
        default: As TOML; "" when the key must be set.
    """

    key: str
    type: str
    default: str


def describe(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[KeyDescription]:
    """Every key of a section, those of its tables included, in the order of the struct."""
    for field in msgspec.structs.fields(struct):
        key = prefix + field.encode_name
        bare = get_args(field.type)[0] if get_origin(field.type) is Annotated else field.type
        if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
            yield from describe(bare, f"{key}.")
            continue
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        unit = next((word for suffix, word in _UNIT_BY_SUFFIX.items() if key.endswith(suffix)), "")
        words = [*_type_words(field.type), unit]
        text = "" if default is msgspec.NODEFAULT else toml_value(msgspec.to_builtins(default))
        yield KeyDescription(key, ", ".join(word for word in words if word), text)


def toml_value(value: Any) -> str:
    """A plain value as TOML would write it on one line; None, which TOML cannot write, is `unset`."""
    match value:
        case None:
            text = "unset"
        case bool():
            text = "true" if value else "false"
        case str():
            text = json.dumps(value, ensure_ascii=False)
        case list() | tuple():
            text = f"[{', '.join(map(toml_value, value))}]"
        case dict():
            text = f"{{{', '.join(f'{_key(key)} = {toml_value(item)}' for key, item in value.items())}}}"
        case _:
            text = str(value)
    return text


def _key(name: str) -> str:
    is_bare = name.isascii() and name.replace("-", "_").isidentifier()
    return name if is_bare else json.dumps(name, ensure_ascii=False)


def _type_words(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Annotated:
        bare, *metas = get_args(annotation)
        yield from _type_words(bare)
        for meta in metas:
            yield from _bounds(meta)
        return
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        yield " or ".join(map(toml_value, arguments))
    elif origin in {tuple, list, frozenset, set}:
        yield f"array of {' '.join(_type_words(arguments[0]))}"
    elif origin is dict:
        yield f"table of {' '.join(_type_words(arguments[1]))}"
    elif arguments:
        yield " or ".join(" ".join(_type_words(one)) for one in arguments if one is not type(None))
    else:
        yield _WORD_BY_TYPE.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(meta: Any) -> Iterator[str]:
    for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="), ("min_length", "length >=")):
        bound = getattr(meta, name, None)
        if bound is not None:
            yield f"{sign} {bound}"
