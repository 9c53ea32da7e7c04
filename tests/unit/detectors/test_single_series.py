"""The default detector looks at a few series one by one and at many together: nobody can tell which from what it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.detectors.rebellion import Config, make
from plugins.detectors.rebellion.detector import BLOCK_COUNT, FEW_COUNT

TICKS = 450


def series(kind, rng):
    kinds = {
        "noise": lambda: rng.standard_normal(TICKS),
        "walk": lambda: rng.standard_normal(TICKS).cumsum(),
        "huge": lambda: 1e152 * rng.standard_cauchy(TICKS),
        "tiny": lambda: 1e-300 * rng.standard_normal(TICKS),
        "constant": lambda: np.full(TICKS, 0.1),
        "counts": lambda: rng.poisson(3.0, TICKS).astype(float),
        "counter": lambda: 1e12 + np.arange(TICKS),
        "step": lambda: rng.standard_normal(TICKS) + np.where(np.arange(TICKS) < 300, 0.0, 1e5),
        "stuck": lambda: np.where(np.arange(TICKS) % 150 < 100, rng.standard_normal(TICKS), 0.0),
        "zeros": lambda: np.where(np.arange(TICKS) % 90, 0.0, -0.0),
    }
    return kinds[kind]()


KINDS = ("noise", "walk", "huge", "tiny", "constant", "counts", "counter", "step", "stuck", "zeros")


def run(detector, data):
    slots = np.arange(data.shape[1])
    results = [detector.learn_and_score(slots, values) for values in data]
    return tuple(np.array([result[part] for result in results]) for part in (0, 1))


def eager():
    return make(Config(tail_count=10, least_excess_ratio=0.0, warm_up_count=100, refractory_count=5), None)


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kinds=st.lists(st.sampled_from(KINDS), min_size=FEW_COUNT, max_size=FEW_COUNT + 2),
    missing_ratio=st.sampled_from([0.0, 0.05]),
    joined_at=st.integers(0, TICKS),
)
def test_alone_and_together_are_the_same_to_the_last_bit(seed, kinds, missing_ratio, joined_at):
    rng = np.random.default_rng(seed)
    data = np.stack([series(kind, rng) for kind in kinds], axis=1)
    data[rng.random(data.shape) < missing_ratio] = rng.choice([np.nan, np.inf, -np.inf])
    scores, alerts = run(eager(), data)
    alone, joined = eager(), eager()
    few, few_alerts = run(alone, data[:, :2])
    first, first_alerts = run(joined, data[:joined_at, :3])
    padded = np.hstack((data[joined_at:, :3], np.zeros((TICKS - joined_at, FEW_COUNT))))
    later, later_alerts = run(joined, padded)
    assert np.array_equal(few, scores[:, :2], equal_nan=True)
    assert np.array_equal(few_alerts, alerts[:, :2])
    for part, rest, whole in ((first, later, scores), (first_alerts, later_alerts, alerts)):
        assert np.array_equal(part, whole[:joined_at, :3], equal_nan=True) or not joined_at
        assert np.array_equal(rest[:, :3], whole[joined_at:, :3], equal_nan=True) or joined_at == TICKS


def test_that_comparison_has_alerts_to_compare():
    rng = np.random.default_rng(0)
    data = np.stack([series(kind, rng) for kind in KINDS], axis=1)
    assert run(eager(), data)[1].sum() >= len(KINDS)


def test_more_than_a_block_is_as_one_alone():
    values = np.random.default_rng(4).standard_normal(150).cumsum()
    many, alone = eager(), eager()
    slots, last = np.arange(BLOCK_COUNT + 3), BLOCK_COUNT + 2
    for value in values:
        score, alert = many.learn_and_score(slots, np.full(len(slots), value))
        only, alerted = alone.learn_and_score(np.array([last]), np.array([value]))
        assert score[last] == pytest.approx(only[0], abs=0, nan_ok=True)
        assert alert[last] == alerted[0]


def test_counts_that_are_halved_and_bins_that_are_laid_anew_are_the_same():
    rng = np.random.default_rng(6)
    data = np.concatenate((rng.standard_normal(600), 1e4 * rng.standard_normal(1400)))
    alone, together = eager(), eager()
    slots = np.arange(FEW_COUNT)
    for tick, value in enumerate(data.tolist()):
        if tick == 500:
            alone._singles[0].novelty.total = 60_000.0
            together._novelty._total[:] = 60_000.0
        one, many = (
            detector.learn_and_score(rows, np.full(len(rows), value))
            for detector, rows in ((alone, slots[:1]), (together, slots))
        )
        assert np.array_equal(one[0][0], many[0][-1], equal_nan=True)
        assert one[1][0] == many[1][-1]


def test_slots_far_apart_one_after_the_other_end_up_together():
    detector, values = eager(), np.array([1.0])
    for slot in range(0, 50, 5):
        detector.learn_and_score(np.array([slot]), values)
    assert detector.nbytes() > 46 * 1000
    detector.forget(np.array([45]))
    assert np.isnan(detector.learn_and_score(np.array([45]), values)[0]).all()
