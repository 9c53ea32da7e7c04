"""A detector that misbehaves costs itself: the pipeline goes on with the transformer's own threshold."""

import numpy as np
import pytest

from agent.collection.detection import RunningDetector

SLOTS, VALUES = np.arange(3), np.array([1.0, 2.0, 3.0])


class Scripted:
    def __init__(self, alert, score=None):
        self.alert = alert
        self.score = np.array([0.0, 0.9, np.nan]) if score is None else score
        self.forgotten = []

    def learn_and_score(self, slots, values):
        if isinstance(self.alert, Exception):
            raise self.alert
        return self.score, self.alert

    def forget(self, slots):
        self.forgotten += slots.tolist()


@pytest.fixture
def told():
    return []


def test_scores_alerts_and_forgetting_reach_the_detector(told):
    scripted = Scripted(np.array([False, True, False]))
    running = RunningDetector("scripted", scripted, told.append)
    score, alert = running.judged(SLOTS, VALUES)
    assert alert.tolist() == [False, True, False]
    assert score[:2].tolist() == [0.0, 0.9]
    running.forget(np.array([2]))
    assert (scripted.forgotten, told) == ([2], [])


RIGHT = np.array([False, True, False])


class Telling(Scripted):
    reason = "it is new"

    def explain(self, slot):
        if isinstance(self.reason, Exception):
            raise self.reason
        return self.reason


def test_reasons_are_those_of_a_detector_that_has_some(told):
    assert RunningDetector("scripted", Telling(RIGHT), told.append).reasons(SLOTS[:2]) == ["it is new"] * 2
    assert RunningDetector("scripted", Scripted(RIGHT), told.append).reasons(SLOTS) == []
    assert told == []


@pytest.mark.parametrize(("reason", "words"), [(None, "a reason is text (got None)"), (KeyError(7), "KeyError: 7")])
def test_a_detector_that_cannot_say_why_is_switched_off(told, reason, words):
    detector = Telling(RIGHT)
    detector.reason = reason
    running = RunningDetector("scripted", detector, told.append)
    assert running.reasons(SLOTS) == []
    assert running.is_off
    assert running.reasons(SLOTS) == []
    assert len(told) == 1
    assert words in told[0]


@pytest.mark.parametrize("score", [np.zeros(2), np.zeros(3, dtype=int), [0.0, 0.0, 0.0]], ids=repr)
def test_scores_that_are_no_scores_switch_it_off_too(told, score):
    assert RunningDetector("scripted", Scripted(RIGHT, score), told.append).judged(SLOTS, VALUES) is None
    assert "score is 3 numbers" in told[0]


@pytest.mark.parametrize(
    "alert", [ZeroDivisionError("no"), np.array([True]), np.zeros(3), [True, False, True], None], ids=repr
)
def test_a_detector_that_fails_is_switched_off_and_that_is_told_once(told, alert):
    running = RunningDetector("scripted", Scripted(alert), told.append)
    assert running.judged(SLOTS, VALUES) is None
    assert running.judged(SLOTS, VALUES) is None
    running.forget(SLOTS)
    assert len(told) == 1
