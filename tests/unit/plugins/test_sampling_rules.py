"""What every sampling strategy owes: the rules of `Kept`, weights that add up, and calm in the face of odd blocks."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.builtin import BUILTIN, load_builtin
from agent.contracts import Block, Kept, Sampler
from agent.resilience.sampler_guard import SamplerGuard

KEEPS_ALL_WEIGHT = {"reservoir", "stratified", "change", "hybrid", "aggregate", "lttb"}


class Context:
    name = "test"

    def __init__(self, seed: int = 1) -> None:
        self.rng = random.Random(seed)


def make(name: str, seed: int = 1) -> Sampler:
    registration = load_builtin("sampling", name)
    return registration.factory(registration.config and registration.config(), Context(seed))


def block_of(values: np.ndarray, ids: np.ndarray | None = None, exceptional: np.ndarray | None = None, **more) -> Block:
    size = len(values)
    return Block(
        more.get("monotonic_s", np.arange(size, dtype=np.float64)),
        np.zeros(size, np.uint32) if ids is None else ids.astype(np.uint32),
        values.astype(np.float64),
        np.zeros(size, np.int64) if exceptional is None else exceptional.astype(np.int64),
        np.zeros(size, bool) if exceptional is None else exceptional,
        more.get("weights", np.ones(size)),
    )


def lawful(sampler: Sampler, block: Block, budget: int) -> Kept:
    faults: list[str] = []
    kept = SamplerGuard(sampler, faults.append).keep(block, budget)
    assert faults == []
    return kept


@pytest.mark.parametrize("name", BUILTIN["sampling"])
@settings(deadline=None)
@given(data=st.data())
def test_any_block_and_any_budget_give_a_lawful_answer(name: str, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 60))
    numbers = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf, 1e300]))
    values = np.array(data.draw(st.lists(numbers, min_size=size, max_size=size)), np.float64)
    ids = np.array(data.draw(st.lists(st.integers(0, 5), min_size=size, max_size=size)), np.uint32)
    exceptional = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), bool)
    weights = np.array(data.draw(st.lists(st.integers(1, 9), min_size=size, max_size=size)), np.float64)
    times = np.sort(np.array(data.draw(st.lists(st.integers(0, 30), min_size=size, max_size=size)), np.float64))
    budget = data.draw(st.integers(0, 70))
    block = block_of(values, ids, exceptional, weights=weights, monotonic_s=times)
    kept = lawful(make(name), block, budget)
    assert len(kept.index) <= min(budget, size)


@pytest.mark.parametrize("name", sorted(KEEPS_ALL_WEIGHT))
@pytest.mark.parametrize("series", [1, 7])
def test_53_weights_add_up_to_all_that_was_produced(name: str, series: int) -> None:
    rng = np.random.default_rng(3)
    block = block_of(rng.normal(size=1000), np.arange(1000) % series, weights=rng.integers(1, 5, 1000).astype(float))
    kept = lawful(make(name), block, 100)
    assert kept.weights.sum() == pytest.approx(block.weights.sum(), abs=1e-6)


@pytest.mark.parametrize("name", ["latest", "oldest"])
def test_one_end_stays(name: str) -> None:
    kept = make(name).keep(block_of(np.arange(100.0)), 10)
    assert kept.index.tolist() == (list(range(90, 100)) if name == "latest" else list(range(10)))


def test_priority_keeps_the_highest_and_among_equals_the_newest() -> None:
    block = block_of(np.arange(8.0), exceptional=np.array([1, 0, 0, 1, 0, 0, 0, 0], bool))
    assert make("priority").keep(block, 4).index.tolist() == [0, 3, 6, 7]


def chi_square(counts: np.ndarray, expected: float) -> float:
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("name", ["reservoir", "random"])
def test_53_each_item_is_kept_as_often_as_any_other(name: str) -> None:
    block, counts = block_of(np.zeros(10_000)), np.zeros(10_000)
    for seed in range(200):
        kept = make(name, seed).keep(block, 100)
        assert kept.weights.sum() == 10_000
        counts[kept.index] += 1
    deviation = np.sqrt(2 * 10_000)
    assert abs(chi_square(counts, 2.0) * 1 / 0.99 - 10_000) < 3.3 * deviation
    told = 100 * counts[:3000].sum() / 200
    assert told == pytest.approx(3000, abs=3.3 * 100 * np.sqrt(100 * 0.3 * 0.7 * 0.99 / 200)), "how many of a part"


def test_53_a_reservoir_stays_fair_over_many_rounds() -> None:
    counts = np.zeros(20)
    for seed in range(2000):
        sampler = make("reservoir", seed)
        values, weights = np.zeros(0), np.zeros(0)
        for number in range(20):
            values, weights = np.append(values, number), np.append(weights, 1.0)
            if len(values) > 5:
                kept = sampler.keep(block_of(values, weights=weights), 5)
                values, weights = values[kept.index], kept.weights
        assert weights.sum() == pytest.approx(20)
        np.add.at(counts, values.astype(int), weights)
    assert counts / 2000 == pytest.approx(np.ones(20), abs=0.15)


def test_stratified_gives_every_series_its_share() -> None:
    ids = np.concatenate([np.full(900, 1), np.full(90, 2), np.full(10, 3)])
    kept = make("stratified").keep(block_of(np.zeros(1000), ids), 100)
    share = np.bincount(ids[kept.index])
    assert share[1:].tolist() == pytest.approx([89, 10, 1], abs=2)


@pytest.mark.parametrize(
    ("function", "expected"), [("mean", [2.0, 7.0]), ("min", [0.0, 5.0]), ("max", [4.0, 9.0]), ("last", [4.0, 9.0])]
)
def test_aggregate_puts_one_number_in_the_place_of_many(function: str, expected: list[float]) -> None:
    registration = load_builtin("sampling", "aggregate")
    sampler = registration.factory(registration.config(function=function), Context())
    kept = sampler.keep(block_of(np.arange(10.0)), 2)
    assert kept.values.tolist() == expected
    assert kept.weights.tolist() == [5.0, 5.0]
    assert kept.index.tolist() == [4, 9]
