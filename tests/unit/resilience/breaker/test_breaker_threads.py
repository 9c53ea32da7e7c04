"""Many threads, one breaker. Real threads: nothing here waits for time to pass but on each other."""

from __future__ import annotations

import itertools
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.clock import SystemClock
from agent.errors import BreakerOpen
from agent.resilience.breaker import Breaker, BreakerSettings, CircuitState, deliver_now

THREADS = 8


@pytest.fixture(autouse=True)
def _switch_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def in_threads(work):
    with ThreadPoolExecutor(THREADS) as pool:
        return [job.result() for job in [pool.submit(work, number) for number in range(THREADS)]]


@pytest.mark.parametrize("window_s", [None, 1000.0])
def test_scenario_28_totals_are_exact(window_s):
    settings = BreakerSettings(failure_ratio=1.0, window_s=window_s)
    breaker = Breaker("b", settings, clock=SystemClock(), rng=random.Random(1))

    def work(number):
        for call in range(10_000):
            permit = breaker.acquire()
            if (call + number) % 10 == 0:
                permit.fail(OSError("down"))
            else:
                permit.succeed()

    in_threads(work)
    seen = breaker.snapshot()
    assert (seen.totals.successes, seen.totals.failures) == (72_000, 8_000)
    assert (seen.in_flight, seen.totals.stale_results, seen.state) == (0, 0, CircuitState.CLOSED)
    if window_s is not None:
        assert (seen.calls, seen.failures) == (80_000, 8_000)


def test_scenario_28_each_trip_is_one_event_and_every_call_is_accounted_for():
    settings = BreakerSettings(min_calls=3, window_calls=5, open_s=1e-4, max_open_s=1e-4, probes=1, slow_call_s=None)
    breaker = Breaker("b", settings, clock=SystemClock(), rng=random.Random(1), deliver=deliver_now)
    events = []
    breaker.add_listener(events.append)

    def work(number):
        rng = random.Random(number)
        counts = [0, 0, 0]
        for _ in range(10_000):
            try:
                permit = breaker.acquire()
            except BreakerOpen:
                counts[2] += 1
                continue
            if rng.random() < 0.3:
                counts[0] += 1
                permit.fail(OSError("down"))
            else:
                counts[1] += 1
                permit.succeed()
        return counts

    failed, passed, refused = map(sum, zip(*in_threads(work), strict=True))
    totals = breaker.snapshot().totals
    assert totals.rejected == refused
    assert totals.failures + totals.successes + totals.stale_results == failed + passed
    assert totals.trips > 10
    assert sum(event.new_state is CircuitState.OPEN for event in events) == totals.trips
    assert all(before.new_state is after.old_state for before, after in itertools.pairwise(events))


def test_scenario_28_a_snapshot_is_never_torn():
    breaker = Breaker("b", BreakerSettings(failure_ratio=1.0), clock=SystemClock(), rng=random.Random(1))
    stop = threading.Event()
    torn = []

    def watch():
        while not stop.is_set():
            seen = breaker.snapshot()
            if not (seen.failures <= seen.calls <= 100 and seen.totals.failures * 9 <= seen.totals.successes):
                torn.append(seen)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for call in range(20_000):
        permit = breaker.acquire()
        if call % 10 == 9:
            permit.fail(OSError("down"))
        else:
            permit.succeed()
    stop.set()
    watcher.join()
    assert torn == []


class SetForward(SystemClock):
    """The machine's clock, and so many seconds more."""

    by_s = 0.0

    def monotonic_s(self) -> float:
        return SystemClock.monotonic_s() + self.by_s


def test_scenario_28_what_was_found_slow_while_it_ended_is_not_slow_for_ever():
    """Calls end without the lock, also while another thread looks for those that take too long."""
    clock = SetForward()
    settings = BreakerSettings(min_calls=100_000, window_calls=100_000, slow_call_s=1e-6, failure_ratio=None)
    breaker = Breaker("b", settings, clock=clock, rng=random.Random(1))

    def work(_number):
        for _ in range(2000):
            breaker.acquire().succeed()
            assert breaker.snapshot().overdue <= THREADS

    in_threads(work)
    clock.by_s = 1.0
    seen = breaker.snapshot()
    assert (seen.in_flight, seen.overdue, seen.totals.successes) == (0, 0, 2000 * THREADS)
    assert (seen.calls, seen.slow) == (2000 * THREADS, seen.totals.slow)


def test_scenario_28_guarded_calls_run_beside_each_other():
    """Four calls that wait for each other can only end when no lock is held while they run."""
    breaker = Breaker("b", clock=SystemClock(), rng=random.Random(1))
    together = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(breaker.call, together.wait, 10) for _ in range(4)]
        assert sorted(wait.result() for wait in waits) == [0, 1, 2, 3]
    assert breaker.snapshot().totals.successes == 4


def test_scenario_28_of_many_threads_at_once_one_becomes_the_probe():
    settings = BreakerSettings(min_calls=1, open_s=1e-9, max_open_s=1e-9, probes=1, max_half_open_s=0)
    breaker = Breaker("b", settings, clock=SystemClock(), rng=random.Random(1))
    breaker.acquire().fail(OSError("down"))
    together = threading.Barrier(THREADS)

    def work(_number):
        together.wait(10)
        try:
            return breaker.acquire()
        except BreakerOpen:
            return None

    assert sum(permit is not None for permit in in_threads(work)) == 1
