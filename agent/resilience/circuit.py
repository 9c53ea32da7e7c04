"""The state machine of a breaker: what each call's end, and the passing of time, make of its state."""

from __future__ import annotations

import itertools
import random
import threading
from math import inf

from agent.clock import Clock
from agent.errors import BreakerOpen
from agent.resilience.backoff import Backoff
from agent.resilience.breaker_events import BreakerEvent, Deliver, EventRelay, deliver_soon
from agent.resilience.breaker_settings import BreakerSettings, CircuitState
from agent.resilience.breaker_state import Totals
from agent.resilience.lock_free_count import LockFreeCount
from agent.resilience.verdict import Judge, Verdict
from agent.resilience.window import FAILED, PASSED, SLOW, CountWindow, TimeWindow, Window

__all__ = ["Circuit", "Flights"]

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
FORCED_OPEN, DISABLED, METRICS_ONLY = CircuitState.FORCED_OPEN, CircuitState.DISABLED, CircuitState.METRICS_ONLY

GRAIN_S = 1e-9
"""Moments closer than this are the same: sums of floats must not decide whether a wait is over."""

Flights = dict[int, float]
"""Start of each call in flight. Every state gets a new one: a call that brings another back belongs to a state that is over."""


class Circuit:
    """States and transitions. `ControlledCircuit` adds what one can see and set, `Breaker` the ways to guard a call.

    Time-driven changes are dated to the moment they fell due, whenever somebody looks: what one sees never depends on who
    looked before. Within, time never runs backwards (`_skew_s` makes up for a clock that does).

    While nothing is wrong, calls are admitted and end without the lock: what they do is one step each, which no other thread can
    interrupt. They see `_check_s` at minus infinity before a state ends, so that they queue at the lock instead. A call that
    ends at that very moment counts as before or after it.
    """

    __slots__ = (
        "_backoff",
        "_check_s",
        "_clock",
        "_count_pass",
        "_count_refusal",
        "_due_s",
        "_flights",
        "_is_simple",
        "_judge",
        "_last_failure",
        "_lock",
        "_next_key",
        "_overdue",
        "_passes",
        "_probe_successes",
        "_quiet_flights",
        "_read_s",
        "_refusals",
        "_refuses_until_s",
        "_relay",
        "_seen_s",
        "_since_s",
        "_skew_s",
        "_slow_call_s",
        "_state",
        "_streak",
        "_totals",
        "_window",
        "name",
        "settings",
    )

    _due_s: float
    _flights: Flights
    _overdue: int
    _probe_successes: int
    _refuses_until_s: float
    _streak: int

    def __init__(
        self, name: str, settings: BreakerSettings, *, clock: Clock, rng: random.Random, deliver: Deliver = deliver_soon
    ) -> None:
        if not name:
            raise ValueError(f"a breaker's name must not be empty (got {name!r})")
        self.name = name
        self.settings = settings
        self._clock = clock
        self._read_s = clock.monotonic_s
        self._lock = threading.RLock()
        self._judge = Judge(name, settings)
        self._relay = EventRelay(name, deliver)
        self._backoff = Backoff(settings, rng)
        self._totals = Totals()
        self._last_failure = ""
        self._slow_call_s = inf if settings.slow_call_s is None else settings.slow_call_s - GRAIN_S
        self._window: Window = (
            CountWindow(settings.window_calls) if settings.window_s is None else TimeWindow(settings.window_s)
        )
        self._is_simple = settings.record_result is None and settings.ignore_result is None
        self._next_key = itertools.count().__next__
        self._passes = LockFreeCount()
        self._refusals = LockFreeCount()
        self._count_pass, self._count_refusal = self._passes.add, self._refusals.add
        self._skew_s = 0.0
        self._state = CLOSED
        self._seen_s = self._read_s()
        self._enter(CLOSED, self._seen_s, "")

    # --- admission --------------------------------------------------------------------------------------------------

    def _start(self) -> tuple[Flights | None, int, float]:
        """Let a call start, now; without the lock while nothing is wrong.

        No flights: it is refused, and `_refusal` is to be raised by the caller. Each frame that it passes through costs a tenth.
        """
        flights = self._flights  # before the check: a state that ends in between makes this call's outcome stale
        now_s = self._read_s()
        if self._check_s > now_s >= self._seen_s:
            key = self._next_key()
            flights[key] = now_s
            return flights, key, now_s
        if self._refuses_until_s > now_s >= self._seen_s:
            return None, 0, now_s
        return self._admit()

    def _refusal(self, now_s: float) -> BreakerOpen:
        """The error of a call that comes while the wait is not over; needs no lock."""
        self._count_refusal()
        return BreakerOpen(self.name, self._due_s - now_s, "OPEN", self._last_failure)

    def _admit(self) -> tuple[Flights, int, float]:
        """The same with everything that is due, under the lock."""
        refusal = None
        with self._lock:
            now_s = self._look()
            self._begin_probing(now_s)
            wait_s = self._wait_s(now_s)
            flights = self._flights
            key = self._next_key()
            if wait_s is None:
                flights[key] = now_s
            else:
                self._count_refusal()
                refusal = BreakerOpen(self.name, wait_s, self._state.name, self._last_failure)
        self._relay.flush()
        if refusal is not None:
            raise refusal
        return flights, key, now_s

    def _begin_probing(self, now_s: float) -> None:
        if self._state_at(now_s) is not self._state:
            self._enter(HALF_OPEN, now_s, "probe due")

    def _state_at(self, now_s: float) -> CircuitState:
        return HALF_OPEN if self._state is OPEN and self._is_over(self._due_s, now_s) else self._state

    def _wait_s(self, now_s: float) -> float | None:
        """None: a call may start now. Else how long it had better wait, seconds."""
        if self._state is OPEN:
            return None if self._is_over(self._due_s, now_s) else self._due_s - now_s
        if self._state is HALF_OPEN:
            settings = self.settings
            places = min(settings.concurrent_probes, settings.probes - self._probe_successes)
            if len(self._flights) < places:
                return None
            return max(0.0, min(self._flights.values()) + settings.lease_s - now_s)
        return self.settings.max_open_s if self._state is FORCED_OPEN else None

    # --- the end of a call ------------------------------------------------------------------------------------------

    def _end(
        self,
        flights: Flights,
        key: int,
        started_s: float,
        verdict: Verdict,
        failure: str = "",
        *,
        open_s: float | None = None,
    ) -> None:
        with self._lock:
            now_s = self._look()
            if verdict is Verdict.CANCELLED:
                self._totals.cancelled += 1
            if flights is not self._flights or flights.pop(key, None) is None:
                self._totals.stale_results += verdict is not Verdict.CANCELLED
            else:
                self._land(now_s, started_s, verdict, failure, open_s)
        self._relay.flush()

    def _land(self, now_s: float, started_s: float, verdict: Verdict, failure: str, open_s: float | None) -> None:
        """Count the end of a call of this state, and let it have its effect."""
        if self._is_overdue(started_s, now_s):
            self._overdue = max(0, self._overdue - 1)
        if verdict is Verdict.IGNORED:
            self._totals.ignored += 1
        elif verdict is not Verdict.CANCELLED:
            outcome = FAILED if verdict is Verdict.FAILED else PASSED
            if now_s - started_s >= self._slow_call_s:
                outcome |= SLOW
            self._count(outcome, failure)
            if self._state is HALF_OPEN:
                self._judge_probe(now_s, outcome, open_s)
            elif self._state is not DISABLED:
                self._judge_call(now_s, outcome, open_s)
        self._settle_down()

    def _count(self, outcome: int, failure: str) -> None:
        self._totals.slow += outcome >> 1
        if outcome & FAILED:
            self._totals.failures += 1
            self._last_failure = failure
        else:
            self._totals.successes += 1

    def _judge_call(self, now_s: float, outcome: int, open_s: float | None) -> None:
        self._count_quiet_passes()
        self._window.add(now_s, outcome)
        self._streak = self._streak + 1 if outcome & FAILED else 0
        self._trip_if_bad(now_s, open_s)

    def _judge_probe(self, now_s: float, outcome: int, open_s: float | None) -> None:
        if outcome:
            self._open(now_s, "a probe failed" if outcome & FAILED else "a probe was slow", self._next_open_s(open_s))
            return
        self._probe_successes += 1
        if self._probe_successes >= self.settings.probes:
            self._backoff.recovered()
            self._enter(CLOSED, now_s, f"{self._probe_successes} of {self.settings.probes} probes succeeded")

    # --- transitions ------------------------------------------------------------------------------------------------

    def _trip_if_bad(self, at_s: float, open_s: float | None = None) -> bool:
        reason = self._what_is_bad(at_s) if open_s is None else "out of reach"
        if not reason:
            return False
        if self._state is METRICS_ONLY:
            self._totals.would_have_opened += 1
            self._enter(METRICS_ONLY, at_s, reason)
        else:
            self._backoff.healthy(at_s - self._since_s)
            self._open(at_s, reason, self._next_open_s(open_s))
        return True

    def _next_open_s(self, asked_s: float | None) -> float:
        """The wait of a new round: what the failure asked for, else our own; the round counts either way."""
        own_s = self._backoff.next_s()
        return own_s if asked_s is None else asked_s

    def _what_is_bad(self, at_s: float) -> str:
        settings, window = self.settings, self._window
        if settings.consecutive_failures is not None and self._streak >= settings.consecutive_failures:
            return f"{self._streak} failures in a row"
        window.expire(at_s)
        calls = window.calls
        if (
            settings.failure_ratio is not None
            and calls >= settings.min_calls
            and window.failures / calls >= settings.failure_ratio
        ):
            return f"{window.failures} of {calls} calls failed"
        slow, calls = window.slow + self._overdue, calls + self._overdue
        if slow and calls >= settings.min_calls and slow / calls >= settings.slow_ratio:
            return f"{slow} of {calls} calls slow"
        return ""

    def _open(self, at_s: float, reason: str, wait_s: float) -> None:
        self._totals.trips += 1
        self._due_s = at_s + wait_s
        self._enter(OPEN, at_s, reason)

    def _enter(self, state: CircuitState, at_s: float, reason: str) -> None:
        """The one place where the state changes."""
        self._check_s = -inf
        self._count_quiet_passes()
        old, self._state = self._state, state
        self._since_s = at_s
        self._window.clear()
        self._streak = self._overdue = self._probe_successes = 0
        self._flights = {}
        self._settle_down()
        if state is not old:
            open_s = self._due_s - at_s if state is OPEN else 0.0
            self._relay.put(BreakerEvent(self.name, old, state, reason, at_s, open_s))
        self._refuses_until_s = self._due_s - GRAIN_S if state is OPEN else -inf
        if state in (CLOSED, METRICS_ONLY):
            self._check_s = min(at_s + self._slow_call_s, self._window.good_until_s())
        elif state is DISABLED:
            self._check_s = inf

    def _settle_down(self) -> None:
        """While nothing is wrong, a success makes no difference: it is only counted, to be entered into the window later."""
        window = self._window
        is_troubled = window.failures or window.slow or self._overdue or self._streak
        is_counting = self._state in (CLOSED, METRICS_ONLY) and self._is_simple
        self._quiet_flights = self._flights if is_counting and not is_troubled else None

    def _count_quiet_passes(self) -> None:
        passed = self._passes.take()
        if passed:
            self._totals.successes += passed
            self._window.skip(passed)

    # --- time -------------------------------------------------------------------------------------------------------

    def _look(self) -> float:
        """Now, after everything that fell due until now has happened."""
        now_s = self._read_s()
        if now_s < self._seen_s:
            self._make_up_for(self._seen_s - now_s)
            now_s = self._seen_s
        self._seen_s = now_s
        if self._state is HALF_OPEN:
            self._end_half_open(now_s)
        elif now_s >= self._check_s > -inf:
            self._find_overdue(now_s)
        return now_s

    def _make_up_for(self, lost_s: float) -> None:
        """The clock stepped back: go on from where it was."""
        self._skew_s += lost_s
        skew_s, read_s = self._skew_s, self._clock.monotonic_s
        self._read_s = lambda: read_s() + skew_s

    def _find_overdue(self, now_s: float) -> None:
        """Count the calls in flight that are slow already, each at the moment it became so."""
        slow_s = self.settings.slow_call_s or inf
        self._count_quiet_passes()
        starts = sorted(start_s for start_s in self._flights.copy().values() if start_s < inf)
        late = [start_s for start_s in starts if self._is_overdue(start_s, now_s)]
        # one that was found late may have ended in that moment: without the lock, so that nobody counted it down
        self._overdue = min(self._overdue, len(late))
        for start_s in late[self._overdue :]:
            self._overdue += 1
            if self._trip_if_bad(start_s + slow_s):
                return
        in_time = starts[len(late) :]
        self._window.expire(now_s)
        next_late_s = (in_time[0] if in_time else now_s) + self._slow_call_s
        self._check_s = min(next_late_s, self._window.good_until_s())
        self._settle_down()

    def _end_half_open(self, now_s: float) -> None:
        """Take back the places of probes that hang, and end a stay that has lasted too long; whichever was due first."""
        settings = self.settings
        stay_ends_s = self._since_s + settings.max_half_open_s if settings.max_half_open_s else inf
        until_s = min(now_s, stay_ends_s)
        for key, start_s in sorted(self._flights.items(), key=lambda flight: flight[1]):
            if not self._is_over(start_s + settings.lease_s, until_s):
                break
            if settings.expired_probe_fails:
                self._last_failure = f"no answer in {settings.lease_s:g} s"
                self._open(start_s + settings.lease_s, "a probe gave no answer", self._backoff.next_s())
                return
            del self._flights[key]
        if not self._is_over(stay_ends_s, now_s):
            return
        reason = f"no verdict in {settings.max_half_open_s:g} s"
        if settings.after_half_open is OPEN:
            self._open(stay_ends_s, reason, self._backoff.same_s())
        else:
            self._backoff.recovered()
            self._enter(CLOSED, stay_ends_s, reason)

    def _is_overdue(self, start_s: float, now_s: float) -> bool:
        return now_s - start_s > self._slow_call_s + 2 * GRAIN_S

    @staticmethod
    def _is_over(due_s: float, now_s: float) -> bool:
        return now_s > due_s - GRAIN_S
