"""The breaker against a slow model that keeps every call and works everything out anew each time it is asked.

Time moves in quarters of a second, so that sums are exact.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from agent.errors import BreakerOpen
from agent.resilience.breaker import Breaker, BreakerSettings, CircuitState, deliver_now
from agent.testing.clock import FakeClock

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
FORCED_OPEN, DISABLED, METRICS_ONLY = CircuitState.FORCED_OPEN, CircuitState.DISABLED, CircuitState.METRICS_ONLY
NEVER = float("inf")

COMMON = {"min_calls": 3, "jitter_ratio": 0, "open_s": 2, "max_open_s": 7, "ignore_errors": KeyError}
ALL_SETTINGS = [
    BreakerSettings(
        **COMMON, window_calls=5, slow_call_s=1.5, slow_ratio=0.6, probes=2, concurrent_probes=2, probe_lease_s=3
    ),
    BreakerSettings(
        **COMMON, window_s=5.0, slow_call_s=None, consecutive_failures=2, failure_ratio=0.7, max_half_open_s=0
    ),
    BreakerSettings(
        **COMMON,
        window_calls=4,
        failure_ratio=None,
        slow_call_s=1.0,
        slow_ratio=0.5,
        soft_reset_s=2.5,
        probes=3,
        concurrent_probes=2,
        probe_lease_s=1.5,
        expired_probe_fails=False,
        max_half_open_s=4,
        after_half_open=CLOSED,
    ),
    BreakerSettings(
        **COMMON, window_calls=3, slow_call_s=2.0, probes=2, probe_lease_s=2, max_half_open_s=3, backoff_factor=1.5
    ),
]


@dataclass
class Call:
    start: float
    generation: int
    is_running: bool = True


@dataclass
class Model:
    how: BreakerSettings
    now: float
    state: CircuitState = CLOSED
    since: float = 0.0
    due: float = 0.0
    rounds: int = 0
    generation: int = 0
    calls: list[Call] = field(default_factory=list)
    ended: list[tuple[float, bool, bool]] = field(default_factory=list)
    events: list[tuple[CircuitState, CircuitState, float]] = field(default_factory=list)
    successes: int = 0
    failures: int = 0
    ignored: int = 0
    cancelled: int = 0
    stale: int = 0
    rejected: int = 0
    spared: int = 0

    def running(self) -> list[Call]:
        return [call for call in self.calls if call.is_running and call.generation == self.generation]

    def change(self, state: CircuitState, at: float) -> None:
        if state is not self.state:
            self.events.append((self.state, state, at))
        self.state, self.since = state, at
        self.generation += 1
        self.ended = []

    def open(self, at: float, round_: int) -> None:
        self.due = at + min(self.how.open_s * self.how.backoff_factor**round_, self.how.max_open_s)
        self.change(OPEN, at)

    def fail_round(self, at: float) -> None:
        self.open(at, self.rounds)
        self.rounds += 1

    def close(self, at: float) -> None:
        if self.how.soft_reset_s is None:
            self.rounds = 0
        self.change(CLOSED, at)

    def window(self, at: float) -> list[tuple[float, bool, bool]]:
        if self.how.window_s is None:
            return self.ended[-self.how.window_calls :]
        step = self.how.window_s / 20
        return [call for call in self.ended if int(call[0] / step) > int(at / step) - 20]

    def is_bad(self, at: float, overdue: int) -> bool:
        window = self.window(at)
        failed = [is_failed for _, is_failed, _ in window]
        slow = sum(is_slow for _, _, is_slow in window) + overdue
        last = [is_failed for _, is_failed, _ in self.ended][-(self.how.consecutive_failures or 0) :]
        if self.how.consecutive_failures and len(last) == self.how.consecutive_failures and all(last):
            return True
        if (
            self.how.failure_ratio
            and len(window) >= self.how.min_calls
            and sum(failed) / len(failed) >= self.how.failure_ratio
        ):
            return True
        total = len(window) + overdue
        return bool(slow) and total >= self.how.min_calls and slow / total >= self.how.slow_ratio

    def trip_if_bad(self, at: float, overdue: int) -> bool:
        if not self.is_bad(at, overdue):
            return False
        if self.state is METRICS_ONLY:
            self.spared += 1
            self.change(METRICS_ONLY, at)
            return True
        if self.how.soft_reset_s is not None:
            while self.rounds and at - self.since >= self.how.soft_reset_s:
                self.rounds -= 1
                self.since += self.how.soft_reset_s
        self.rounds = min(self.rounds, 8)
        self.fail_round(at)
        return True

    def late(self, at: float, *, also_now: bool) -> list[Call]:
        if self.how.slow_call_s is None:
            return []
        limit = self.how.slow_call_s
        return [call for call in self.running() if at - call.start > limit or (also_now and at - call.start == limit)]

    def pass_time(self, quarters: int) -> None:
        """One quarter at a time; what falls due within it happens at its start."""
        for _ in range(quarters):
            self.catch_up()
            self.now += 0.25
        self.catch_up()

    def catch_up(self) -> None:
        if self.state in (CLOSED, METRICS_ONLY):
            before = self.now - 0.25
            newly = [
                call for call in self.late(self.now, also_now=False) if call not in self.late(before, also_now=False)
            ]
            known = len(self.late(self.now, also_now=False)) - len(newly)
            for number in range(1, len(newly) + 1):
                if self.trip_if_bad(before, known + number):
                    return
        if self.state is HALF_OPEN:
            for call in self.running():
                if self.now - call.start >= self.how.lease_s:
                    if self.how.expired_probe_fails:
                        self.fail_round(self.now)
                        return
                    call.generation = -1
            if self.how.max_half_open_s and self.now - self.since >= self.how.max_half_open_s:
                if self.how.after_half_open is OPEN:
                    self.open(self.now, self.rounds - 1)
                else:
                    self.close(self.now)

    def visible(self) -> CircuitState:
        return HALF_OPEN if self.state is OPEN and self.now >= self.due else self.state

    def admit(self) -> Call | None:
        if self.visible() is not self.state:
            self.change(HALF_OPEN, self.now)
        if self.state is HALF_OPEN:
            has_place = len(self.running()) < min(self.how.concurrent_probes, self.how.probes - len(self.ended))
        else:
            has_place = self.state not in (OPEN, FORCED_OPEN)
        if not has_place:
            self.rejected += 1
            return None
        self.calls.append(Call(self.now, self.generation))
        return self.calls[-1]

    def end(self, call: Call, how: str) -> None:
        call.is_running = False
        if how == "cancel":
            self.cancelled += 1
            return
        if call.generation != self.generation:
            self.stale += 1
            return
        if how == "ignore":
            self.ignored += 1
            return
        is_failed = how == "fail"
        is_slow = self.how.slow_call_s is not None and self.now - call.start >= self.how.slow_call_s
        self.failures += is_failed
        self.successes += not is_failed
        if self.state is DISABLED:
            return
        self.ended.append((self.now, is_failed, is_slow))
        if self.state is HALF_OPEN:
            if is_failed or is_slow:
                self.fail_round(self.now)
            elif len(self.ended) == self.how.probes:
                self.close(self.now)
        else:
            self.trip_if_bad(self.now, len(self.late(self.now, also_now=False)))


class BreakerMachine(RuleBasedStateMachine):
    @initialize(how=st.sampled_from(ALL_SETTINGS))
    def begin(self, how):
        self.clock = FakeClock(monotonic_s=1000.0)
        self.make(how)
        self.model = Model(how, now=1000.0, since=1000.0)
        self.pairs = []

    def make(self, how):
        self.breaker = Breaker("b", how, clock=self.clock, rng=random.Random(1), deliver=deliver_now)
        self.events = []
        self.breaker.add_listener(self.events.append)

    @rule()
    def start(self):
        call = self.model.admit()
        if call is not None:
            self.pairs.append((self.breaker.acquire(), call))
            return
        with pytest.raises(BreakerOpen) as info:
            self.breaker.acquire()
        assert 0 <= info.value.retry_in_s <= self.model.how.max_open_s
        assert info.value.state == self.model.state.name

    @rule(count=st.integers(2, 5))
    def start_several(self, count):
        for _ in range(count):
            self.start()

    @precondition(lambda self: self.pairs)
    @rule(which=st.integers(0, 1000), how=st.sampled_from(["succeed", "succeed", "fail", "fail", "cancel", "ignore"]))
    def end(self, which, how):
        permit, call = self.pairs.pop(which % len(self.pairs))
        self.model.end(call, how)
        if how == "succeed":
            permit.succeed()
        elif how == "cancel":
            permit.cancel()
        else:
            permit.fail(OSError("down") if how == "fail" else KeyError("mine"))

    @rule(how=st.sampled_from(["succeed", "fail"]), count=st.integers(1, 4))
    def quick_calls(self, how, count):
        for _ in range(count):
            before = len(self.pairs)
            self.start()
            if len(self.pairs) > before:
                self.end(len(self.pairs) - 1, how)

    @rule(quarters=st.integers(1, 30))
    def wait(self, quarters):
        self.clock.advance(quarters / 4)
        self.model.pass_time(quarters)

    @rule(quarters=st.integers(1, 1000))
    def step_back(self, quarters):
        """A step that nobody sees cannot be told from less time passing; so look before and after."""
        self.look()
        self.clock.advance(-quarters / 4)
        self.look()

    @rule(name=st.sampled_from(["reset", "force_open", "disable", "metrics_only", "trip"]))
    def by_hand(self, name):
        model = self.model
        if name == "trip":
            if model.visible() is not model.state:
                model.change(HALF_OPEN, model.now)
            if model.state in (CLOSED, HALF_OPEN):
                model.fail_round(model.now)
        else:
            state = {"reset": CLOSED, "force_open": FORCED_OPEN, "disable": DISABLED, "metrics_only": METRICS_ONLY}[
                name
            ]
            model.change(state, model.now)
            model.rounds = 0 if name == "reset" else model.rounds
        getattr(self.breaker, name)()

    @rule()
    def restart(self):
        self.look()
        exported = self.breaker.export_state()
        old = self.model
        self.make(old.how)
        assert self.breaker.restore_state(exported)
        self.pairs = []
        now = self.clock.monotonic_s()
        is_waiting = old.state is OPEN and old.due > old.now
        due = now + old.due - old.now if is_waiting else now
        self.model = Model(old.how, now, since=now, rounds=old.rounds, due=due)
        self.model.change(OPEN if old.state is HALF_OPEN else old.state, now)

    @rule()
    def look(self):
        seen, model = self.breaker.snapshot(), self.model
        assert seen.state is model.visible()
        assert self.breaker.state is seen.state
        totals = seen.totals
        assert totals.successes == model.successes
        assert totals.failures == model.failures
        assert (totals.ignored, totals.cancelled, totals.stale_results) == (model.ignored, model.cancelled, model.stale)
        assert (totals.rejected, totals.would_have_opened) == (model.rejected, model.spared)
        assert totals.trips == sum(new is OPEN for _, new, _ in model.events) - self.restored()
        assert seen.in_flight == len(model.running())
        if model.state in (CLOSED, METRICS_ONLY):
            window = model.window(model.now)
            assert (seen.calls, seen.failures) == (len(window), sum(is_failed for _, is_failed, _ in window))
            assert seen.slow == sum(is_slow for _, _, is_slow in window)
            assert seen.overdue == len(model.late(model.now, also_now=False))
        if model.visible() is OPEN:
            assert seen.retry_in_s == pytest.approx(model.due - model.now)
        assert [(event.old_state, event.new_state) for event in self.events] == [event[:2] for event in model.events]
        assert [event.at_monotonic_s for event in self.events] == pytest.approx([event[2] for event in model.events])

    def restored(self):
        return sum(event.reason == "restored" and event.new_state is OPEN for event in self.events)

    def teardown(self):
        if hasattr(self, "model"):
            self.look()


BreakerMachine.TestCase.settings = hypothesis_settings(max_examples=400, stateful_step_count=40, deadline=None)
TestBreakerAgainstTheModel = BreakerMachine.TestCase
