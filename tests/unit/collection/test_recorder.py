from math import inf, nan

import pytest

from agent.collection.recorder import TickRecorder
from agent.errors import ContractError, SeriesLimitExceeded
from agent.model import Kind, Series


class DoublingRates:
    """Stands in for the running totals: what goes in comes out doubled."""

    def __init__(self):
        self.asked = []

    def update(self, key, total, at_s, wrap_bits):
        self.asked.append((key.name, total, at_s, wrap_bits))
        return total * 2.0

    def forget(self, key):
        raise AssertionError(key)


@pytest.fixture
def recorder():
    return TickRecorder("x", 5.0, DoublingRates(), 3)


def test_the_last_value_of_a_series_counts(recorder):
    series = Series("a")
    recorder.add(series, 1)
    recorder.add(series, True)
    assert recorder.samples == {series: 1.0}


def test_nan_is_no_sample_and_infinity_is_counted(recorder):
    for value in (nan, inf, -inf):
        recorder.add(Series("a"), value)
    assert recorder.samples == {}
    assert recorder.bad_values == 2


def test_a_running_total_stays_an_exact_integer_until_it_is_a_rate():
    rates = DoublingRates()
    recorder = TickRecorder("x", 5.0, rates, 3)
    series = Series("a", kind=Kind.RATE, wrap_bits=64)
    recorder.add(series, 2**53 + 1)
    assert rates.asked == [("a", 2**53 + 1, 5.0, 64)]
    assert recorder.samples == {series: float(2**54 + 2)}


@pytest.mark.parametrize("value", ["1.5", None, [1], object(), 1j, b"1"])
def test_rubbish_is_refused_with_what_was_got(recorder, value):
    with pytest.raises(ContractError, match=r"add\(\) takes a Series and a number"):
        recorder.add(Series("a"), value)


def test_something_that_is_no_series_is_refused(recorder):
    with pytest.raises(ContractError, match="got 'cpu', 1"):
        recorder.add("cpu", 1.0)


def test_series_made_behind_the_hosts_back_are_bounded_too(recorder):
    for _ in range(3):
        recorder.add(Series("a"), 1.0)
    with pytest.raises(SeriesLimitExceeded, match="more than 3 series"):
        recorder.add(Series("a"), 1.0)
