from fractions import Fraction
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.numeric.rate import CounterRates


def rates_of(totals, wrap_bits=0, step_s=1.0):
    rates = CounterRates()
    return [rates.update("c", total, index * step_s, wrap_bits) for index, total in enumerate(totals)]


@pytest.mark.parametrize(("bits", "before"), [(64, 2**64 - 10), (32, 4294967286)])
def test_case_24_a_wrap_is_stepped_over_in_integers(bits, before):
    assert rates_of([before, 5], bits)[1] == 15.0


@pytest.mark.parametrize("bits", [0, 32, 64])
def test_case_25_a_restart_has_no_rate_and_the_next_step_counts_from_it(bits):
    _, restart, after = rates_of([1000, 3, 10], bits)
    assert isnan(restart)
    assert after == 7.0


def test_case_26_totals_beyond_two_to_the_53_stay_exact():
    assert rates_of([2**53 + 1, 2**53 + 3])[1] == 2.0


def test_first_total_has_no_rate():
    assert isnan(rates_of([7])[0])


def test_rate_is_per_second_of_elapsed_time():
    assert rates_of([0, 5], step_s=0.25)[1] == 20.0


def test_time_that_stands_still_keeps_the_earlier_reading():
    rates = CounterRates()
    rates.update("c", 10, 1.0, 0)
    assert isnan(rates.update("c", 20, 1.0, 0))
    assert rates.update("c", 30, 3.0, 0) == 10.0


@pytest.mark.parametrize("missing", [nan, inf, -inf])
def test_missing_total_changes_nothing(missing):
    _, none, after = rates_of([10, missing, 30])
    assert isnan(none)
    assert after == 10.0


def test_fall_beyond_the_declared_width_is_a_restart():
    assert isnan(rates_of([2**40, 5], 32)[1])


def test_counters_are_kept_apart_and_forgotten_one_by_one():
    rates = CounterRates()
    for key in ("a", "b"):
        rates.update(key, 0, 0.0, 0)
    rates.forget("a")
    rates.forget("never seen")
    assert len(rates) == 1
    assert isnan(rates.update("a", 4, 1.0, 0))
    assert rates.update("b", 4, 1.0, 0) == 4.0


def test_numpy_integers_are_taken_exactly():
    assert rates_of([np.uint64(2**63 + 1), np.uint64(2**63 + 4)])[1] == 3.0
    assert rates_of([np.uint64(2**64 - 1), np.uint64(4)], 64)[1] == 5.0


def test_float_totals_work():
    assert rates_of([1.5, 4.0])[1] == 2.5


def test_text_is_refused():
    with pytest.raises((TypeError, ValueError)):
        CounterRates().update("c", "many", 0.0, 0)


@given(
    start=st.integers(0, 2**64 - 1),
    steps=st.lists(st.integers(0, 2**61), min_size=1, max_size=20),
    elapsed=st.sampled_from([0.5, 1.0, 2.0]),
)
def test_any_climb_over_a_wrapping_counter_is_exact(start, steps, elapsed):
    rates = CounterRates()
    exact = start
    rates.update("c", exact % 2**64, 0.0, 64)
    for count, step in enumerate(steps, 1):
        exact += step
        got = rates.update("c", exact % 2**64, count * elapsed, 64)
        assert got == float(Fraction(step) / Fraction(elapsed))
