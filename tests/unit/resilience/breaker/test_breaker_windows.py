"""The windows against a slow model that keeps every call."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.resilience.window import CountWindow, TimeWindow

OUTCOMES = st.integers(0, 3)


def counted(outcomes):
    return (len(outcomes), sum(outcome in (1, 3) for outcome in outcomes), sum(outcome >= 2 for outcome in outcomes))


def held(window):
    return (window.calls, window.failures, window.slow)


@given(st.integers(1, 12), st.lists(OUTCOMES, max_size=60))
def test_the_last_calls_are_counted(size, outcomes):
    window = CountWindow(size)
    for number, outcome in enumerate(outcomes, start=1):
        window.add(0.0, outcome)
        window.expire(1e9)
        assert held(window) == counted(outcomes[:number][-size:])
    window.clear()
    assert held(window) == (0, 0, 0)


@given(st.integers(1, 12), st.integers(0, 30), st.lists(OUTCOMES, max_size=30))
def test_skipped_successes_count_like_added_ones(size, passed, outcomes):
    skipped, added = CountWindow(size), CountWindow(size)
    skipped.skip(passed)
    for _ in range(passed):
        added.add(0.0, 0)
    for outcome in outcomes:
        skipped.add(0.0, outcome)
        added.add(0.0, outcome)
        assert held(skipped) == held(added)


@given(st.lists(st.tuples(st.integers(0, 50), OUTCOMES), max_size=60), st.integers(0, 100))
def test_the_calls_of_the_last_seconds_are_counted_in_twentieths(waits, idle):
    """Span 20: steps of one second, and time moves in quarters."""
    window = TimeWindow(20.0)
    now, calls = 1000.0, []
    for wait, outcome in waits:
        now += wait / 4
        window.add(now, outcome)
        calls.append((now, outcome))
        assert held(window) == counted([what for when, what in calls if int(when) > int(now) - 20])
    now += idle / 4
    window.expire(now)
    assert held(window) == counted([what for when, what in calls if int(when) > int(now) - 20])
    window.clear()
    assert held(window) == (0, 0, 0)


def test_nothing_older_than_the_span_is_counted():
    window = TimeWindow(60.0)
    window.add(0.0, 1)
    window.expire(56.9)
    assert window.calls == 1
    window.expire(60.0)
    assert window.calls == 0


def test_an_outcome_dated_before_the_newest_step_is_not_lost():
    window = TimeWindow(20.0)
    window.add(10.0, 1)
    window.expire(4.0)
    window.add(9.0, 1)
    assert window.calls == 2
    window.expire(29.9)
    assert window.calls == 2
    window.expire(30.0)
    assert window.calls == 0


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 5)), max_size=20))
def test_successes_skipped_within_a_step_count_like_added_ones(waits):
    skipped, added = TimeWindow(20.0), TimeWindow(20.0)
    now = 1000.0
    for wait, passed in waits:
        now += wait / 4
        skipped.expire(now)
        assert now < skipped.good_until_s() <= now + 1
        skipped.skip(passed)
        added.expire(now)
        for _ in range(passed):
            added.add(now, 0)
        assert held(skipped) == held(added)


def test_only_a_window_in_time_must_be_told_when_a_step_is_over():
    assert CountWindow(3).good_until_s() == float("inf")
    assert TimeWindow(20.0).good_until_s() < -1e9
