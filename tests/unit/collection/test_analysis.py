"""One tick, judged by the detector, or by the threshold when there is none that works."""

import numpy as np
import pytest

from agent.collection.analysis import MOST_EXPLAINED, Analysis
from agent.collection.detection import RunningDetector
from agent.numeric.transformer import Transformer

IDS = np.array([7, 3], dtype=np.uint32)


class HalfScores:
    def __init__(self):
        self.forgotten = []

    def learn_and_score(self, slots, values):
        if (values > 1e6).any():
            raise OverflowError("too much")
        return np.full(len(values), 0.5), values > 90

    def forget(self, slots):
        self.forgotten += slots.tolist()


def calm(analysis, ticks=20):
    for tick in range(ticks):
        seen = analysis.look(IDS, np.array([10.0 + tick % 3, 50.0 + tick % 5]))
    return seen


def test_the_detector_judges_and_the_transformer_knows_what_was_usual():
    analysis = Analysis(Transformer(), RunningDetector("half", HalfScores(), print))
    calm(analysis)
    seen = analysis.look(IDS, np.array([11.0, 99.0]))
    assert (seen.score.tolist(), seen.alert.tolist()) == ([0.5, 0.5], [False, True])
    assert (seen.result.median[1], seen.result.mad[1]) == (52.0, 1.0)
    assert analysis.judge == "half"


class Telling(HalfScores):
    def explain(self, slot):
        return f"row {slot}"


def test_what_the_detector_saw_is_asked_of_what_alerts():
    analysis = Analysis(Transformer(), RunningDetector("telling", Telling(), print))
    assert calm(analysis).reasons == {}
    seen = analysis.look(IDS, np.array([11.0, 99.0]))
    assert seen.reasons == {1: f"row {seen.result.slots[1]}"}


def test_of_a_whole_host_at_once_only_the_first_are_asked():
    analysis = Analysis(Transformer(), RunningDetector("telling", Telling(), print))
    seen = analysis.look(np.arange(200, dtype=np.uint32), np.full(200, 99.0))
    assert list(seen.reasons) == list(range(MOST_EXPLAINED))


def test_without_a_detector_half_a_score_is_the_threshold():
    analysis = Analysis(Transformer(anomaly_threshold=4.0))
    assert np.nanmax(calm(analysis).score) < 0.5
    seen = analysis.look(IDS, np.array([11.0, 99.0]))
    assert seen.alert.tolist() == [False, True]
    assert seen.score[1] == 1.0
    assert analysis.judge == "threshold"


def test_a_detector_that_fails_leaves_the_judgement_to_the_threshold():
    told = []
    analysis = Analysis(Transformer(), RunningDetector("half", HalfScores(), told.append))
    calm(analysis)
    assert analysis.look(IDS, np.array([11.0, 1e7])).alert.tolist() == [False, True]
    assert analysis.judge == "threshold"
    assert told == ["OverflowError: too much"]


def test_series_that_are_gone_are_forgotten_by_both():
    detector = HalfScores()
    analysis = Analysis(Transformer(), RunningDetector("half", detector, print))
    slot = calm(analysis).result.slots[1]
    analysis.forget(np.array([3], dtype=np.uint32))
    assert detector.forgotten == [slot]
    with pytest.raises(KeyError):
        analysis.transformer.history(3)
