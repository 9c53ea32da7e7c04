import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.numeric.novelty import LAG, MOST_COUNTED, Novelty, Places

ROW = Places.of(np.array([0]))


class Slow:
    """The same rule with dictionaries, for one series."""

    def __init__(self):
        self.values, self.seen, self.steps, self.visits, self.places = [], {}, {}, {}, []
        self.centre = self.width = 0.0
        self.total = 0

    def surprise(self, x):
        age = len(self.values)
        self.values.append(x)
        if age == 0:
            self.centre = x
        if age < 256:
            self.grid = self.centre, max(self.width, abs(self.centre) * 1e-9, 1e-150)
        place = math.asinh((x - self.grid[0]) / self.grid[1])
        fine = min(max(math.floor(place * 8 + 64.5), 1), 126)
        coarse = min(max(math.floor(place * 2 + 8.5), 0), 15)
        of_value = of_step = 0.0
        if age >= 32:
            mass = self.seen.get(fine, 0) + 0.5 * (self.seen.get(fine - 1, 0) + self.seen.get(fine + 1, 0))
            of_value = math.log((self.total + 1) / (mass + 0.5))
            self.seen[fine] = self.seen.get(fine, 0) + 1
            self.total += 1
        for lag in (1, LAG):
            if age - lag >= 32:
                step = lag, self.places[age - lag], coarse
                of_step += math.log((self.visits.get(step[1], 0) + 4) / (self.steps.get(step, 0) + 0.5)) / 2
                self.steps[step] = self.steps.get(step, 0) + 1
        if age >= 32:
            self.visits[coarse] = self.visits.get(coarse, 0) + 1
        self.places.append(coarse)
        weight = max(1 / 1024, 1 / (age + 1))
        self.width += weight * (abs(x - self.centre) - self.width)
        self.centre += weight * (x - self.centre)
        return of_value, of_step


def fresh(rows=1):
    novelty = Novelty()
    novelty.reserve(rows)
    return novelty


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-12, 1.0, 1e12]), is_heavy=st.booleans())
def test_surprise_equals_a_slow_count(seed, scale, is_heavy):
    rng = np.random.default_rng(seed)
    values = scale * (rng.standard_cauchy(400) if is_heavy else rng.standard_normal(400))
    novelty, slow = fresh(), Slow()
    for value in values.tolist():
        of_value, of_step = novelty.surprise(ROW, np.array([value]))
        assert (of_value[0], of_step[0]) == pytest.approx(slow.surprise(value), abs=1e-9)


def test_a_value_never_seen_surprises_more_than_a_rare_one_and_that_more_than_a_common_one():
    novelty = fresh(3)
    for tick in range(500):
        value = 5.0 if tick % 50 == 0 else float(tick % 2)
        novelty.surprise(Places.of(slice(0, 3)), np.full(3, value))
    common, rare, new = novelty.surprise(Places.of(slice(0, 3)), np.array([1.0, 5.0, 2.5]))[0]
    assert common < 1.0 < rare < new


def test_a_known_value_at_the_wrong_time_is_a_surprising_step():
    novelty = fresh()
    for tick in range(600):
        usual = novelty.surprise(ROW, np.array([float(tick % 2)]))
    wrong = novelty.surprise(ROW, np.array([1.0]))
    assert wrong[0][0] == pytest.approx(usual[0][0], abs=0.01)
    assert wrong[1][0] > usual[1][0] + 2


def test_counts_are_halved_before_they_overflow():
    novelty = fresh()
    novelty.surprise(ROW, np.array([1.0]))
    for name, value in (("_total", MOST_COUNTED - 1), ("_seen", MOST_COUNTED - 1), ("_age", 1024)):
        getattr(novelty, name)[:] = value
    novelty.surprise(ROW, np.array([1.0]))
    assert novelty._total[0] == MOST_COUNTED // 2
    assert novelty._seen.max() == MOST_COUNTED // 2


def test_bins_are_laid_anew_when_the_series_has_outgrown_them():
    novelty = fresh()
    rng = np.random.default_rng(0)
    for _ in range(300):
        novelty.surprise(ROW, np.array([5.0]))
    surprise = [novelty.surprise(ROW, rng.standard_normal(1))[0][0] for _ in range(1200)]
    assert np.ptp(surprise[-100:]) > 1.0, "it tells values apart again"
