"""Reads a history from CSV: a column of times, and a column for each series."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agent.errors import RebellionError
from agent.model import Series

if TYPE_CHECKING:
    from agent.model import FloatArray

__all__ = ["CsvHistory", "read_history"]

_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})
_LATEST_S = 1e11
"""Some three thousand years after 1970: what is larger was not meant as seconds."""
_MAX_BACKWARD_RATIO = 0.1
_LABELLED = re.compile(r"([A-Za-z_][\w.:]*)\{(.*)\}")
_LABEL = re.compile(r'([A-Za-z_]\w*)="([^"]*)"')


@dataclass(frozen=True, slots=True, eq=False)
class CsvHistory:
    """Some series over time.

    Attributes:
        series: One for each column of values.
        times_s: Unix seconds, shape (rows,), never falling.
        values: Shape (rows, series), float64; NaN is missing.
        backward_rows: Rows whose time lay before that of the row before; they were given that one's time.
    """

    series: tuple[Series, ...]
    times_s: FloatArray
    values: FloatArray
    backward_rows: int


def read_history(path: Path) -> CsvHistory:
    """Read a file whose first column is a time (Unix seconds or ISO 8601, UTC unless it says otherwise) and the others numbers.

    A first line without a time names the columns. Empty cells and `nan` are missing values.

    Raises:
        RebellionError: It is no such file; names line and column.
        OSError: It cannot be read.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            return _Reading(path).read(csv.reader(file, strict=True))
        except UnicodeDecodeError as error:
            raise RebellionError(
                f"{path}: must be UTF-8 text (byte {error.object[error.start]:#04x} is not)"
            ) from error


class _Reading:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._line = 0
        self._names: list[str] = []
        self._times = array("d")
        self._values = array("d")
        self._backward: list[int] = []

    def read(self, reader: Iterator[list[str]]) -> CsvHistory:
        for row in self._rows(reader):
            if not self._names and self._begin(row):
                continue
            self._take(row)
        if not self._times:
            raise RebellionError(f"{self._path}: there is no row of values")
        if len(self._backward) > _MAX_BACKWARD_RATIO * len(self._times):
            self._line = self._backward[0]
            raise self._wrong("the time lies before that of the row above; sort the file by time, the oldest first")
        values = np.array(self._values).reshape(len(self._times), len(self._names))
        return CsvHistory(tuple(map(_series, self._names)), np.array(self._times), values, len(self._backward))

    def _rows(self, reader: Iterator[list[str]]) -> Iterator[list[str]]:
        """Rows that hold something; keeps the number of their line."""
        try:
            for row in reader:
                self._line = getattr(reader, "line_num", self._line + 1)
                if row:
                    yield row
        except csv.Error as error:
            self._line += 1
            raise self._wrong(f"not a line of CSV ({error})") from error

    def _begin(self, row: list[str]) -> bool:
        """Name the columns; True when the row did that itself."""
        if len(row) < 2:
            raise self._wrong(f"a time and at least one value are needed, with commas between (got {row[0][:60]!r})")
        is_header = _time_s(row[0]) is None and not any(_is_number(cell) for cell in row[1:])
        count = len(row) - 1
        self._names = (
            [name.strip() for name in row[1:]]
            if is_header
            else ["value"]
            if count == 1
            else [f"value_{place}" for place in range(1, count + 1)]
        )
        for place, name in enumerate(self._names, 2):
            if not name or name in self._names[: place - 2]:
                problem = f"has the name {name!r} of another column" if name else "has no name"
                raise self._wrong(f"column {place} {problem}")
        return is_header

    def _take(self, row: list[str]) -> None:
        if len(row) != len(self._names) + 1:
            raise self._wrong(f"{len(self._names) + 1} columns are needed, as in the first line (got {len(row)})")
        self._times.append(self._time(row[0]))
        self._values.extend(self._number(name, cell) for name, cell in zip(self._names, row[1:], strict=True))

    def _time(self, cell: str) -> float:
        time_s = _time_s(cell)
        if time_s is None:
            raise self._wrong(f"the time must be Unix seconds or like 2026-05-01 12:00:00 (got {cell[:40]!r})")
        if abs(time_s) > _LATEST_S:
            raise self._wrong(f"the time must be seconds since 1970, not parts of them (got {cell[:40]!r})")
        if self._times and time_s < self._times[-1]:
            self._backward.append(self._line)
            return self._times[-1]
        return time_s

    def _number(self, name: str, cell: str) -> float:
        text = cell.strip()
        if text.lower() in _MISSING:
            return nan
        try:
            return float(text)
        except ValueError:
            raise self._wrong(f"column {name!r} must be a number, or empty (got {cell[:40]!r})") from None

    def _wrong(self, problem: str) -> RebellionError:
        return RebellionError(f"{self._path}:{self._line}: {problem}")


def _time_s(cell: str) -> float | None:
    text = cell.strip()
    if _is_number(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _series(column: str) -> Series:
    """The series that a column names; `name{label="value"}` has labels."""
    labelled = _LABELLED.fullmatch(column)
    return Series(labelled[1], tuple(sorted(_LABEL.findall(labelled[2])))) if labelled else Series(column)
