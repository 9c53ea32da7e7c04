"""The health formula: bounded, monotone, and with its reasons in order."""

from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.numeric.health import HOST, Loss, band_of, graded, health

NAMES = ("cpu", "memory", "disk")
LOSSES = st.lists(st.builds(Loss, st.sampled_from(NAMES), st.text(max_size=3), st.floats(0, 1)), max_size=8)


def test_nothing_wrong_is_a_hundred():
    assert {name: one.score for name, one in health([], NAMES).items()} == {
        "cpu": 100,
        "memory": 100,
        "disk": 100,
        HOST: 100,
    }
    assert health([], [])[HOST].score == 100


def test_scores_are_as_the_formula_says():
    found = health([Loss("cpu", "busy", 0.5), Loss("cpu", "waits", 0.2), Loss("disk", "full", 0.1)], NAMES)
    assert found["cpu"].score == pytest.approx(100 * 0.5 * 0.8)
    assert found["disk"].score == pytest.approx(90)
    assert found[HOST].score == pytest.approx(0.7 * 40 + 0.3 * (40 + 100 + 90) / 3)


def test_reasons_are_ranked_and_nothings_left_out():
    found = health([Loss("cpu", "a", 0.1), Loss("disk", "b", 0.4), Loss("cpu", "c", 0.0), Loss("cpu", "d", 0.2)], NAMES)
    assert [loss.cause for loss in found["cpu"].reasons] == ["d", "a"]
    assert [loss.cause for loss in found[HOST].reasons] == ["b", "d", "a"]


@given(LOSSES, st.data())
def test_more_loss_is_never_better(losses, data):
    before = health(losses, NAMES)
    if losses and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(losses) - 1))
        old = losses[place]
        worse = [*losses]
        worse[place] = Loss(old.subsystem, old.cause, data.draw(st.floats(old.share, 1)))
    else:
        worse = [*losses, data.draw(st.builds(Loss, st.sampled_from(NAMES), st.text(max_size=3), st.floats(0, 1)))]
    after = health(worse, NAMES)
    for name, one in before.items():
        assert after[name].score <= one.score + 1e-9
        assert 0 <= after[name].score <= 100


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0, 1))
def test_a_reading_nearer_to_bad_never_loses_less(first, second, weight):
    low, high = sorted((first, second))
    assert graded(low, 0.2, 0.9, weight) <= graded(high, 0.2, 0.9, weight) <= weight
    assert graded(low, 0.9, 0.2, weight) >= graded(high, 0.9, 0.2, weight)


def test_a_reading_that_is_missing_loses_nothing():
    assert graded(nan, 0, 1, 0.5) == 0
    assert (graded(1, 1, 0, 0.9), graded(0, 1, 0, 0.9)) == (0, 0.9)


@pytest.mark.parametrize(
    ("score", "was", "band"),
    [
        (80, "good", "good"),
        (79, "good", "worried"),
        (84, "worried", "worried"),
        (85, "worried", "good"),
        (54, "bad", "bad"),
        (55, "bad", "worried"),
        (10, "good", "bad"),
        (100, "bad", "good"),
        (82, "", "good"),
    ],
)
def test_bands_have_a_margin_upwards(score, was, band):
    assert band_of(score, was) == band
