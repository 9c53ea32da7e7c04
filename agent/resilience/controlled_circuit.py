"""What one can see of a breaker, set by hand, and carry over a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agent.resilience.breaker_events import Listener
from agent.resilience.breaker_settings import CircuitState
from agent.resilience.breaker_state import BreakerSnapshot, SavedState
from agent.resilience.circuit import CLOSED, DISABLED, FORCED_OPEN, HALF_OPEN, METRICS_ONLY, OPEN, Circuit

__all__ = ["ControlledCircuit"]


class ControlledCircuit(Circuit):
    """A circuit with its dials and switches."""

    __slots__ = ()

    # --- what one can see -------------------------------------------------------------------------------------------

    @property
    def state(self) -> CircuitState:
        """The state now. HALF_OPEN also means: open, but the wait is over and the next call will be a probe."""
        with self._lock:
            state = self._state_at(self._look())
        self._relay.flush()
        return state

    @property
    def retry_in_s(self) -> float:
        """Seconds until a call may be admitted; 0 when one may now, at most the longest wait."""
        with self._lock:
            wait_s = self._wait_s(self._look())
        self._relay.flush()
        return wait_s or 0.0

    def snapshot(self) -> BreakerSnapshot:
        """Everything there is to know, at one moment."""
        with self._lock:
            now_s = self._look()
            self._count_quiet_passes()
            self._totals.rejected += self._refusals.take()
            seen = BreakerSnapshot(
                name=self.name,
                state=self._state_at(now_s),
                since_s=self._since_s,
                retry_in_s=self._wait_s(now_s) or 0.0,
                calls=self._window.calls,
                failures=self._window.failures,
                slow=self._window.slow,
                in_flight=len(self._flights),
                overdue=self._overdue,
                failed_rounds=self._backoff.rounds,
                last_failure=self._last_failure,
                totals=replace(self._totals),
                predicate_errors=self._judge.predicate_errors,
                listener_errors=self._relay.listener_errors,
                dropped_events=self._relay.dropped,
            )
        self._relay.flush()
        return seen

    def add_listener(self, listener: Listener) -> None:
        """Call `listener(event)` after each change of state, in order; it may be a coroutine function.

        It is called after the guarded call has gone on its way: in the next turn of the event loop the change happened on, else
        on a thread. What it raises is logged and counted, and changes nothing.
        """
        self._relay.add(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Call it no more; an unknown one is no error."""
        self._relay.remove(listener)

    # --- by hand ----------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Back to CLOSED as if new, whatever the state; what is still in flight will change nothing."""
        with self._lock:
            now_s = self._look()
            self._backoff.restore(0)
            self._last_failure = ""
            self._enter(CLOSED, now_s, "reset")
        self._relay.flush()

    def force_open(self) -> None:
        """Refuse every call until `reset`."""
        self._set(FORCED_OPEN, "forced open")

    def disable(self) -> None:
        """Make every call and judge none until `reset`."""
        self._set(DISABLED, "disabled")

    def metrics_only(self) -> None:
        """Make every call and count, but never trip, until `reset`; `would_have_opened` says what it is spared."""
        self._set(METRICS_ONLY, "metrics only")

    def trip(self, reason: str = "tripped by hand") -> None:
        """Open as after failures, with recovery by probes; without effect while open or set by hand."""
        with self._lock:
            now_s = self._look()
            self._begin_probing(now_s)
            if self._state in (CLOSED, HALF_OPEN):
                self._open(now_s, reason, self._backoff.next_s())
        self._relay.flush()

    def _set(self, state: CircuitState, reason: str) -> None:
        with self._lock:
            self._enter(state, self._look(), reason)
        self._relay.flush()

    # --- over a restart ---------------------------------------------------------------------------------------------

    def export_state(self) -> dict[str, Any]:
        """What to keep over a restart, as plain values fit for JSON."""
        with self._lock:
            now_s = self._look()
            remaining_s = max(0.0, self._due_s - now_s) if self._state is OPEN else 0.0
            saved = SavedState(
                self._state, remaining_s, self._backoff.rounds, self._last_failure, self._clock.wall_ns()
            )
        self._relay.flush()
        return saved.exported()

    def restore_state(self, exported: Mapping[str, Any]) -> bool:
        """Go on where an earlier breaker stopped: open for the rest of its wait, or as set by hand.

        Returns:
            False when nothing was taken over, because the state is older than the longest wait.

        Raises:
            ValueError: This is no exported state.
        """
        saved = SavedState.of(exported)
        longest_s = self.settings.max_open_s * (1 + self.settings.jitter_ratio)
        with self._lock:
            now_s = self._look()
            is_waiting = saved.state in (OPEN, HALF_OPEN)
            if (
                saved.state not in (FORCED_OPEN, DISABLED, METRICS_ONLY)
                and self._clock.wall_ns() - saved.saved_wall_ns > longest_s * 1e9
            ):
                return False
            self._backoff.restore(saved.failed_rounds)
            self._last_failure = saved.last_failure
            self._due_s = now_s + min(max(0.0, saved.remaining_s), longest_s)
            self._enter(OPEN if is_waiting else saved.state, now_s, "restored")
        self._relay.flush()
        return True
