"""The states of a circuit and the settings of a breaker."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["BreakerSettings", "CircuitState", "ErrorMatch", "ResultMatch"]

ErrorMatch = type[BaseException] | Callable[[Exception], bool] | tuple[Any, ...]
"""An exception class, a function of the exception, or a tuple of these of which one must match."""

ResultMatch = Callable[[Any], bool]


class CircuitState(Enum):
    """What a breaker does with calls; the first three follow each other by themselves, the others are set by hand."""

    CLOSED = "closed"
    """Calls are made and their outcomes counted."""
    OPEN = "open"
    """Calls are refused until the wait is over."""
    HALF_OPEN = "half_open"
    """A few calls, the probes, are let through; what becomes of them decides."""
    FORCED_OPEN = "forced_open"
    """Calls are refused until somebody resets the breaker."""
    DISABLED = "disabled"
    """Calls are made, nothing is judged."""
    METRICS_ONLY = "metrics_only"
    """Calls are made and counted; a trip is noted as `would_have_opened`, never carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """When a breaker trips, how long it stays open, and how it finds out that the target is back.

    Attributes:
        failure_ratio: Share of failed calls in the window, in (0, 1], from which it trips; None: not watched.
        min_calls: Calls in the window, >= 1, below which no ratio is judged.
        window_calls: The window is this many last calls, >= 1, unless `window_s` is set.
        window_s: The window is the calls of this many last seconds, > 0, in twenty steps; None: `window_calls` counts.
        consecutive_failures: Failures in a row, >= 1, that trip it; None: not watched.
        slow_call_s: Seconds, > 0, from which a call is slow, running ones included; None: not watched.
        slow_ratio: Share of slow calls in the window, in (0, 1], from which it trips.
        open_s: First wait while open, seconds, > 0.
        backoff_factor: Each failed round multiplies the wait by this, 1 to 1000.
        max_open_s: Longest wait before jitter, seconds, >= `open_s`.
        jitter_ratio: Waits vary by this share up and down, in [0, 1]; 0: not at all.
        soft_reset_s: None: the wait starts over with the first close. Else so many seconds closed forget one round.
        probes: Successful probes, >= 1, that close it again.
        concurrent_probes: Probes, >= 1, that may run at once.
        probe_lease_s: Seconds, > 0, after which a probe without outcome loses its place; None: twice `slow_call_s`, at least 5.
        expired_probe_fails: True: such a probe counts as failed. False: its place is only given to the next.
        max_half_open_s: Longest stay half-open, seconds, > 0; 0: no limit.
        after_half_open: Where that stay ends: OPEN (with the same wait again) or CLOSED.
        record_errors: Which exceptions are failures; the others count as success.
        ignore_errors: Which exceptions count as nothing at all; wins over `record_errors`.
        record_result: Which results are failures; None: none is.
        ignore_result: Which results count as nothing at all; None: none does.
        counts_open_errors: True: `BreakerOpen` out of the guarded call, an inner breaker's, is judged like other errors; False:
            it counts as nothing.

    Raises:
        ValueError: Settings out of range; one line for each.
    """

    failure_ratio: float | None = 0.5
    min_calls: int = 10
    window_calls: int = 100
    window_s: float | None = None
    consecutive_failures: int | None = None
    slow_call_s: float | None = 10.0
    slow_ratio: float = 0.8
    open_s: float = 5.0
    backoff_factor: float = 2.0
    max_open_s: float = 120.0
    jitter_ratio: float = 0.2
    soft_reset_s: float | None = None
    probes: int = 3
    concurrent_probes: int = 1
    probe_lease_s: float | None = None
    expired_probe_fails: bool = True
    max_half_open_s: float = 60.0
    after_half_open: CircuitState = CircuitState.OPEN
    record_errors: ErrorMatch = Exception
    ignore_errors: ErrorMatch = ()
    record_result: ResultMatch | None = None
    ignore_result: ResultMatch | None = None
    counts_open_errors: bool = False

    def __post_init__(self) -> None:
        problems = [*self._numbers_out_of_range(), *self._bad_matches(), *self._contradictions()]
        if problems:
            raise ValueError("\n".join(problems))

    @property
    def lease_s(self) -> float:
        """How long a probe may take, seconds, with the default worked out."""
        if self.probe_lease_s is not None:
            return self.probe_lease_s
        return max(5.0, 2 * (self.slow_call_s or 0.0))

    def _numbers_out_of_range(self) -> Iterator[str]:
        for name, (is_fine, wanted) in _RANGES.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if not (is_number and is_fine(value)):
                yield f"BreakerSettings.{name} must be {wanted}{' or None' if name in _OPTIONAL else ''} (got {value!r})"

    def _bad_matches(self) -> Iterator[str]:
        for name in ("record_errors", "ignore_errors"):
            if not _is_error_match(getattr(self, name)):
                yield (
                    f"BreakerSettings.{name} must be an exception class, a plain function of the exception, "
                    f"or a tuple of these (got {getattr(self, name)!r})"
                )
        for name in ("record_result", "ignore_result"):
            match = getattr(self, name)
            if match is not None and not _is_plain_function(match):
                yield f"BreakerSettings.{name} must be a plain function of the result or None (got {match!r})"

    def _contradictions(self) -> Iterator[str]:
        if self.after_half_open not in (CircuitState.OPEN, CircuitState.CLOSED):
            yield f"BreakerSettings.after_half_open must be CircuitState.OPEN or CLOSED (got {self.after_half_open!r})"
        for low, high in _ORDERED:
            small, large = getattr(self, low), getattr(self, high)
            if _are_numbers(small, large) and large and large < small:
                yield f"BreakerSettings.{high} must be >= {low}, {small!r} (got {large!r})"
        if (
            self.window_s is None
            and _are_numbers(self.min_calls, self.window_calls)
            and self.window_calls < self.min_calls
        ):
            yield f"BreakerSettings.window_calls must be >= min_calls, {self.min_calls!r} (got {self.window_calls!r})"
        if (self.failure_ratio, self.consecutive_failures, self.slow_call_s) == (None, None, None):
            yield "BreakerSettings watches nothing: failure_ratio, consecutive_failures or slow_call_s must be set (got None)"


