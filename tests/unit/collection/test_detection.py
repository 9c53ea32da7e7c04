"""A detector that misbehaves costs itself: the pipeline goes on with the transformer's own threshold."""

import numpy as np
import pytest

from agent.collection.detection import RunningDetector

SLOTS, VALUES = np.arange(3), np.array([1.0, 2.0, 3.0])


class Scripted:
    def __init__(self, alert):
        self.alert = alert
        self.forgotten = []

    def learn_and_score(self, slots, values):
        if isinstance(self.alert, Exception):
            raise self.alert
        return np.zeros(len(values)), self.alert

    def forget(self, slots):
        self.forgotten += slots.tolist()


@pytest.fixture
def told():
    return []


def test_alerts_and_forgetting_reach_the_detector(told):
    scripted = Scripted(np.array([False, True, False]))
    running = RunningDetector("scripted", scripted, told.append)
    assert running.alerts(SLOTS, VALUES).tolist() == [False, True, False]
    running.forget(np.array([2]))
    assert (scripted.forgotten, told) == ([2], [])


@pytest.mark.parametrize(
    "alert", [ZeroDivisionError("no"), np.array([True]), np.zeros(3), [True, False, True], None], ids=repr
)
def test_a_detector_that_fails_is_switched_off_and_that_is_told_once(told, alert):
    running = RunningDetector("scripted", Scripted(alert), told.append)
    assert running.alerts(SLOTS, VALUES) is None
    assert running.alerts(SLOTS, VALUES) is None
    running.forget(SLOTS)
    assert len(told) == 1
