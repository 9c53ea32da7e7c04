import random
import sys
from math import inf, isnan, nan

import numpy as np
import pytest

from agent.builtin import load_builtin
from agent.contracts import Detector
from plugins.detectors.zscore import Config


@pytest.fixture
def make():
    registration = load_builtin("detectors", "zscore")
    return lambda **settings: registration.factory(registration.config(**settings), None)


def slots(*rows):
    return np.array(rows, dtype=np.int64)


def learn(detector, series, row=0):
    for value in series:
        score, alert = detector.learn_and_score(slots(row), np.array([value], dtype=float))
    return float(score[0]), bool(alert[0])


def test_it_is_a_detector(make):
    assert isinstance(make(), Detector)


def test_z_of_the_example_history(make):
    score, alert = learn(make(smoothing_count=1, threshold=3.0), [1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert score == pytest.approx(1.9639610121239315 / 6)
    assert not alert


def test_no_score_while_it_learns(make):
    score, alert = learn(make(), [1, 2, 3, 4, 5, 6, 7, 1e9])
    assert isnan(score)
    assert not alert


def test_score_of_one_half_is_the_alert_threshold_and_an_incident_alerts_once():
    alerts = []
    detector = load_builtin("detectors", "zscore").factory(Config(threshold=2.0, refractory_count=0), None)
    rng = random.Random(4)
    for _ in range(300):
        score, alert = learn(detector, [rng.gauss(0, 1)])
        if not isnan(score):
            assert 0 <= score <= 1
            alerts.append((alert, score))
    high = [score >= 0.5 for _, score in alerts]
    assert 1 < sum(alert for alert, _ in alerts) < sum(high)
    assert all(is_high for (alert, _), is_high in zip(alerts, high, strict=True) if alert)


def test_smoothing_takes_the_mean_of_the_last_values(make):
    smooth, plain = make(smoothing_count=3), make(smoothing_count=1)
    rng = random.Random(9)
    series = [rng.uniform(0, 10) for _ in range(40)]
    means = [sum(series[max(0, at - 2) : at + 1]) / len(series[max(0, at - 2) : at + 1]) for at in range(40)]
    assert learn(smooth, series)[0] == pytest.approx(learn(plain, means)[0])


@pytest.mark.parametrize("missing", [nan, inf, -inf])
def test_missing_values_have_no_score_and_are_not_learnt(make, missing):
    detector = make(smoothing_count=2)
    learn(detector, [4.0] * 20)
    assert isnan(learn(detector, [missing])[0])
    assert learn(detector, [4.0]) == (0.0, False)


def test_leaving_a_constant_scores_one(make):
    assert learn(make(), [4.0] * 20 + [5.0]) == (1.0, True)


def test_rows_do_not_see_each_other_and_are_forgotten_alone(make):
    detector = make(smoothing_count=1)
    for tick in range(20):
        detector.learn_and_score(slots(3, 0), np.array([tick % 2, 100.0 + tick % 2]))
    detector.forget(slots(0, 999))
    score, alert = detector.learn_and_score(slots(0, 3), np.array([5.0, 0.0]))
    assert isnan(score[0])
    assert score[1] == pytest.approx(1 / 6)
    assert not alert.any()


def test_an_empty_tick_gives_empty_arrays(make):
    score, alert = make().learn_and_score(slots(), np.array([]))
    assert (score.shape, alert.shape, alert.dtype) == ((0,), (0,), np.dtype(bool))


def test_registration_is_light():
    module = sys.modules["plugins.detectors.zscore"]
    assert "numpy" not in vars(module)
