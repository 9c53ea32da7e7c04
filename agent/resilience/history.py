"""What went wrong so far, grouped and bounded. Keeps texts and counts, never an exception, a traceback or a frame."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from agent.contracts import ErrorSeverity

__all__ = ["ErrorHistory", "ErrorRecord", "error_text"]

MAX_MESSAGE = 500
OTHER = "(other)"
_CHANGING = re.compile(r"0x[0-9a-fA-F]+|\d+")


@dataclass(slots=True)
class ErrorRecord:
    """Errors that are equal but for the numbers in their text.

    Attributes:
        message: Text of the latest, at most 500 characters.
        fingerprint: 16 hexadecimal digits, the same for equal errors in every run.
        severity: Of the latest.
        count: How many, >= 1.
        first_ns, last_ns: Wall clock of the first and the latest, UTC nanoseconds.
    """

    component: str
    operation: str
    error_type: str
    message: str
    fingerprint: str
    severity: ErrorSeverity
    count: int
    first_ns: int
    last_ns: int


class ErrorHistory:
    """The latest kinds of error, and exact counts of all.

    Args:
        max_records: Kinds kept, >= 1; the one unseen for longest makes room, its count stays in the totals.

    Attributes:
        total: Errors ever added.
        forgotten: Of these, those whose record had to make room.
    """

    def __init__(self, max_records: int = 1000) -> None:
        if max_records < 1:
            raise ValueError(f"max_records must be >= 1 (got {max_records})")
        self.total = 0
        self.forgotten = 0
        self._max_records = max_records
        self._records: dict[tuple[str, str, str, str], ErrorRecord] = {}
        self._by_component = _Tally(max_records)
        self._by_type = _Tally(max_records)
        self._by_severity = _Tally(len(ErrorSeverity))

    def add(
        self, component: str, operation: str, error: BaseException, severity: ErrorSeverity, now_ns: int
    ) -> ErrorRecord:
        """Count an error and return the record of its kind."""
        name, message = type(error).__name__, error_text(error)
        self.total += 1
        self._by_component.add(component)
        self._by_type.add(name)
        self._by_severity.add(severity.value)
        key = (component, operation, name, _CHANGING.sub("#", message))
        record = self._records.pop(key, None)
        if record is None:
            record = ErrorRecord(component, operation, name, message, _fingerprint(key), severity, 0, now_ns, now_ns)
            self._make_room()
        record.count += 1
        record.message, record.severity, record.last_ns = message, severity, now_ns
        self._records[key] = record
        return record

    def records(self) -> tuple[ErrorRecord, ...]:
        """The kinds kept, the one seen last at the end. They go on counting; copy what must stay."""
        return tuple(self._records.values())

    def by_component(self) -> Mapping[str, int]:
        """Errors of each component, exact; beyond `max_records` components under "(other)"."""
        return dict(self._by_component.counts)

    def by_type(self) -> Mapping[str, int]:
        """Errors of each class name, exact; beyond `max_records` names under "(other)"."""
        return dict(self._by_type.counts)

    def by_severity(self) -> Mapping[str, int]:
        return dict(self._by_severity.counts)

    def _make_room(self) -> None:
        if len(self._records) >= self._max_records:
            oldest = next(iter(self._records))
            self.forgotten += self._records.pop(oldest).count


class _Tally:
    """Counts of at most so many names; what comes after them is counted together."""

    __slots__ = ("_max_names", "counts")

    def __init__(self, max_names: int) -> None:
        self._max_names = max_names
        self.counts: dict[str, int] = {}

    def add(self, name: str) -> None:
        counts = self.counts
        if name not in counts and len(counts) >= self._max_names:
            name = OTHER
        counts[name] = counts.get(name, 0) + 1


def error_text(error: BaseException) -> str:
    """What an error says, at most 500 characters; says so when even that fails."""
    try:
        return str(error)[:MAX_MESSAGE]
    except Exception as broken:  # noqa: BLE001 - an error's own __str__ may do anything
        return f"(no text: __str__ raised {type(broken).__name__})"


def _fingerprint(key: tuple[str, ...]) -> str:
    return blake2b("\0".join(key).encode(errors="backslashreplace"), digest_size=8).hexdigest()
