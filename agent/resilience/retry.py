"""When to try again, and how long to wait before: the decisions, without the waiting. Sans-I/O."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from agent.errors import BreakerOpen, RebellionError
from agent.resilience.budget import Budget
from agent.resilience.history import error_text

__all__ = ["Attempts", "RetriesExhausted", "RetrySettings", "RetryWaits", "hint_s", "is_transient"]

RetryOn = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]
"""An exception class, several, or a function of the exception."""

NOTE_START = "retried: "
MAX_NOTED_ATTEMPTS = 10


class RetriesExhausted(RebellionError):
    """Raised instead of the last error, from it, when `RetrySettings.wraps_last_error` asks for that.

    Attributes:
        attempts: How many were made, >= 1.
        reason: What ended it; see `Attempts.stopped_by`.
    """

    def __init__(self, attempts: int, reason: str, last: str) -> None:
        super().__init__(f"gave up after {attempts} attempts ({reason}); last error: {last}")
        self.attempts = attempts
        self.reason = reason


def is_transient(error: Exception) -> bool:
    """Whether trying again may help: not with our own mistakes, nor against an open breaker or an empty budget."""
    return not isinstance(error, (ValueError, TypeError, BreakerOpen, RetriesExhausted))


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """How often, how far apart, and until when.

    Attributes:
        max_attempts: Calls in all, the first included, >= 1; 1: no retry.
        first_wait_s: Wait before the second attempt, seconds, >= 0.
        backoff_factor: Each wait is so many times the one before, >= 1.
        max_wait_s: Longest wait, seconds, >= 0; jitter comes after this cap.
        jitter_ratio: Share of each wait that is left to chance, in [0, 1]; 1: anything from 0 to the wait, 0: exactly the wait.
        max_hint_s: Longest wait that the other end may ask for (`retry_after_s`, `retry_after`), seconds, >= 0; 0: not heeded.
        deadline_s: Seconds, > 0, for all attempts and waits together; cuts a hanging attempt. None: no limit.
        retry_on: Which errors are retried. Cancellation never is, whatever this says.
        wraps_last_error: True: `RetriesExhausted` from the last error comes out; False: the last error itself, with a note.

    Raises:
        ValueError: A figure is out of its range.
    """

    max_attempts: int = 3
    first_wait_s: float = 0.1
    backoff_factor: float = 2.0
    max_wait_s: float = 20.0
    jitter_ratio: float = 1.0
    max_hint_s: float = 60.0
    deadline_s: float | None = None
    retry_on: RetryOn = is_transient
    wraps_last_error: bool = False

    def __post_init__(self) -> None:
        for name, least, most in (
            ("max_attempts", 1, math.inf),
            ("first_wait_s", 0, math.inf),
            ("backoff_factor", 1, math.inf),
            ("max_wait_s", 0, math.inf),
            ("jitter_ratio", 0, 1),
            ("max_hint_s", 0, math.inf),
        ):
            value = getattr(self, name)
            if not (least <= value <= most) or math.isinf(value):
                wanted = f">= {least}" if math.isinf(most) else f"in [{least}, {most}]"
                raise ValueError(f"RetrySettings.{name} must be {wanted} and finite (got {value})")
        if self.deadline_s is not None and not self.deadline_s > 0:
            raise ValueError(f"RetrySettings.deadline_s must be > 0 or None (got {self.deadline_s})")

    def wait_s(self, failures: int, rng: random.Random) -> float:
        """The wait after so many failures, >= 1, in a row, seconds."""
        try:
            grown_s = self.first_wait_s * float(self.backoff_factor) ** (failures - 1)
        except OverflowError:
            grown_s = math.inf if self.first_wait_s else 0.0
        return min(self.max_wait_s, grown_s) * (1.0 - self.jitter_ratio * rng.random())

    def hinted_wait_s(self, hint: float, rng: random.Random) -> float:
        """The wait when the other end asked for `hint` seconds: never less, some more, at most `max_hint_s`."""
        return min(self.max_hint_s, hint * (1.0 + self.jitter_ratio * rng.random()))

    def retries(self, error: Exception) -> bool:
        """Whether `retry_on` names this error."""
        wanted = self.retry_on
        return isinstance(error, wanted) if isinstance(wanted, (type, tuple)) else bool(wanted(error))


def hint_s(error: BaseException) -> float | None:
    """Seconds that the other end asked us to wait, from `retry_after_s` or `retry_after`; None when it did not."""
    for name in ("retry_after_s", "retry_after"):
        hint = getattr(error, name, None)
        if isinstance(hint, (int, float)) and not isinstance(hint, bool) and math.isfinite(hint) and hint >= 0:
            return float(hint)
    return None


def _is_cancellation(error: Exception) -> bool:
    """A cancelled future of a thread pool raises an `Exception`, unlike asyncio's."""
    from concurrent.futures import CancelledError

    return isinstance(error, CancelledError)


