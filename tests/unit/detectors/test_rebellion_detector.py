import sys
from math import inf, isnan, nan

import numpy as np
import pytest

from agent.builtin import load_builtin
from plugins.detectors.rebellion import Config, make
from plugins.detectors.rebellion.detector import FEW_COUNT

SLOT = np.array([0])


def run(values, **settings):
    """Scores and the ticks of the alerts."""
    detector = make(Config(**settings), None)
    results = [detector.learn_and_score(SLOT, np.array([float(value)])) for value in values]
    return [float(score[0]) for score, _ in results], [tick for tick, (_, alert) in enumerate(results) if alert[0]]


def explained(values, others):
    """Tick of each alert of the first series, and its reason; `others` are looked at with it."""
    detector, slots, told = make(Config(), None), np.arange(others + 1), {}
    for tick, value in enumerate(values):
        _, alert = detector.learn_and_score(slots, np.array([value, *np.full(others, float(tick % 3))]))
        if alert[0]:
            told[tick] = detector.explain(0)
    return told


@pytest.fixture
def noise():
    return np.random.default_rng(2).standard_normal(1500)


def test_a_spike_alerts_at_once_and_a_like_one_soon_after_does_not(noise):
    noise[[1000, 1010, 1300]] = 30.0
    alerts = [tick for tick in run(noise)[1] if tick >= 900]
    assert alerts == [1000]


def test_a_plateau_between_two_states_alerts(noise):
    square = 0.1 * noise + 10.0 * (np.arange(1500) // 50 % 2)
    square[1200:1260] = 5.0
    assert any(1200 <= tick < 1260 for tick in run(square)[1])


def test_another_rhythm_alerts():
    """Both states are old, and each lasts as it did; only their order is new."""
    beat = np.arange(1500) % 2 * 1.0
    beat[1200:1300] = np.arange(100) // 4 % 2
    assert [tick for tick in run(beat)[1] if tick >= 300][:1] == [pytest.approx(1205, abs=8)]


def test_what_stands_still_for_longer_than_ever_alerts_once(noise):
    noise[1000:1150] = noise[1000]
    assert [tick for tick in run(noise)[1] if 950 <= tick < 1200] == [1015]


def test_in_the_quiet_time_only_what_doubles_the_range_alerts(noise):
    noise[[1000, 1020, 1040]] = 30.0, 50.0, 150.0
    assert [tick for tick in run(noise)[1] if tick >= 900] == [1000, 1040]


@pytest.mark.parametrize("others", [0, FEW_COUNT])
def test_an_alert_says_which_views_saw_it_and_with_what(noise, others):
    noise[1000], noise[1200:1216] = 30.0, noise[1200]
    told = explained(noise, others)
    assert told[1000].startswith("level 30, before -2.982 to 3.109; level over 8 values ")
    assert told[1215] == "equal values in a row 16, before 1 to 15"


def test_surprise_is_told_as_such(noise):
    square = 0.1 * noise + 10.0 * (np.arange(1500) // 50 % 2)
    square[1200:1260] = 5.0
    (first, *_) = [text for tick, text in explained(square, 0).items() if tick >= 1200]
    assert first.startswith("surprise of the values over 4 ")


def test_a_level_that_never_moved_is_told_as_such():
    told = explained(np.where(np.arange(400) < 300, 5.0, 6.0), 0)
    assert told[300].startswith("level 6, before always 5; ")


@pytest.mark.parametrize("others", [0, FEW_COUNT])
@pytest.mark.parametrize("then", [0.0, 30.5, nan])
def test_what_did_not_alert_in_the_last_call_has_no_reason(noise, others, then):
    noise[1000], noise[1001] = 30.0, then
    detector, slots = make(Config(), None), np.arange(others + 1)
    for value in noise[:1001]:
        _, alert = detector.learn_and_score(slots, np.full(len(slots), value))
    assert alert.all()
    assert detector.explain(0)
    assert not detector.explain(77)
    detector.learn_and_score(slots, np.full(len(slots), then))
    assert not detector.explain(0)


def test_it_is_quiet_on_noise_of_any_kind():
    rng = np.random.default_rng(9)
    kinds = (rng.standard_normal, lambda n: rng.standard_t(3, n), lambda n: rng.standard_normal(n).cumsum())
    assert sum(len(run(kind(3000))[1]) for kind in kinds) <= 18, "2 in 1,000 of a young series at most"


def test_nothing_alerts_while_it_warms_up(noise):
    noise[50:250:40] = 1e6
    assert min(run(noise, warm_up_count=300)[1], default=300) >= 300


def test_units_do_not_matter(noise):
    noise[1000] = 30.0
    assert run(noise)[1] == run(noise * 1024.0)[1] == run(noise / 4096.0)[1]


def test_score_rises_with_what_is_unusual_and_stays_within_its_bounds(noise):
    noise[1000:1040] = 30.0
    scores, _ = run(noise)
    assert isnan(scores[31])
    assert 0 <= min(scores[32:]) < max(scores[32:]) < 1
    assert max(scores[1000:1060]) == max(scores[500:])


@pytest.mark.parametrize("missing", [nan, inf, -inf])
def test_what_is_not_finite_is_not_learnt(noise, missing):
    with_gaps = np.insert(noise, [400, 800, 800], missing)
    scores, alerts = run(with_gaps)
    there = np.flatnonzero(np.isfinite(with_gaps))
    plain, plain_alerts = run(noise)
    assert np.array_equal(np.array(scores)[there], plain, equal_nan=True)
    assert alerts == there[plain_alerts].tolist()


def test_registration_is_light():
    for name in ("rebellion", "robust", "seasonal"):
        load_builtin("detectors", name)
        assert "numpy" not in vars(sys.modules[f"plugins.detectors.{name}"])
