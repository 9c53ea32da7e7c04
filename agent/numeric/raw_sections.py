"""Reads the one number that matters out of a section of raw system metrics, whatever shape it arrives in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import isfinite, isnan
from typing import Any

__all__ = ["NoValue", "io_total", "plain", "read_section", "section_fields"]

_USAGE_KEYS = ("usage_percent", "percent", "total_percent")
_RATE_KEYS = ("rate_mbps", "bandwidth_mbps")
_TOTAL_KEYS = ("bytes_sent", "bytes_recv", "read_bytes", "write_bytes")
_MAX_DEPTH = 8
_BITS_PER_MEGABIT = 1e6


class NoValue(ValueError):
    """A section holds no usable number; the text says what was there instead."""


def section_fields(section: Mapping[Any, Any]) -> dict[Any, Any]:
    """The section's own fields over those nested under `data`."""
    nested = section.get("data")
    return {**nested, **section} if isinstance(nested, Mapping) else dict(section)


def read_section(fields: Mapping[Any, Any], rate_of: Callable[[int | float], float]) -> float:
    """The section's number: percent in use, or megabits a second.

    The first of these that is there decides: `usage_percent`, `percent`, `total_percent`; `rate_mbps`, `bandwidth_mbps`; the
    fullest of `partitions[]`; `io_stats` (with a rate, or with running byte totals, flat or one mapping an interface).

    Args:
        fields: See `section_fields`.
        rate_of: Change per second of the section's running total, NaN while there is none.

    Raises:
        NoValue: Nothing of that is there, or what is there is no finite number >= 0.
    """
    for key in (*_USAGE_KEYS, *_RATE_KEYS):
        if fields.get(key) is not None:
            return _number(key, fields[key])
    if fields.get("partitions") is not None:
        return _fullest(fields["partitions"])
    if fields.get("io_stats") is not None:
        return _throughput(fields["io_stats"], rate_of)
    raise NoValue(f"none of {', '.join((*_USAGE_KEYS, *_RATE_KEYS))}, partitions, io_stats has a value")


def plain(value: Any, depth: int = 0) -> Any:
    """The same as values that JSON knows: NaN and infinities become None, what JSON does not know becomes its text."""
    if value is None or isinstance(value, bool | int | str):
        return value if type(value) in {type(None), bool, int, str} else _unsubclassed(value)
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        return {str(key): plain(inner, depth + 1) for key, inner in value.items()}
    if depth < _MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [plain(inner, depth + 1) for inner in value]
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        return plain(item(), depth + 1) if depth < _MAX_DEPTH else str(value)
    return _text(value)


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool | str | bytes) or not hasattr(type(value), "__float__"):
        raise NoValue(f"{key} must be a number (got {_text(value)!r:.60})")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise NoValue(f"{key} must be a number (got {type(value).__name__})") from error
    if not (isfinite(number) and number >= 0):
        raise NoValue(f"{key} must be finite and >= 0 (got {number!r})")
    return number


def _fullest(partitions: Any) -> float:
    if not isinstance(partitions, Iterable) or isinstance(partitions, str | bytes | Mapping):
        raise NoValue(f"partitions must be a list (got {type(partitions).__name__})")
    usable = [number for partition in partitions for number in _usage(partition)]
    if not usable:
        raise NoValue("no partition has a usable percent")
    return max(usable)


def _usage(partition: Any) -> list[float]:
    if not isinstance(partition, Mapping):
        return []
    for key in _USAGE_KEYS:
        if partition.get(key) is not None:
            try:
                return [_number(key, partition[key])]
            except NoValue:
                return []
    usage = partition.get("usage")
    return _usage(usage) if isinstance(usage, Mapping) and usage is not partition else []


def _throughput(io_stats: Any, rate_of: Callable[[int | float], float]) -> float:
    if not isinstance(io_stats, Mapping):
        raise NoValue(f"io_stats must be a mapping (got {type(io_stats).__name__})")
    for key in _RATE_KEYS:
        if io_stats.get(key) is not None:
            return _number(f"io_stats.{key}", io_stats[key])
    bytes_per_s = rate_of(io_total(io_stats))
    if isnan(bytes_per_s):
        raise NoValue("io_stats holds running totals; the rate comes with the next reading")
    return bytes_per_s * 8 / _BITS_PER_MEGABIT


def io_total(io_stats: Mapping[Any, Any]) -> int | float:
    """Sum of the running byte totals in `io_stats` or, where it holds one mapping an interface or disk, in those.

    Raises:
        NoValue: There is none.
    """
    parts = [io_stats, *(part for part in io_stats.values() if isinstance(part, Mapping))]
    totals = [part[key] for part in parts for key in _TOTAL_KEYS if part.get(key) is not None]
    if not totals:
        raise NoValue(f"io_stats has none of {', '.join((*_RATE_KEYS, *_TOTAL_KEYS))}")
    checked = [(_number("io_stats", total), total) for total in totals]
    return sum(total if isinstance(total, int) else number for number, total in checked)


def _unsubclassed(value: Any) -> Any:
    """Enum members and other children of int and str, as the plain value."""
    return str.__str__(value) if isinstance(value, str) else int(value)


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a foreign __str__ may raise anything, and this is for display only
        return f"<{type(value).__name__}: {type(error).__name__}>"
