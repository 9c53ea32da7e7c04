"""A breaker seen from outside: its counts, a snapshot, and the state that outlives a restart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from agent.resilience.breaker_settings import CircuitState

__all__ = ["BreakerSnapshot", "SavedState", "Totals"]

_FORMAT = 1


@dataclass(slots=True)
class Totals:
    """What a breaker has counted since it was made; no reset takes anything back.

    Attributes:
        successes, failures: Calls of each outcome.
        slow: Calls that took `slow_call_s` or longer; also among the two above.
        ignored: Calls that the predicates call nothing at all.
        cancelled: Calls that were cancelled from outside.
        stale_results: Outcomes that came after the state they were admitted in was over; they changed nothing.
        rejected: Calls refused.
        trips: How often it opened, reopened probes included.
        would_have_opened: How often it would have, in METRICS_ONLY.
    """

    successes: int = 0
    failures: int = 0
    slow: int = 0
    ignored: int = 0
    cancelled: int = 0
    stale_results: int = 0
    rejected: int = 0
    trips: int = 0
    would_have_opened: int = 0


@dataclass(frozen=True, slots=True)
class BreakerSnapshot:
    """A breaker at one moment; all figures belong together.

    Attributes:
        name: Name of the breaker.
        state: As `Breaker.state`.
        since_s: When it came into this state, on its clock.
        retry_in_s: As `Breaker.retry_in_s`.
        calls, failures, slow: What the window holds.
        in_flight: Calls running now, admitted in this state.
        overdue: Those among them that are slow already.
        failed_rounds: Rounds that the next wait builds on.
        last_failure: Text of the last failure, at most 500 characters; "" when there was none.
        totals: Counts since the breaker was made.
        predicate_errors, listener_errors: How often the user's functions raised.
        dropped_events: Events that no listener saw because they came too fast.
    """

    name: str
    state: CircuitState
    since_s: float
    retry_in_s: float
    calls: int
    failures: int
    slow: int
    in_flight: int
    overdue: int
    failed_rounds: int
    last_failure: str
    totals: Totals
    predicate_errors: int
    listener_errors: int
    dropped_events: int

    @property
    def failure_ratio(self) -> float:
        """Share of failed calls in the window, 0 to 1; 0 without calls."""
        return self.failures / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class SavedState:
    """What of a breaker outlives a restart.

    Attributes:
        state: Where it was.
        remaining_s: How much of the wait was left, seconds, >= 0; a duration, so no clock has to agree.
        failed_rounds: Rounds that the next wait builds on.
        last_failure: Text of the last failure.
        saved_wall_ns: Wall clock at the export; only to tell a state that is too old.
    """

    state: CircuitState
    remaining_s: float
    failed_rounds: int
    last_failure: str
    saved_wall_ns: int

    def exported(self) -> dict[str, Any]:
        """The same as plain values, fit for JSON."""
        return {
            "format": _FORMAT,
            "state": self.state.value,
            "remaining_s": self.remaining_s,
            "failed_rounds": self.failed_rounds,
            "last_failure": self.last_failure,
            "saved_wall_ns": self.saved_wall_ns,
        }

    @classmethod
    def of(cls, exported: Mapping[str, Any]) -> Self:
        """Read what `exported` gave.

        Raises:
            ValueError: It is something else.
        """
        try:
            saved = cls(
                CircuitState(exported["state"]),
                float(exported["remaining_s"]),
                int(exported["failed_rounds"]),
                str(exported["last_failure"])[:500],
                int(exported["saved_wall_ns"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"no saved state of a breaker: {error!r} (got {exported!r:.200})") from None
        if exported.get("format") != _FORMAT or not math.isfinite(saved.remaining_s) or saved.failed_rounds < 0:
            raise ValueError(
                f"no saved state of a breaker: format {_FORMAT} must be finite and >= 0 (got {exported!r:.200})"
            )
        return saved
