import warnings
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.numeric import window_engine
from agent.numeric.transformer import Transformer
from agent.numeric.window_engine import EngineSettings, WindowEngine

relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = ("mean", "std", "minimum", "maximum", "median", "mad", "moving_average", "ewma", "z", "robust_z", "severity")
LINE_NAMES = ("slope", "intercept", "r2", "forecast", "forecast_low", "forecast_high", "ticks_to_limit")


@st.composite
def histories(draw):
    """Ticks of one series: levels of any size with small steps round them, constants, gaps, and jumps between levels."""
    values = []
    for _ in range(draw(st.integers(1, 4))):
        exponent = draw(st.sampled_from([-100, -6, 0, 3, 9, 12, 100, 149]))
        level = draw(st.sampled_from([0.0, 1.0, -1.0, 7.25])) * 10.0**exponent
        step = 10.0 ** (exponent - draw(st.sampled_from([0, 3, 9, 15])))
        steps = draw(st.lists(st.one_of(st.integers(-5, 5), st.just(None)), min_size=1, max_size=30))
        values += [nan if one is None else level + one * step for one in steps]
    return values


@relaxed
@given(values=histories(), window=st.sampled_from([2, 3, 8, 16, 17]))
def test_every_result_is_exact_to_1e_12_of_the_window_at_every_tick(one_series, exact_window, values, window):
    series = one_series(window)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for value in values:
            series.feed(value)
            exact, got = exact_window(series.fed[-window:]), series.results
            if not exact.count:
                continue
            expected, scale = exact.results(), exact.scale
            for name in ("n", "min", "max"):
                assert got[name] == expected[name], name
            for name in ("mean", "std", "p50", "p95", "p99"):
                allowed = 1e-12 * scale + np.spacing(abs(expected[name]))
                assert abs(got[name] - expected[name]) <= allowed, (name, got[name], expected[name], scale)
            if exact.count > 1:
                assert abs(got["slope"] - expected["slope"]) <= 1e-12 * scale + 5e-324
            if abs(expected["rz"]) < inf and exact.mad > 0 and got["rz"]:
                last_bit = max(float(np.spacing(abs(value))) for value in series.fed[-window:] if value == value)
                allowed = 4 * last_bit * (1 + abs(expected["rz"])) + 1e-9 * abs(expected["rz"]) * exact.mad
                assert abs(float(got["rz"]) - expected["rz"]) * exact.mad <= allowed


@relaxed
@given(
    values=st.lists(st.one_of(st.integers(-3, 3), st.just(None)), min_size=9, max_size=60),
    window=st.sampled_from([9, 10, 11, 20, 33]),
)
@example(values=[None, None, 2, None, 0, -1, None, None, None], window=9)
def test_small_whole_numbers_with_ties_and_gaps(one_series, assert_exact, values, window):
    series = one_series(window).feed(*[nan if value is None else float(value) for value in values])
    if series.exact.count:
        assert_exact(series)


@pytest.mark.parametrize("window", [5, 40])
def test_ticking_through_equals_prefill(one_series, window):
    random = np.random.default_rng(2)
    values = np.where(random.random(90) < 0.1, nan, random.normal(50, 9, 90)).tolist()
    ticked = one_series(window).feed(*values)
    prefilled = one_series(window).prefill(values[:-1]).feed(values[-1])
    ours, theirs = ticked.results, prefilled.results
    for name, value in ours.items():
        tolerance = 2 * 0.8**window if name == "ewma" else 1e-11
        assert value == pytest.approx(theirs[name], rel=tolerance, nan_ok=True), name


def test_results_do_not_depend_on_the_neighbours_in_a_block():
    random = np.random.default_rng(7)
    count = window_engine._BLOCK_ROWS + 77
    data = np.cumsum(random.normal(size=(70, count)), axis=0)
    data[random.random(data.shape) < 0.03] = nan
    group = np.arange(count, dtype=np.uint32)
    together = Transformer(24, computes_all=True)
    for values in data:
        together.tick(group, values)
    for row in (0, 1, count - 78, count - 77, count - 1):
        alone = Transformer(24, computes_all=True)
        for values in data:
            alone.tick(group[:1], values[row : row + 1])
        for name in (*NAMES, *LINE_NAMES):
            one, other = alone.engine.rings.single(name)[0], together.engine.rings.single(name)[row]
            assert one == pytest.approx(other, rel=1e-10, nan_ok=True), (row, name)


