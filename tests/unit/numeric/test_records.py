import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.numeric.records import Records, required_excess
from agent.numeric.single_records import SingleRecords


def alone(values):
    """The same of one series; that both forms agree is shown with the detector."""
    records = SingleRecords((1,), 1)
    return [records.excess((value,), age) for age, value in enumerate(values)]


def excesses(values, smoothing=1, two_sided_count=1):
    records = Records((smoothing,), two_sided_count)
    records.reserve(1)
    rows = np.array([0])
    return [
        float(records.excess(rows, np.array([[value]]), np.array([age]), age)[0]) for age, value in enumerate(values)
    ]


def test_excess_is_in_units_of_the_range():
    calm = [float(tick % 3) for tick in range(150)]
    assert excesses([*calm, 3.0])[-1] == pytest.approx(0.5, abs=0.01)
    assert excesses([*calm, -4.0])[-1] == pytest.approx(2.0, abs=0.02)
    assert excesses([*calm, 1.0])[-1] == 0


def test_a_one_sided_view_does_not_care_for_lows():
    calm = [float(tick % 3) for tick in range(150)]
    assert excesses([*calm, -4.0], two_sided_count=0)[-1] == 0


def test_the_record_is_the_new_range():
    calm = [float(tick % 3) for tick in range(150)]
    assert excesses([*calm, 100.0, 100.0])[-1] == 0
    assert excesses([*calm, 100.0, 110.0])[-1] == pytest.approx(0.1, abs=0.01)


def test_a_record_fades_towards_where_the_series_is():
    calm = [float(tick % 3) for tick in range(150)]
    early = alone([*calm, 1000.0, *calm, 500.0])[-1]
    late = alone([*calm, 1000.0, *calm * 600, 500.0])[-1]
    assert early == 0 < late


@settings(max_examples=25)
@given(st.lists(st.floats(-1e6, 1e6), min_size=110, max_size=140), st.floats(1e-3, 1e3))
def test_excess_has_no_unit(values, scale):
    here, there = excesses(values), excesses([scale * value for value in values])
    wide = [place for place in range(102, len(values)) if np.ptp(values[100:place]) > 1e-3 * np.abs(values).max()]
    assert [here[place] for place in wide] == pytest.approx([there[place] for place in wide], rel=1e-6, abs=1e-9)


def test_what_is_required_falls_with_age_to_the_least():
    needed = required_excess(np.array([100, 200, 1000, 10**6]), 2000, 0.05)
    assert np.all(np.diff(needed) <= 0)
    assert needed[0] == pytest.approx((np.log(2000) / np.log(100) - 1) / 2)
    assert needed[-1] == 0.05


def test_exponential_tails_exceed_what_is_required_about_as_rarely_as_promised():
    """1 in 2,000 at an age of 300, over 4,000 series; the rule is an approximation, so within a factor of 3."""
    rng = np.random.default_rng(1)
    values = rng.laplace(size=(301, 4000))
    high, low = values[:-1].max(axis=0), values[:-1].min(axis=0)
    excess = np.maximum(values[-1] - high, low - values[-1]) / (high - low)
    found = int((excess > required_excess(np.array([300]), 2000, 0.0)).sum())
    assert 0 < found <= 6
