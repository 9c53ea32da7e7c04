"""What an exception or a result counts as, by the predicates of the settings."""

from __future__ import annotations

from enum import Enum

from agent.errors import BreakerOpen
from agent.resilience.breaker_settings import BreakerSettings, ErrorMatch, ResultMatch

__all__ = ["Judge", "Verdict"]


class Verdict(Enum):
    """What the end of a call says about its target."""

    PASSED = "passed"
    FAILED = "failed"
    IGNORED = "ignored"
    """Nothing: it counts neither way."""
    CANCELLED = "cancelled"
    """Nothing either: the caller went away."""


class Judge:
    """Applies the predicates. One that raises makes the call count as failed, and is logged the first time.

    Args:
        name: Name of the breaker, for the log.
        settings: `record_*`, `ignore_*`, `counts_open_errors`.

    Attributes:
        predicate_errors: How often a predicate raised.
    """

    __slots__ = ("_name", "_settings", "predicate_errors")

    def __init__(self, name: str, settings: BreakerSettings) -> None:
        self._name = name
        self._settings = settings
        self.predicate_errors = 0

    def of_error(self, error: BaseException) -> Verdict:
        """Judge what a call raised; what is no `Exception` (a cancellation, an exit) says nothing about the target."""
        if not isinstance(error, Exception):
            return Verdict.CANCELLED
        if isinstance(error, BreakerOpen) and not self._settings.counts_open_errors:
            return Verdict.IGNORED
        try:
            if _matches(self._settings.ignore_errors, error):
                return Verdict.IGNORED
            return Verdict.FAILED if _matches(self._settings.record_errors, error) else Verdict.PASSED
        except Exception as mistake:  # noqa: BLE001 - a user's predicate may raise anything
            return self._mistaken(mistake)

    def of_result(self, result: object) -> Verdict:
        """Judge what a call returned."""
        try:
            if _holds(self._settings.ignore_result, result):
                return Verdict.IGNORED
            return Verdict.FAILED if _holds(self._settings.record_result, result) else Verdict.PASSED
        except Exception as mistake:  # noqa: BLE001 - a user's predicate may raise anything
            return self._mistaken(mistake)

    def _mistaken(self, mistake: Exception) -> Verdict:
        self.predicate_errors += 1
        if self.predicate_errors == 1:
            import structlog

            structlog.get_logger().error("breaker.predicate_failed", breaker=self._name, error=repr(mistake)[:500])
        return Verdict.FAILED


def _matches(match: ErrorMatch, error: Exception) -> bool:
    if isinstance(match, tuple):
        return any(_matches(part, error) for part in match)
    if isinstance(match, type):
        return isinstance(error, match)
    return bool(match(error))


def _holds(match: ResultMatch | None, result: object) -> bool:
    return match is not None and bool(match(result))
