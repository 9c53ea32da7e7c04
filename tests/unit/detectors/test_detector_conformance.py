"""Every built-in detector against the suite for plugin authors, and the suite against detectors that break their contract."""

import re

import numpy as np
import pytest

from agent.builtin import BUILTIN, load_builtin
from agent.testing.detector_suite import check_detector

SETTINGS = {"seasonal": {"period_count": 96}}


def maker(name):
    registration = load_builtin("detectors", name)
    return lambda: registration.factory(registration.config(**SETTINGS.get(name, {})), None)


@pytest.mark.parametrize("name", BUILTIN["detectors"])
def test_the_detector_keeps_its_contract(name):
    report = check_detector(maker(name), bytes_per_series=4096)
    assert not np.isnan(report.scores[-1]).any()
    step = report.alerts[225:, 4]
    assert step[:12].sum() == step.sum() == 1, "a step alerts once, and early"


REASONS = {
    "rebellion": r"level 50\.\d*, before -?[\d.]+ to [\d.]+",
    "robust": r"[\d.]+ robust deviations off, alerts from 6",
    "seasonal": r"\+[\d.]+ deviations off what this part of the period does, smoothed; alerts from 6",
    "zscore": r"short mean \+[\d.]+ deviations off, alerts from 3",
}


@pytest.mark.parametrize("name", BUILTIN["detectors"])
def test_every_built_in_detector_says_what_it_saw(name):
    detector, slots, told = maker(name)(), np.array([0]), []
    for tick, value in enumerate(np.random.default_rng(3).standard_normal(303)):
        _, alert = detector.learn_and_score(slots, np.array([value + (50.0 if tick >= 300 else 0.0)]))
        told += [detector.explain(0)] if alert[0] and tick >= 300 else []
    assert len(told) == 1
    assert re.match(REASONS[name], told[0])


class Honest:
    def learn_and_score(self, slots, values):
        return np.where(np.isnan(values), np.nan, 0.0), np.zeros(len(values), dtype=bool)

    def forget(self, slots):
        pass


class TooLarge(Honest):
    def learn_and_score(self, slots, values):
        return np.where(np.isnan(values), np.nan, 2.0), np.zeros(len(values), dtype=bool)


class ScoresNothing(Honest):
    def learn_and_score(self, slots, values):
        return np.zeros(len(values)), np.zeros(len(values), dtype=bool)


class AlwaysAlerts(Honest):
    def learn_and_score(self, slots, values):
        return np.where(np.isnan(values), np.nan, 0.0), ~np.isnan(values)


class SeesNeighbours(Honest):
    def learn_and_score(self, slots, values):
        there = np.nan_to_num(values, posinf=0, neginf=0)
        rank = np.argsort(np.argsort(there)) / max(len(values), 1)
        return np.where(np.isnan(values), np.nan, rank), np.zeros(len(values), dtype=bool)


class Meddles(Honest):
    def learn_and_score(self, slots, values):
        values[:] = 0.0
        return super().learn_and_score(slots, values)


class Mute(Honest):
    """Alerts once a series, and cannot say why."""

    seen = 0

    def learn_and_score(self, slots, values):
        self.seen += 1
        scores, _ = super().learn_and_score(slots, values)
        return scores, ~np.isnan(values) & (self.seen == 1)

    def explain(self, slot):
        return None


class Leaks(Honest):
    calls = 0

    def learn_and_score(self, slots, values):
        self.calls += 1
        return super().learn_and_score(slots, values)

    def nbytes(self):
        return self.calls


def test_the_suite_lets_a_quiet_detector_pass():
    check_detector(Honest)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (TooLarge, "within 0..1"),
        (ScoresNothing, "a missing value has no score"),
        (AlwaysAlerts, "a constant series never alerts"),
        (SeesNeighbours, "which others share the call"),
        (Meddles, "leaves its arguments"),
        (Leaks, "rows are reused"),
        (Mute, "in one line of text"),
    ],
)
def test_the_suite_names_what_is_wrong(broken, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_detector(broken)
