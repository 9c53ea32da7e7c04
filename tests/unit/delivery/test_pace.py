"""How fast a backlog follows."""

from hypothesis import given
from hypothesis import strategies as st

from agent.delivery.pace import FLOOR_POINTS_HZ, Pace
from agent.testing.clock import FakeClock


def drained(pace, clock, seconds, *, live_points, group_points):
    """Points of a backlog that go in so many seconds beside one live batch a second."""
    sent = 0
    for tenth in range(seconds * 10):
        if tenth % 10 == 0:
            pace.note_live(live_points)
        while pace.may_send:
            pace.spend(group_points)
            sent += group_points
        clock.advance(0.1)
    return sent


def test_56_a_backlog_goes_at_the_ratio_of_the_live_rate():
    clock = FakeClock()
    pace = Pace(clock, ratio=20.0)
    drained(pace, clock, 3, live_points=2000, group_points=2000)
    sent = drained(pace, clock, 30, live_points=2000, group_points=2000)
    assert 0.95 * 30 * 40_000 <= sent <= 1.05 * 30 * 40_000


def test_ten_minutes_of_backlog_are_gone_within_a_minute():
    clock = FakeClock()
    assert drained(Pace(clock, ratio=20.0), clock, 60, live_points=200, group_points=1000) >= 600 * 200


def test_56_an_outage_saves_nothing_up_beyond_a_second():
    clock = FakeClock()
    pace = Pace(clock, ratio=20.0)
    for _ in range(600):
        pace.note_live(100)
        clock.advance(1.0)
    assert pace.may_send
    assert pace.allowed_points <= 20 * 100 * 1.0


def test_a_backlog_drains_where_nothing_is_collected():
    clock = FakeClock()
    pace = Pace(clock, ratio=2.0)
    assert not pace.may_send
    clock.advance(0.25)
    assert pace.may_send
    assert pace.allowed_points == 2.0 * FLOOR_POINTS_HZ * 0.25


def test_without_a_ratio_nothing_is_held_back():
    pace = Pace(FakeClock())
    pace.spend(10**9)
    assert pace.may_send
    assert pace.allowed_points == float("inf")


def test_groups_shrink_while_they_take_long_and_grow_again():
    pace = Pace(FakeClock(), max_group_count=64)
    sizes = []
    for seconds in (0.1, 0.1, 0.1, 0.1, 0.3, 2.0, 0.1):
        pace.note_duration(seconds, pace.group_count)
        sizes.append(pace.group_count)
    assert sizes == [16, 32, 64, 64, 32, 16, 32]
    for _ in range(10):
        pace.note_duration(9.0, pace.group_count)
    assert pace.group_count == 1


def test_the_first_group_is_small_and_a_slow_small_one_halves_what_it_was():
    pace = Pace(FakeClock())
    assert pace.group_count == 8
    pace.note_duration(0.1, 3)
    assert pace.group_count == 8, "three records in time say nothing of eight"
    pace.note_duration(0.3, 3)
    assert pace.group_count == 1


@given(st.lists(st.tuples(st.floats(-5, 100), st.integers(0, 10_000), st.integers(0, 10_000)), max_size=50))
def test_no_clock_and_no_burst_gives_more_than_a_seconds_worth(steps):
    clock = FakeClock()
    pace = Pace(clock, ratio=20.0)
    most_hz = FLOOR_POINTS_HZ
    for seconds, live, backlog in steps:
        clock.advance(seconds)
        pace.note_live(live)
        most_hz = max(most_hz, pace._live_hz)
        if pace.may_send:
            pace.spend(backlog)
        assert pace.allowed_points <= 20.0 * most_hz
        assert pace.group_count >= 1
