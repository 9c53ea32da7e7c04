"""The library's backpressure handler, called as its callers call it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from agent.contracts import Block, Kept
from agent.errors import LoadError
from agent.resilience.backpressure import (
    BackpressureHandler,
    get_backpressure_handler,
    remove_backpressure_handler,
)
from agent.testing.clock import FakeClock


@pytest.fixture
def name() -> Iterator[str]:
    yield "metrics_backpressure"
    remove_backpressure_handler("metrics_backpressure")


def handler(**settings) -> BackpressureHandler:
    return BackpressureHandler(**{"clock": FakeClock(), "rng": random.Random(1), **settings})


def test_the_published_example_runs(name: str) -> None:
    backpressure = get_backpressure_handler(name=name, max_buffer_size=100, sampling_strategy="latest")
    for item in range(150):
        backpressure.add_item({"value": item})
    batch = backpressure.get_batch(max_batch_size=10)
    assert [item["value"] for item in batch] == list(range(50, 60))
    assert len(backpressure) == 90


def test_one_name_is_one_handler_and_other_settings_are_refused_by_name(name: str) -> None:
    first = get_backpressure_handler(name=name, max_buffer_size=100)
    assert get_backpressure_handler(name=name) is first
    assert get_backpressure_handler(name, max_buffer_size=100) is first
    with pytest.raises(ValueError, match=r"max_buffer_size is 100, asked for 7"):
        get_backpressure_handler(name=name, max_buffer_size=7)


@pytest.mark.parametrize("size", [0, -1])
def test_a_buffer_for_nothing_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="max_buffer_size"):
        handler(max_buffer_size=size)


def test_an_unknown_strategy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LoadError, match="latest"):
        handler(sampling_strategy="lastest")


def test_oldest_keeps_the_first_and_says_so() -> None:
    backpressure = handler(max_buffer_size=5, sampling_strategy="oldest")
    assert [backpressure.add_item(item) for item in range(8)] == [True] * 5 + [False] * 3
    assert backpressure.get_batch(10) == [0, 1, 2, 3, 4]


def test_priority_evicts_the_lowest_and_delivers_the_highest_first() -> None:
    backpressure = handler(max_buffer_size=4, sampling_strategy="priority", priority_func=lambda item: item["p"])
    for number, priority in enumerate([1, 5, 1, 3, 9, 0]):
        backpressure.add_item({"n": number, "p": priority})
    assert sorted(item["n"] for item in backpressure.get_batch(10)) == [1, 2, 3, 4]


def test_random_keeps_about_every_item_as_often_as_any_other() -> None:
    kept = np.zeros(200)
    for seed in range(200):
        backpressure = handler(max_buffer_size=20, sampling_strategy="random", rng=random.Random(seed))
        for item in range(40):
            backpressure.add_item(item)
        batch = backpressure.get_batch(40)
        assert len(batch) == 20
        kept[batch] += 1
    assert kept[:40].min() > 40


@pytest.mark.parametrize("strategy", ["latest", "oldest", "random", "priority", "hybrid"])
def test_every_strategy_keeps_the_bound_and_the_balance(strategy: str) -> None:
    backpressure = handler(max_buffer_size=300, sampling_strategy=strategy)
    for item in range(2000):
        backpressure.add_item(float(item))
        assert len(backpressure) <= 300
    stats = backpressure.get_stats()
    assert stats["received"] == 2000 == stats["dropped"] + stats["buffered"] + stats["delivered"]
    assert stats["buffered"] >= 275


def test_a_sampler_object_sees_values_and_priorities() -> None:
    class Largest:
        def keep(self, block: Block, budget: int, /) -> Kept:
            index = np.sort(np.argsort(block.values)[::-1][:budget])
            return Kept(index, block.weights[index])

    backpressure = handler(max_buffer_size=3, sampling_strategy=Largest())
    for item in [5, {"value": 9}, 1, 7, 2]:
        backpressure.add_item(item)
    assert backpressure.get_batch(5) == [5, {"value": 9}, 7]


def test_pressure_rises_with_the_fill_and_with_what_is_not_taken_out() -> None:
    clock = FakeClock()
    backpressure = handler(max_buffer_size=100, clock=clock)
    assert backpressure.get_overall_pressure() == 0.0
    for _ in range(60):
        backpressure.add_item("x")
    clock.advance(10.0)
    assert backpressure.get_buffer_pressure() == pytest.approx(0.6)
    assert backpressure.get_rate_pressure() == pytest.approx(1.0)
    assert backpressure.get_overall_pressure() == pytest.approx(0.72)
    backpressure.get_batch(60)
    clock.advance(60.0)
    assert backpressure.get_overall_pressure() < 0.1


def test_should_sample_has_hysteresis_and_should_throttle_comes_last() -> None:
    backpressure = handler(max_buffer_size=100)
    for _ in range(79):
        backpressure.add_item("x")
    assert not backpressure.should_sample()
    backpressure.add_item("x")
    assert backpressure.should_sample()
    assert not backpressure.should_throttle()
    backpressure.get_batch(29)
    assert backpressure.should_sample()
    backpressure.get_batch(1)
    assert not backpressure.should_sample()
    for _ in range(50):
        backpressure.add_item("x")
    assert backpressure.should_throttle()


def test_adaptive_sampling_thins_out_before_the_buffer_is_full_and_recovers() -> None:
    clock = FakeClock()
    backpressure = handler(max_buffer_size=1000, adaptive_sampling=True, clock=clock)
    for _ in range(100):
        for item in range(50):
            backpressure.add_item(item)
        clock.advance(1.0)
    stats = backpressure.get_stats()
    assert stats["sampling_rate"] < 0.2
    assert stats["dropped_by_reason"]["sampled"] > 3000
    assert stats["received"] == stats["dropped"] + stats["buffered"]
    backpressure.get_batch(1000)
    for _ in range(60):
        backpressure.add_item("x")
        backpressure.get_batch(10)
        clock.advance(1.0)
    assert backpressure.get_stats()["sampling_rate"] == 1.0


def test_items_grow_old() -> None:
    clock = FakeClock()
    backpressure = handler(max_buffer_size=10, max_age_s=60.0, clock=clock)
    backpressure.add_item("old")
    clock.advance(61.0)
    assert backpressure.get_batch(10) == []
    assert backpressure.get_stats()["dropped_by_reason"] == {"expired": 1}


def test_a_priority_function_may_name_lanes_and_critical_items_are_never_thinned_out() -> None:
    clock = FakeClock()
    handler = BackpressureHandler(
        50, "priority", lambda item: "critical" if item % 10 == 0 else "bulk", adaptive_sampling=True, clock=clock
    )
    for item in range(400):
        handler.add_item(item)
        clock.advance(0.01)
    stats = handler.get_stats()
    assert set(stats["dropped_by_lane"]) == {"bulk"}
    assert sum(stats["dropped_by_lane"]["bulk"].values()) == stats["dropped"]
    assert stats["received"] == 400
    assert {item for item in handler.get_batch(50) if item % 10 == 0} == set(range(0, 400, 10))
