"""Scenario 53 in the daemon's buffer: how each delivered point was kept, and its bound against all that was produced."""

from __future__ import annotations

import random

import numpy as np
import pytest

from agent.builtin import load_builtin
from agent.contracts import Block, Kept, Sampler
from agent.model import Batch, PointFlag
from agent.resilience.buffer import BatchBuffer, BufferSettings
from agent.resilience.segment import SAMPLED_POINT_BYTES
from agent.testing.clock import FakeClock

METHODS = PointFlag.DRAWN | PointFlag.SHAPED | PointFlag.MERGED | PointFlag.CHOSEN
SERIES = 20


def make(name: str) -> Sampler:
    class Context:
        rng = random.Random(1)

    registration = load_builtin("sampling", name)
    return registration.factory(registration.config and registration.config(), Context())


class Produced:
    """Ticks of wandering series, and what comes out of a buffer that is too small for them."""

    def __init__(self, sampler: Sampler, max_points: int = 2000) -> None:
        self.clock = FakeClock()
        self.buffer = BatchBuffer("hub", BufferSettings(max_points=max_points), sampler, clock=self.clock)
        self.rng = np.random.default_rng(4)
        self.ids = np.arange(1, SERIES + 1, dtype=np.uint32)
        self.values: list[np.ndarray] = []

    def tick(self, count: int) -> None:
        for _ in range(count):
            last = self.values[-1] if self.values else np.zeros(SERIES)
            self.values.append(last + self.rng.normal(size=SERIES))
            self.buffer.put(Batch(self.clock.wall_ns(), self.clock.monotonic_s(), self.ids, self.values[-1]))
            self.clock.advance(1.0)

    def taken(self) -> list[Batch]:
        return [record for record in self.buffer.take(10**6, 10**9) if isinstance(record, Batch)]


def columns(batches: list[Batch], series_id: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Times, values, flags, weights and bounds of a series."""
    rows = []
    for batch in batches:
        for at in np.flatnonzero(batch.ids == series_id).tolist():
            flags = 0 if batch.flags is None else int(batch.flags[at])
            weight = 1.0 if batch.weights is None else float(batch.weights[at])
            bound = 0.0 if batch.bounds is None else float(batch.bounds[at])
            rows.append((batch.monotonic_s, float(batch.values[at]), flags, weight, bound))
    times, values, flags, weights, bounds = zip(*rows, strict=True)
    return np.array(times), np.array(values), np.array(flags), np.array(weights), np.array(bounds)


@pytest.mark.parametrize("name", ["change", "hybrid", "lttb", "latest", "oldest", "priority", "random", "stratified"])
def test_53_the_stated_bound_holds_at_every_point_that_was_produced(name: str) -> None:
    made = Produced(make(name))
    made.tick(700)
    batches = made.taken()
    every_s = np.arange(700.0) + batches[-1].monotonic_s - 699
    for series_id in made.ids.tolist():
        times, values, _, _, bounds = columns(batches, series_id)
        produced = np.array([tick[series_id - 1] for tick in made.values])
        miss = np.abs(produced - np.interp(every_s, times, values))
        for number in range(1, len(times)):
            if not np.isnan(bounds[number - 1 : number + 1]).any():
                between = (every_s > times[number - 1]) & (every_s < times[number])
                assert miss[between].max(initial=0.0) <= bounds[number] + 1e-9


@pytest.mark.parametrize("name", ["change", "hybrid"])
def test_53_strategies_that_keep_the_shape_state_a_bound_for_every_stretch(name: str) -> None:
    made = Produced(make(name))
    made.tick(700)
    batches = made.taken()
    bounds = np.concatenate([b.bounds for b in batches if b.bounds is not None])
    assert np.isfinite(bounds).all()
    assert 0 < bounds.max() < 60


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("random", PointFlag.DRAWN),
        ("reservoir", PointFlag.DRAWN),
        ("stratified", PointFlag.DRAWN),
        ("change", PointFlag.SHAPED),
        ("hybrid", PointFlag.SHAPED),
        ("lttb", PointFlag.SHAPED),
        ("aggregate", PointFlag.MERGED),
        ("latest", PointFlag.CHOSEN),
        ("priority", PointFlag.CHOSEN),
    ],
)
def test_every_kept_point_says_how_it_was_kept(name: str, method: PointFlag) -> None:
    made = Produced(make(name))
    made.tick(80)
    batches = made.taken()
    flags = np.concatenate([np.zeros(b.points, np.uint8) if b.flags is None else b.flags for b in batches])
    weights = np.concatenate([np.ones(b.points) if b.weights is None else b.weights for b in batches])
    assert set((flags & METHODS).tolist()) <= {0, method.value}
    assert ((flags[weights > 1] & METHODS) == method.value).all()
    assert (flags & method.value).any()


def test_a_sampler_that_fails_or_says_nothing_has_chosen() -> None:
    class Silent:
        def keep(self, block: Block, budget: int, /) -> Kept:
            index = np.arange(max(0, len(block) - budget), len(block))
            return Kept(index, block.weights[index])

    class Failing:
        method = PointFlag.DRAWN

        def keep(self, block: Block, budget: int, /) -> Kept:
            raise ZeroDivisionError

    class Strange:
        method = PointFlag.CRITICAL

        def keep(self, block: Block, budget: int, /) -> Kept:
            return Silent().keep(block, budget)

    for sampler in (Silent(), Failing(), Strange()):
        made = Produced(sampler)
        made.tick(80)
        flags = np.concatenate([b.flags for b in made.taken() if b.flags is not None])
        assert set(flags.tolist()) <= {0, PointFlag.CHOSEN.value}
        assert (flags == PointFlag.CHOSEN.value).any()


def test_what_nothing_was_left_out_of_carries_nothing() -> None:
    made = Produced(make("hybrid"))
    made.tick(70)
    assert all((b.flags, b.weights, b.bounds) == (None, None, None) for b in made.taken())


def test_points_thinned_out_at_the_entry_are_drawn_and_their_bound_is_not_known_until_the_series_is_whole_again() -> (
    None
):
    made = Produced(make("hybrid"), max_points=10**6)
    made.tick(3)
    made.buffer.keep_ratio = 0.5
    made.tick(10)
    made.buffer.keep_ratio = 1.0
    made.tick(3)
    batches = made.taken()
    for series_id in made.ids.tolist():
        times, _, flags, weights, bounds = columns(batches, series_id)
        apart_s = np.diff(times)
        assert np.isnan(bounds[1:][apart_s > 1.5]).all()
        assert (bounds[1:][apart_s < 1.5] == 0).all()
        assert set(flags[weights > 1].tolist()) == {PointFlag.DRAWN.value}
        assert flags[-1] == 0
        assert bounds[-1] == 0
    assert batches[-1].bounds is None or not np.isnan(batches[-1].bounds).any()


def test_a_point_with_all_that_it_carries_takes_no_more_than_forty_bytes() -> None:
    made = Produced(make("hybrid"))
    made.tick(700)
    points, size = made.buffer.points, made.buffer.bytes
    batches = made.taken()
    assert size <= points * SAMPLED_POINT_BYTES + len(batches) * 24
    assert size <= 40 * points