def _is_whole(value: float) -> bool:
    return isinstance(value, int) and value >= 1


def _is_positive(value: float) -> bool:
    return value > 0


_WHOLE = (_is_whole, "a whole number >= 1")
_SHARE = (lambda value: 0 < value <= 1, "> 0 and <= 1")
_POSITIVE = (_is_positive, "seconds > 0")

_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "failure_ratio": _SHARE,
    "min_calls": _WHOLE,
    "window_calls": _WHOLE,
    "window_s": _POSITIVE,
    "consecutive_failures": _WHOLE,
    "slow_call_s": _POSITIVE,
    "slow_ratio": _SHARE,
    "open_s": _POSITIVE,
    "backoff_factor": (lambda value: 1 <= value <= 1000, ">= 1 and <= 1000"),
    "max_open_s": _POSITIVE,
    "jitter_ratio": (lambda value: 0 <= value <= 1, ">= 0 and <= 1"),
    "soft_reset_s": _POSITIVE,
    "probes": _WHOLE,
    "concurrent_probes": _WHOLE,
    "probe_lease_s": _POSITIVE,
    "max_half_open_s": (lambda value: value >= 0, "seconds >= 0"),
}
_OPTIONAL = frozenset(name for name in _RANGES if "None" in str(BreakerSettings.__annotations__[name]))
_ORDERED = (("open_s", "max_open_s"), ("lease_s", "max_half_open_s"))


def _is_plain_function(match: object) -> bool:
    return callable(match) and not isinstance(match, type) and not inspect.iscoroutinefunction(match)


def _is_error_match(match: object) -> bool:
    if isinstance(match, tuple):
        return all(_is_error_match(part) for part in match)
    if isinstance(match, type):
        return issubclass(match, BaseException)
    return _is_plain_function(match)


def _are_numbers(*values: object) -> bool:
    return all(isinstance(value, (int, float)) for value in values)
