"""Series on an even grid."""

import numpy as np
import pytest

from agent.numeric.regular_grid import averaged, regular


def test_gaps_repeat_the_value_before():
    series = regular(np.array([10.0, 11.0, 12.0, 15.0]), np.array([1.0, 2.0, np.nan, 5.0]))
    assert (series.step_s, series.start_s, series.end_s) == (2.5, 10.0, 15.0)
    series = regular(np.array([0.0, 1.0, 2.0, 3.0, 6.0, 7.0]), np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    assert series.values.tolist() == [1, 2, 3, 4, 4, 4, 5, 6]


def test_times_that_are_not_regular_at_all_are_taken_one_after_the_other():
    series = regular(np.array([0.0, 1.0, 2.0, 3.0, 1e6]), np.arange(5.0))
    assert series.values.tolist() == [0, 1, 2, 3, 4]
    assert series.step_s == 1e6 / 4


def test_times_that_stand_still_do_no_harm():
    series = regular(np.full(4, 7.0), np.arange(4.0))
    assert series.values.tolist() == [0, 1, 2, 3]
    assert series.step_s > 0


@pytest.mark.parametrize("count", [0, 1])
def test_next_to_nothing(count):
    series = regular(np.arange(count, dtype=float), np.ones(count))
    assert len(series.values) == count
    assert series.end_s == 0.0


def test_the_newest_values_keep_their_times():
    series = regular(np.arange(10.0), np.arange(10.0)).last(3)
    assert series.values.tolist() == [7, 8, 9]
    assert (series.start_s, series.end_s) == (7.0, 9.0)


def test_wider_steps_are_means_that_end_with_the_newest_value():
    series = regular(np.arange(7.0), np.arange(7.0))
    times, values = averaged(series, 3.0)
    assert times.tolist() == [3.0, 6.0]
    assert values.tolist() == [2.0, 5.0]


def test_a_step_wider_than_the_series_is_its_mean():
    times, values = averaged(regular(np.arange(4.0), np.arange(4.0)), 100.0)
    assert (times.tolist(), values.tolist()) == ([3.0], [1.5])