def test_results_do_not_depend_on_the_block_size(monkeypatch):
    random = np.random.default_rng(8)
    data = np.exp(random.normal(size=(60, 100)))
    engines = []
    for block_rows in (7, 100):
        monkeypatch.setattr(window_engine, "_BLOCK_ROWS", block_rows)
        engine = WindowEngine(EngineSettings(window=20, computes_all=True))
        engine.reserve(100)
        for values in data:
            engine.tick(slice(0, 100), values)
        engines.append(engine)
    for name in (*NAMES, *LINE_NAMES):
        np.testing.assert_array_equal(engines[0].rings.single(name)[:100], engines[1].rings.single(name)[:100], name)


def test_long_windows_keep_order_statistics_at_most_sixty_ticks_old(one_series):
    window, count = 400, 150
    random = np.random.default_rng(9)
    group = np.arange(count, dtype=np.uint32)
    data = random.normal(size=(window + 130, count))
    transformer = Transformer(window)
    for values in data:
        transformer.tick(group, values)
    known = transformer.statistics()
    assert known.order_age_ticks == 60
    for row in range(count):
        ages = [
            age
            for age in range(61)
            if np.percentile(data[len(data) - age - window : len(data) - age, row], 95)
            == pytest.approx(known.percentiles[95.0][row], rel=1e-12)
        ]
        assert ages, row
    np.testing.assert_array_equal(known.minimum, data[-window:].min(axis=0))
    np.testing.assert_array_equal(known.maximum, data[-window:].max(axis=0))
    np.testing.assert_allclose(known.std, data[-window:].std(axis=0), rtol=1e-12)


def test_long_windows_forget_their_extremes(one_series):
    series = one_series(301).feed(1000.0, -1000.0, *np.linspace(0, 1, 299))
    assert (series.results["min"], series.results["max"]) == (-1000, 1000)
    assert (series.feed(0.5).results["min"], series.results["max"]) == (-1000, 1)
    assert (series.feed(0.5).results["min"], series.results["max"]) == (0, 1)


def test_series_of_long_windows_come_and_go():
    transformer = Transformer(310)
    random = np.random.default_rng(10)
    for tick in range(400):
        transformer.tick(np.arange(tick // 4, tick // 4 + 30, dtype=np.uint32), random.normal(size=30))
        if tick % 4 == 3:
            transformer.forget(np.array([tick // 4], dtype=np.uint32))
    known = transformer.statistics()
    assert len(known.ids) == 29
    assert known.maximum.max() < 6
    assert known.count.max() <= 120
    assert not np.isnan(known.percentiles[50.0][:14]).any()


def test_a_level_out_of_range_is_bad_until_the_window_has_emptied(one_series):
    series = one_series(5).feed(1.0, 1e200)
    assert (series.results["bad_count"], series.results["n"]) == (1, 1)
    series.feed(*[1e200] * 5)
    assert series.results["mean"] == 1e200
    assert series.results["std"] == 0


def test_prefill_refuses_no_history_that_ticking_would_take(one_series):
    series = one_series(10).prefill([1.0, inf, 2.0, -inf, 1e200, 3.0])
    got = series.results
    assert (got["n"], got["mean"], got["bad_count"]) == (3, 2.0, 3)
    assert not isnan(got["std"])


@pytest.mark.parametrize("window", [1, 2, 7, 16])
def test_percentiles_from_end_to_end(one_series, window):
    random = np.random.default_rng(window)
    series = one_series(window, percentiles=(0.0, 25.0, 75.0, 100.0))
    for value in np.where(random.random(60) < 0.2, nan, random.integers(0, 9, 60)).tolist():
        series.feed(value)
        kept = [one for one in series.fed[-window:] if one == one]
        got = [values[0] for values in series.transformer.statistics().percentiles.values()]
        expected = np.percentile(kept, [0, 25, 75, 100]) if kept else [nan] * 4
        np.testing.assert_allclose(got, expected, rtol=1e-15)
