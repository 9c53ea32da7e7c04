from hypothesis import given
from hypothesis import strategies as st

from agent.collection.schedule import Schedule


def test_moments_stand_on_a_fixed_grid_however_late_each_is_taken():
    schedule = Schedule(100.0, 1.0)
    assert [schedule.take(100.0), schedule.take(101.3), schedule.take(102.05)] == [100.0, 101.0, 102.0]
    assert schedule.missed_count == 0


def test_missed_moments_are_counted_and_never_piled_up():
    schedule = Schedule(100.0, 1.0)
    schedule.take(100.0)
    assert schedule.take(107.4) == 107.0
    assert schedule.missed_count == 6
    assert not schedule.is_due(107.5)
    assert schedule.wait_s(107.4) == 108.0 - 107.4


def test_a_timer_that_fires_a_hair_early_is_not_a_second_tick():
    schedule = Schedule(0.0, 1.0)
    schedule.take(0.0)
    assert schedule.is_due(1.0 - 1e-9)
    assert schedule.take(1.0 - 1e-9) == 1.0
    assert not schedule.is_due(1.0)


def test_a_clock_that_stepped_back_takes_the_grid_with_it():
    schedule = Schedule(1000.0, 1.0)
    schedule.take(1000.0)
    assert schedule.take(10.0) == 10.0
    assert schedule.next_s == 11.0
    assert schedule.missed_count == 0


@given(st.lists(st.floats(0.0, 1e4), max_size=50), st.floats(0.01, 100.0))
def test_every_moment_is_taken_or_missed_and_none_twice(steps, interval_s):
    schedule = Schedule(0.0, interval_s)
    now_s, taken = 0.0, []
    for step in steps:
        now_s += step
        if schedule.is_due(now_s):
            taken.append(schedule.take(now_s))
    assert taken == sorted(set(taken))
    assert len(taken) + schedule.missed_count == round(schedule.next_s / interval_s)
