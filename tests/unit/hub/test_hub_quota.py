"""What one agent may use of the hub."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hub.quota import PointAllowance, SeriesQuota
from agent.testing.clock import FakeClock


def test_a_series_counts_once_however_often_it_is_defined():
    quota = SeriesQuota(3, FakeClock())
    for _ in range(5):
        assert quota.admit(["a", "b", "a"]) == ["a", "b", "a"]
    assert quota.admit(["c"]) == ["c"]


def test_what_is_too_much_is_not_counted():
    quota = SeriesQuota(3, FakeClock())
    quota.admit(["a", "b"])
    assert quota.admit(["c", "d"]) is None
    assert quota.admit(["c"]) == ["c"]
    assert quota.admit(["d"]) is None


def test_a_day_later_others_may_come():
    clock = FakeClock()
    quota = SeriesQuota(2, clock)
    quota.admit(["a", "b"])
    clock.advance(86_399)
    assert quota.admit(["c"]) is None
    clock.advance(1)
    assert quota.admit(["c"]) == ["c"]


def test_names_of_later_connections_and_of_other_agents_are_the_same_objects():
    quota, other = SeriesQuota(2, FakeClock()), SeriesQuota(2, FakeClock())
    first, again, others = (b"load_1m".decode() for _ in range(3))
    assert first is not again
    (known,) = quota.admit([first])
    assert quota.admit([again])[0] is known
    assert other.admit([others])[0] is known


def test_a_burst_of_a_second_is_free_and_more_is_paid_with_time():
    clock = FakeClock()
    allowance = PointAllowance(100.0, clock)
    assert allowance.spend(100) == 0.0
    assert allowance.spend(50) == pytest.approx(0.5)
    clock.advance(0.5)
    assert allowance.spend(0) == 0.0
    clock.advance(1000)
    assert allowance.spend(100) == 0.0
    assert allowance.spend(1) == pytest.approx(0.01)


def test_without_a_limit_nobody_waits():
    assert PointAllowance(0.0, FakeClock()).spend(10**9) == 0.0


@given(st.floats(1, 1e6), st.lists(st.tuples(st.floats(0, 5), st.integers(0, 10**6)), max_size=50))
def test_whoever_waits_as_told_never_exceeds_the_rate_and_a_burst(points_hz, sends):
    clock, total = FakeClock(), 0
    allowance = PointAllowance(points_hz, clock)
    began_s = clock.monotonic_s()
    for pause_s, points in sends:
        clock.advance(pause_s)
        clock.advance(allowance.spend(points))
        total += points
        assert total <= (clock.monotonic_s() - began_s + 1) * points_hz * (1 + 1e-9) + 1e-3
