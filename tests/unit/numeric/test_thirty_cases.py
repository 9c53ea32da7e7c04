"""The thirty cases that any window engine must hold, by their numbers; 24 to 26 stand in test_rate.py."""

import random
import warnings
from fractions import Fraction
from math import inf, isinf, isnan, nan, nextafter, sqrt

import numpy as np
import pytest

from agent.numeric.transformer import Transformer

EXACTLY = {"rel": 0, "abs": 0}


def near(value):
    return pytest.approx(value, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("window", [120, 360])
def test_case_01_one_to_hundred_and_twenty(one_series, window):
    got = one_series(window).prefill(list(range(1, 121))).results
    assert got["mean"] == 60.5
    assert got["std"] == near(34.63981331743384)
    assert (got["p50"], got["p95"], got["p99"]) == (60.5, near(114.05), near(118.81))
    assert (got["min"], got["max"]) == (1, 120)


def test_case_02_a_constant_is_exactly_itself(one_series):
    got = one_series().feed(*[0.1] * 120).results
    assert (got["mean"], got["std"], got["z"], got["rz"], got["slope"]) == (0.1, 0, 0, 0, 0)
    assert isnan(got["r2"])
    assert (got["fc"], got["fc_hi"] - got["fc_lo"]) == (0.1, 0)


@pytest.mark.parametrize(("newest", "expected"), [(6, inf), (4, -inf)])
def test_case_03_leaving_a_constant_is_infinitely_far(one_series, newest, expected):
    series = one_series().feed(*[5] * 119, newest)
    assert (series.results["z"], series.results["rz"]) == (expected, expected)
    assert series.is_anomaly


def test_case_04_the_newest_value_does_not_judge_itself(one_series):
    series = one_series().feed(*range(1, 120), 1000)
    assert (series.last.median[0], series.last.mad[0]) == (60, 30)
    assert series.results["z"] == near(27.364457957760354)
    assert series.results["z"] == near((1000 - 60) / 34.351128074635334)
    assert series.results["rz"] == near(21.13401217281056)


def test_case_05_a_counter_near_1e12_keeps_its_variance(one_series):
    got = one_series(4).feed(*[1e12 + step for step in range(4)]).results
    assert (got["mean"], got["std"]) == (1e12 + 1.5, 1.118033988749895)


def test_case_06_small_noise_on_a_large_level_over_many_ticks(one_series, exact_window):
    rng = random.Random(6)
    series = one_series()
    for tick in range(10_000):
        series.feed(1e12 + rng.gauss(0, 1e-3))
        if tick % 997 == 0 or tick > 9_990:
            exact = exact_window(series.fed[-120:])
            expected = exact.results()["std"]
            assert abs(series.transformer.statistics().std[0] - expected) <= 1e-12 * max(exact.scale, expected)


def test_case_07_spread_is_right_at_the_tick_a_huge_spike_leaves(one_series):
    series = one_series().feed(1e15, *[1, 2, 3, 4] * 30)
    assert series.results["n"] == 120
    assert (series.results["mean"], series.results["std"]) == (2.5, 1.118033988749895)


def test_case_08_a_constant_is_exact_at_the_tick_a_spike_leaves(one_series):
    series = one_series().feed(1e9, *[5] * 120)
    assert (series.results["mean"], series.results["std"]) == (5.0, 0.0)


def test_case_09_a_restart_from_1e12_to_small_numbers(one_series, assert_exact):
    rng = random.Random(9)
    series = one_series().feed(*[1e12 + rng.gauss(0, 1) for _ in range(1000)])
    series.feed(*[rng.random() for _ in range(120)])
    assert_exact(series)


def test_case_10_missing_ticks_stay_gaps(one_series):
    got = one_series().feed(1, 2, nan, 4).results
    assert (got["n"], got["mean"]) == (3, near(7 / 3))
    assert (got["p50"], got["p95"], got["p99"]) == (2, near(3.8), near(3.96))
    assert (got["slope"], got["intercept"], got["r2"]) == (near(1), near(4), near(1))


def test_case_11_a_missing_newest_value(one_series):
    series = one_series().feed(*range(20))
    ewma = series.results["ewma"]
    got = series.feed(nan).results
    assert isnan(got["z"])
    assert isnan(got["rz"])
    assert (got["ewma"], got["mean"]) == (ewma, 9.5)
    assert got["fc"] == near(80.0)


def test_case_12_nothing_but_missing(one_series):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        series = one_series().feed(*[nan] * 130)
        got = series.results
    assert got.pop("n") == 0
    assert got.pop("bad_count") == 0
    assert all(isnan(value) for value in got.values()), got
    assert series.transformer.health().score == 1.0


def test_case_12_a_series_of_nothing_weighs_nothing_in_health():
    transformer, pair = Transformer(), np.arange(2, dtype=np.uint32)
    for tick in range(20):
        transformer.tick(pair, np.array([nan, tick % 3]))
    transformer.tick(pair, np.array([nan, 1e6]))
    assert transformer.health().score == 0.0


def test_case_13_one_value(one_series):
    got = one_series().feed(7).results
    assert [got[name] for name in ("mean", "min", "max", "p50", "p99", "std")] == [7, 7, 7, 7, 7, 0]
    assert all(isnan(got[name]) for name in ("slope", "r2", "fc_lo", "fc_hi", "z", "rz"))


def test_case_14_two_values(one_series):
    got = one_series(2).feed(0, 10).results
    assert (got["p50"], got["p95"], got["p99"]) == (5, near(9.5), near(9.9))
    assert (got["slope"], got["intercept"]) == (10, 10)
    assert isnan(got["fc_lo"])
    assert isnan(got["fc_hi"])


def test_case_15_the_first_score(one_series):
    series = one_series().feed(*range(1, 9))
    assert isnan(series.results["z"])
    assert isnan(series.results["rz"])
    got = series.feed(9).results
    assert (got["z"], got["rz"]) == (near(1.9639610121239315), near(1.5176019379411838))


@pytest.mark.parametrize("infinity", [inf, -inf])
def test_case_16_infinities_are_missing_and_counted(one_series, assert_exact, infinity):
    series = one_series(20).feed(*range(30), infinity)
    series.fed[-1] = nan
    assert series.results["bad_count"] == 1
    assert_exact(series)
    for tick in range(25):
        series.feed(tick % 3)
        assert_exact(series)


def test_case_17_and_18_the_first_value_starts_the_exponential_average(one_series):
    assert one_series().feed(10).results["ewma"] == 10
    assert one_series().feed(10, nan, 20, 30).results["ewma"] == 15.6


def test_case_19_a_straight_line(one_series):
    got = one_series().limit(105).feed(*[2 * t + 5 for t in range(-9, 1)]).results
    assert (got["slope"], got["intercept"], got["r2"], got["fc"]) == (near(2), near(5), near(1), near(125))
    assert got["fc_hi"] - got["fc"] <= 1e-6
    assert got["ttt"] == near(50)


def test_case_20_a_line_through_noise(one_series):
    got = one_series().feed(*[0, 1] * 5).results
    assert (got["slope"], got["intercept"], got["r2"]) == (near(1 / 33), near(7 / 11), near(1 / 33))
    assert got["fc"] == near(2.4545454545454546)
    assert got["fc_hi"] - got["fc"] == near(7.744933258884354)


@pytest.mark.parametrize(
    ("values", "expected"), [((5, 4, 3), inf), ((3, 3, 3), inf), ((8, 9, 12), 0), ((30, 20, 15), 0), ((3,), nan)]
)
def test_case_21_time_to_limit_is_never_negative(one_series, values, expected):
    got = one_series().limit(10).feed(*values).results["ttt"]
    assert got == expected or (isnan(got) and isnan(expected))


def test_case_22_a_limit_out_of_reach(one_series):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = one_series().limit(1e18).feed(*[1e-18 * t for t in range(10)]).results["ttt"]
    assert got == pytest.approx(1e36) or got == inf
    assert f"{got:g}" in {"1e+36", "inf"}


def test_case_23_a_majority_of_one_value_is_no_outage(one_series):
    series = one_series().feed(*[0] * 60, *[1] * 59, 1)
    assert series.results["rz"] == inf
    assert series.results["z"] == near(1.0084389681792216)
    assert not series.is_anomaly
    assert series.transformer.health().score == 1.0


def test_case_27_large_whole_numbers_do_not_wrap(one_series):
    transformer = Transformer()
    for _ in range(3):
        transformer.tick(one_series.ID, np.array([2**62], dtype=np.int64))
    assert transformer.statistics().mean[0] == 4.611686018427388e18


def test_case_28_the_edge_of_the_range(one_series):
    got = one_series().feed(*[1e308] * 4).results
    assert (got["mean"], got["std"], got["p50"]) == (1e308, 0, 1e308)
    far = one_series().feed(1e200, -1e200).results
    assert (far["bad_count"], far["n"], far["mean"], far["std"]) == (1, 1, 1e200, 0)


@pytest.mark.parametrize("ticks", [1, 120, 121])
def test_case_29_a_reused_row_holds_nothing_of_the_old_series(one_series, ticks):
    rng = random.Random(29)
    transformer = Transformer()
    for _ in range(300):
        transformer.tick(one_series.ID, np.array([rng.gauss(1e12, 1e6)]))
    transformer.forget(one_series.ID)
    values = [rng.random() for _ in range(ticks)]
    for value in values:
        transformer.tick(np.array([77], dtype=np.uint32), np.array([value]))
    reused, fresh = transformer.statistics(), one_series().feed(*values).transformer.statistics()
    assert reused.count[0] == min(ticks, 120)
    for name in (
        "mean",
        "std",
        "minimum",
        "maximum",
        "ewma",
        "moving_average",
        "slope",
        "forecast_high",
        "z",
        "robust_z",
    ):
        np.testing.assert_allclose(getattr(reused, name), getattr(fresh, name), rtol=1e-12, err_msg=name)
    for percent in (50.0, 95.0, 99.0):
        assert reused.percentiles[percent] == fresh.percentiles[percent]


@pytest.mark.parametrize("window", [120, 301])
def test_case_30_no_drift_over_many_ticks(one_series, window):
    """The benchmark's soak goes on to a million ticks; every row's sums are remade each window, so ten windows show drift."""
    rng = random.Random(30)
    level, series = 1e9, one_series(window)
    for _ in range(6_000):
        level += rng.gauss(0, 1)
        series.feed(nan if rng.random() < 0.05 else level)
    fresh = one_series(window).prefill(series.fed[-window - 1 : -1]).feed(series.fed[-1])
    scale = series.exact.scale
    ours, theirs = series.results, fresh.results
    for name in ("n", "min", "max", "mean", "std", "sma5", "ewma", "slope", "intercept", "fc", "fc_lo", "fc_hi"):
        assert abs(ours[name] - theirs[name]) <= 1e-9 * scale + 1e-9 * (name == "ewma") * 1e9 * 0.8**window, name
    if window <= 300:
        assert [ours[name] for name in ("p50", "p95", "p99", "rz")] == [
            theirs[name] for name in ("p50", "p95", "p99", "rz")
        ]


def test_also_one_ulp_above_a_constant_scores_zero(one_series):
    got = one_series().feed(*[0.3] * 119, nextafter(0.3, 1)).results
    assert (got["z"], got["rz"]) == (0, 0)


def test_also_minus_zero_is_zero_and_subnormals_do_not_warn(one_series):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = one_series().feed(*[0.0, -0.0] * 10, -0.0).results
        tiny = one_series().feed(*[5e-324, 0.0] * 10).results
    assert (got["std"], got["z"], got["rz"]) == (0, 0, 0)
    assert tiny["max"] == 5e-324


@pytest.mark.parametrize("window", [1, 2, 3])
def test_also_the_smallest_windows(one_series, window):
    got = one_series(window).feed(1, 2, 3, 4, 9).results
    kept = [1, 2, 3, 4, 9][-window:]
    assert (got["n"], got["mean"], got["p50"], got["max"]) == (
        window,
        near(sum(kept) / window),
        near(np.median(kept)),
        9,
    )
    assert got["std"] == near(sqrt(float(sum((Fraction(v) - Fraction(sum(kept), window)) ** 2 for v in kept)) / window))
    assert isnan(got["z"])
    assert not isinf(got["mean"])


def test_also_no_series_at_all():
    transformer = Transformer(computes_all=True)
    result = transformer.tick(np.empty(0, dtype=np.uint32), np.empty(0))
    assert result.robust_z.shape == (0,)
    assert len(transformer.statistics().ids) == 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_case_30_no_drift_after_a_million_ticks(one_series):
    rng = np.random.default_rng(30)
    transformer, level, kept = Transformer(), np.float64(1e9), np.full(120, nan)
    steps, is_missing = rng.standard_normal(1_000_000), rng.random(1_000_000) < 0.05
    for tick in range(1_000_000):
        level += steps[tick]
        kept[tick % 120] = nan if is_missing[tick] else level
        transformer.tick(one_series.ID, kept[tick % 120 : tick % 120 + 1])
    fresh = Transformer()
    fresh.prefill(one_series.ID, np.roll(kept, -(1_000_000 % 120))[:, None])
    ours, theirs, scale = transformer.statistics(), fresh.statistics(), np.nanmax(kept) - np.nanmin(kept)
    for name in ("count", "mean", "std", "minimum", "maximum", "moving_average", "slope", "intercept", "forecast_high"):
        assert abs(getattr(ours, name)[0] - getattr(theirs, name)[0]) <= 1e-9 * scale, name


@pytest.mark.parametrize(("window", "most_bytes"), [(120, 1_300), (3600, 31_000)])
def test_also_memory_is_the_window_and_little_more(window, most_bytes):
    count = 2048
    transformer = Transformer(window)
    transformer.tick(np.arange(count, dtype=np.uint32), np.zeros(count))
    assert transformer.nbytes() / count <= most_bytes