class RetryWaits:
    """The waits of a loop that goes on for ever, such as reconnecting: longer with each failure, from the start after a success.

    Args:
        settings: `first_wait_s`, `backoff_factor`, `max_wait_s`, `jitter_ratio`, `max_hint_s`.
        rng: Source of the jitter.
        healthy_s: A failure so many seconds after the one before starts over as well, > 0; None: only a success does.
    """

    __slots__ = ("_failed_at_s", "_healthy_s", "_rng", "_settings", "failures")

    def __init__(self, settings: RetrySettings, rng: random.Random, *, healthy_s: float | None = None) -> None:
        self._settings = settings
        self._rng = rng
        self._healthy_s = healthy_s
        self._failed_at_s = -math.inf
        self.failures = 0

    def failed(self, now_s: float, error: BaseException | None = None) -> float:
        """How long to wait after this failure, seconds.

        Args:
            now_s: Monotonic seconds.
            error: Asked for a hint of the other end.
        """
        if self._healthy_s is not None and now_s - self._failed_at_s >= self._healthy_s:
            self.failures = 0
        self.failures += 1
        hint = None if error is None else hint_s(error)
        if hint is not None and self._settings.max_hint_s:
            wait_s = self._settings.hinted_wait_s(hint, self._rng)
        else:
            wait_s = self._settings.wait_s(self.failures, self._rng)
        self._failed_at_s = now_s + wait_s
        return wait_s

    def succeeded(self) -> None:
        """All is well: the next failure waits as the first did."""
        self.failures = 0


class Attempts:
    """The attempts of one call.

    It is a context manager: a cancelled retry costs the budget nothing. Put a deadline of one's own inside it.

    Args:
        settings: See `RetrySettings`.
        rng: Source of the jitter.
        now_s: Monotonic seconds at which the call began.
        budget: Asked before each retry; None: no limit.
        until_s: Monotonic moment at which somebody else's deadline ends the call; the earlier of the two counts.

    Attributes:
        made: Attempts that have failed so far.
        stopped_by: `attempts`, `budget`, `deadline`, `not_retryable` or `predicate_failed` (`retry_on` raised), once `failed`
            has returned None; "" before.
    """

    __slots__ = ("_budget", "_hinted", "_notes", "_rng", "_settings", "_until_s", "made", "stopped_by")

    def __init__(
        self,
        settings: RetrySettings,
        rng: random.Random,
        now_s: float,
        *,
        budget: Budget | None = None,
        until_s: float = math.inf,
    ) -> None:
        self.made = 0
        self.stopped_by = ""
        self._settings = settings
        self._rng = rng
        self._budget = budget
        self._until_s = min(until_s, now_s + (settings.deadline_s or math.inf))
        self._hinted: bool | None = None
        self._notes: list[str] = []
        if budget is not None:
            budget.called(now_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, Exception):
            self.give_back()

    def give_back(self) -> None:
        """The retry that was granted last is not made."""
        if self._hinted is not None and self._budget is not None:
            self._budget.give_back(is_hinted=self._hinted)
        self._hinted = None

    def failed(self, error: Exception, now_s: float) -> float | None:
        """An attempt failed: how many seconds to wait before the next; None when there is none (see `stopped_by`)."""
        self.made += 1
        self._hinted = None
        self._notes = [
            *self._notes[1 - MAX_NOTED_ATTEMPTS :],
            f"{self.made}: {type(error).__name__}: {error_text(error)}",
        ]
        hint = hint_s(error) if self._settings.max_hint_s else None
        wait_s = self._wait_s(hint)
        self.stopped_by = self._why_not(error, now_s + wait_s)
        if self.stopped_by:
            return None
        if self._budget is not None:
            if not self._budget.take(now_s, is_hinted=hint is not None):
                self.stopped_by = "budget"
                return None
            self._hinted = hint is not None
        return wait_s

    def succeeded(self) -> None:
        """The last attempt went well."""
        self._hinted = None
        if self._budget is not None:
            self._budget.succeeded()

    def final(self, error: Exception) -> Exception:
        """What the caller gets in the end: the error, with a note of the attempts when there were several."""
        if self._settings.wraps_last_error:
            wrapper = RetriesExhausted(self.made, self.stopped_by, f"{type(error).__name__}: {error_text(error)}")
            wrapper.__cause__ = error
            return wrapper
        if self.made > 1:
            self._note(error)
        return error

    def _wait_s(self, hint: float | None) -> float:
        if hint is None:
            return self._settings.wait_s(self.made, self._rng)
        return self._settings.hinted_wait_s(hint, self._rng)

    def _why_not(self, error: Exception, next_s: float) -> str:
        try:
            if _is_cancellation(error) or not self._settings.retries(error):
                return "not_retryable"
        except Exception:  # noqa: BLE001 - whatever the predicate does, the caller gets the call's own error
            return "predicate_failed"
        if self.made >= self._settings.max_attempts:
            return "attempts"
        return "deadline" if next_s > self._until_s else ""

    def _note(self, error: Exception) -> None:
        """One note an error: the same object may be raised in one call after the other."""
        others = [note for note in getattr(error, "__notes__", ()) if not str(note).startswith(NOTE_START)]
        text = f"{NOTE_START}{self.made} attempts, ended by {self.stopped_by}\n" + "\n".join(self._notes)
        error.__notes__ = [*others, text]
