"""What every sampling strategy must do, checked in one call from a plugin's own tests."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from agent.contracts import Block, Kept, Sampler
from agent.resilience.sampler_guard import SamplerGuard
from agent.testing.requirement import require

__all__ = ["SamplerReport", "check_sampler"]

_NASTY = (0.0, -0.0, 5e-324, 1e300, -1e300, np.inf, -np.inf, np.nan)
_SIZES = (0, 1, 2, 7, 100, 1000)
_BUDGETS = (0, 1, 2, 10, 99, 5000)


@dataclass(frozen=True, slots=True)
class SamplerReport:
    """What a sampler did while it was checked.

    Attributes:
        calls: Blocks that it was shown.
        kept_ratio: Share of the room it was given that it used, 0..1.
        least_weight_ratio, most_weight_ratio: Weight of what it kept, of that of the block, in the calls with finite
            values and room for a point of each series; 1.0 both where totals stay right.
    """

    calls: int
    kept_ratio: float
    least_weight_ratio: float
    most_weight_ratio: float


def check_sampler(make: Callable[[], Sampler]) -> SamplerReport:
    """Show a sampler made-up blocks with every kind of budget and hold it to its contract.

    Checked: it is a `Sampler`; whatever the block (empty, one series, many, points of the same time, values that are not
    finite, weights, a stretch that is not the last) and the budget (0 included), the answer obeys the rules of `Kept`; the
    block is left as it is, and is not kept.

    Args:
        make: Gives a new sampler with the settings under test.

    Raises:
        AssertionError: Naming what was wrong.
    """
    require(isinstance(made := make(), Sampler), f"the factory gives a sampler (got {made!r:.80})")
    used, room, weight_ratios, calls = 0, 0, [1.0], 0
    for block in _blocks():
        sampler = make()
        for budget in _BUDGETS:
            kept = _keep(sampler, block, budget)
            calls, used, room = calls + 1, used + len(kept.index), room + min(budget, len(block))
            if budget and budget >= len(np.unique(block.ids)) and len(block) and np.isfinite(block.values).all():
                weight_ratios.append(float(kept.weights.sum() / block.weights.sum()))
    _check_lets_go(make())
    return SamplerReport(calls, used / room, min(weight_ratios), max(weight_ratios))


def _blocks() -> Iterator[Block]:
    rng = np.random.default_rng(7)
    for size in _SIZES:
        walk = rng.standard_normal(size).cumsum()
        yield _block(walk)
        yield _block(walk, is_last=False)
        yield _block(walk, ids=rng.integers(0, 5, size), weights=rng.integers(1, 9, size))
        yield _block(walk, monotonic_s=np.zeros(size), exceptional=rng.random(size) < 0.2)
        yield _block(rng.choice(_NASTY, size), ids=rng.integers(0, 3, size), exceptional=np.ones(size, bool))
        yield _block(np.full(size, np.nan))


def _block(values: Any, *, is_last: bool = True, **columns: Any) -> Block:
    size = len(values)
    exceptional = np.asarray(columns.get("exceptional", np.zeros(size)), bool)
    return Block(
        np.asarray(columns.get("monotonic_s", np.arange(size)), np.float64),
        np.asarray(columns.get("ids", np.zeros(size)), np.uint32),
        np.asarray(values, np.float64),
        exceptional.astype(np.int64),
        exceptional,
        np.asarray(columns.get("weights", np.ones(size)), np.float64),
        is_last,
    )


def _keep(sampler: Sampler, block: Block, budget: int) -> Kept:
    before = [np.copy(column) for column in _columns(block)]
    faults: list[str] = []
    kept = SamplerGuard(sampler, faults.append).keep(block, budget)
    require(not faults, f"{len(block)} points and a budget of {budget}: {''.join(faults)}")
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, _columns(block), strict=True))
    require(same, "it leaves the block as it is")
    return kept


def _columns(block: Block) -> list[np.ndarray[Any, Any]]:
    """The arrays of a block, as numbers."""
    columns = (getattr(block, field.name) for field in fields(block))
    return [column.astype(np.float64) for column in columns if isinstance(column, np.ndarray)]


def _check_lets_go(sampler: Sampler) -> None:
    block = _block(np.arange(100.0))
    arrays: list[weakref.ref[Any]] = [weakref.ref(array) for array in (block.values, block.ids, block.monotonic_s)]
    _keep(sampler, block, 10)
    del block
    gc.collect()
    require(all(array() is None for array in arrays), "it does not keep the block")
