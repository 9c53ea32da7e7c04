import warnings
from math import inf, isnan, nan, nextafter

import numpy as np
import pytest

from agent.numeric.transformer import Transformer


def ids(*numbers):
    return np.array(numbers, dtype=np.uint32)


def values(*numbers):
    return np.array(numbers, dtype=np.float64)


def feed(transformer, series, one_series_id=7):
    for value in series:
        result = transformer.tick(ids(one_series_id), values(value))
    return result


def test_results_are_aligned_with_the_ids_of_the_tick():
    transformer = Transformer()
    for tick in range(10):
        transformer.tick(ids(5, 900, 2), values(tick, 100 + tick, 7))
    result = transformer.tick(ids(2, 900), values(7, 400))
    assert result.mean[0] == 7.0
    assert result.z[0] == 0.0
    assert result.robust_z[1] > 50
    assert result.is_anomaly.tolist() == [False, True]


def test_no_anomaly_before_eight_values_of_history():
    transformer = Transformer()
    assert not feed(transformer, [1, 2, 1, 2, 1, 2, 1]).is_anomaly[0]
    early = transformer.tick(ids(7), values(1000.0))
    assert isnan(early.robust_z[0])
    assert not early.is_anomaly[0]
    assert transformer.tick(ids(7), values(100000.0)).is_anomaly[0]


def test_one_ulp_off_a_constant_series_is_no_anomaly():
    transformer = Transformer()
    feed(transformer, [0.3] * 20)
    result = feed(transformer, [nextafter(0.3, 1)])
    assert (result.z[0], result.robust_z[0], result.is_anomaly[0]) == (0.0, 0.0, False)
    again = feed(transformer, [0.3, nextafter(0.3, 1)])
    assert not again.is_anomaly[0]


def test_rounding_noise_is_no_anomaly_however_small_its_spread():
    transformer = Transformer()
    noise = [100 * (1 + 1e-14 * k) for k in (0, 1, 2, 1, 0, 2, 1, 1, 0, 2, 1, 0)]
    assert not feed(transformer, [*noise, 100 * (1 + 1e-10)]).is_anomaly[0]


def test_a_step_away_from_a_constant_is_an_anomaly():
    assert feed(Transformer(), [5.0] * 20 + [6.0]).is_anomaly[0]


def test_absent_series_miss_the_tick():
    transformer = Transformer(4)
    transformer.tick(ids(1, 2), values(10, 20))
    for _ in range(3):
        transformer.tick(ids(2), values(20))
    assert transformer.statistics().count.tolist() == [1.0, 4.0]
    transformer.tick(ids(2), values(20))
    assert transformer.statistics().count.tolist() == [0.0, 4.0]


def test_series_that_come_back_after_a_whole_window_start_afresh():
    transformer = Transformer(4)
    feed(transformer, [1e12] * 4)
    for _ in range(4):
        transformer.tick(ids(8), values(1))
    feed(transformer, [3.0])
    statistics = transformer.statistics()
    assert (statistics.ids[0], statistics.count[0], statistics.mean[0], statistics.std[0]) == (7, 1.0, 3.0, 0.0)


def test_forgotten_series_leave_nothing_to_the_one_that_gets_their_row():
    transformer = Transformer()
    feed(transformer, [1e9, -5.0, inf, 3.0] * 10)
    rows = transformer.engine.rings.row_count
    transformer.forget(ids(7, 12345))
    assert len(transformer) == 0
    transformer.tick(ids(8), values(2.0))
    after = transformer.statistics()
    assert after.ids.tolist() == [8]
    got = [after.count, after.minimum, after.maximum, after.ewma, after.mean, after.percentiles[99.0], after.bad_count]
    assert [one[0] for one in got] == [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 0]
    assert transformer.engine.rings.row_count == rows


def test_ten_thousand_series_appear_and_vanish_without_growing_the_rings():
    transformer = Transformer(8)
    for first in range(0, 10_000, 50):
        group = np.arange(first, first + 50, dtype=np.uint32)
        transformer.tick(group, np.ones(50))
        transformer.forget(group)
    assert transformer.engine.rings.row_count <= 64
    assert len(transformer) == 0


def test_ids_may_come_in_any_order_from_tick_to_tick():
    transformer, same = Transformer(16), Transformer(16)
    random = np.random.default_rng(3)
    known = np.array([4_000_000_000, 3, 77, 12, 900_000], dtype=np.uint32)
    for _ in range(30):
        new = random.normal(size=5)
        order = random.permutation(5)
        result = transformer.tick(known[order], new[order])
        expected = same.tick(known, new)
        np.testing.assert_array_equal(result.robust_z, expected.robust_z[order])


def test_results_of_an_overwritten_tick_are_refused():
    transformer = Transformer()
    old = feed(transformer, range(20))
    kept = old.z
    feed(transformer, [3.0])
    assert old.z is kept
    with pytest.raises(RuntimeError, match="mean of tick 20"):
        _ = old.mean


def test_statistics_are_the_same_whether_made_every_tick_or_when_asked():
    eager, lazy = Transformer(20, computes_all=True), Transformer(20)
    random = np.random.default_rng(1)
    group = np.arange(50, dtype=np.uint32)
    for _ in range(45):
        new = np.where(random.random(50) < 0.1, nan, random.normal(size=50))
        eager.tick(group, new)
        lazy.tick(group, new)
    one, other = eager.statistics(), lazy.statistics()
    for name in ("count", "mean", "minimum", "maximum", "moving_average", "slope", "forecast_low", "ticks_to_limit"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for percent in (50.0, 95.0, 99.0):
        np.testing.assert_array_equal(one.percentiles[percent], other.percentiles[percent])


def test_time_to_limit_is_counted_to_the_series_own_limit():
    transformer = Transformer()
    transformer.set_limits(ids(7), values(118))
    feed(transformer, range(0, 20, 2))
    assert transformer.statistics().ticks_to_limit[0] == pytest.approx(50)


def test_health_names_the_worst_series_first_and_is_whole_without_anomalies():
    transformer = Transformer()
    assert transformer.health().score == 1.0
    random = np.random.default_rng(5)
    group = np.arange(10, dtype=np.uint32)
    for _ in range(60):
        transformer.tick(group, random.uniform(-1, 1, 10))
    assert transformer.health().score == 1.0
    new = np.zeros(10)
    new[4], new[6] = 1000.0, 3.5
    transformer.tick(group, new)
    health = transformer.health()
    assert [reason.series_id for reason in health.reasons] == [4, 6]
    assert health.reasons[0].loss == 1.0
    assert 0 < health.reasons[1].loss < 1
    assert float(health) == pytest.approx(1 - sum(reason.loss for reason in health.reasons) / 10)


def test_nothing_warns_on_empty_ticks_and_rubbish():
    transformer = Transformer(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transformer.tick(ids(), values())
        for value in (nan, inf, -inf, 5e-324, -0.0, 1e308, -1e308, 0.0):
            transformer.tick(ids(1), values(value))
        statistics = transformer.statistics()
    assert statistics.bad_count[0] >= 2
    assert transformer.health().score == 1.0
