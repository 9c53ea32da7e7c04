"""What the transformer costs besides the tick: memory, series that come and go, calls of NumPy."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import thread_time_ns
from types import ModuleType
from typing import Any

import numpy as np

from agent.numeric import order, results, rings, scores, smoothing, sums, trend, window_engine
from agent.numeric.transformer import Transformer
from benchmarks.goals import Goal

__all__ = ["calls_a_tick", "coming_and_going", "growth", "scratch_mib"]

_ENGINE: tuple[ModuleType, ...] = (order, results, rings, scores, smoothing, sums, trend, window_engine)
_COMING = 4_000


class _Counting:
    """NumPy, or a function of it, with every call counted, of the function or of one of its methods."""

    def __init__(self, wrapped: Any, counts: list[str]) -> None:
        self._wrapped, self._counts = wrapped, counts

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._wrapped, name)
        return _Counting(found, self._counts) if callable(found) and not isinstance(found, type) else found

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self._counts.append(self._wrapped.__name__)
        return self._wrapped(*arguments, **named)


@contextmanager
def _counted() -> Iterator[list[str]]:
    """Names, within, of what the engine's modules call of NumPy."""
    names: list[str] = []
    for module in _ENGINE:
        module.__dict__["np"] = _Counting(np, names)
    try:
        yield names
    finally:
        for module in _ENGINE:
            module.__dict__["np"] = np


def calls_a_tick(tick: Callable[[], object]) -> int:
    """Functions of NumPy and methods of its arrays that one call of `tick` calls; operators and indexing are not counted."""
    methods = 0

    def watch(_frame: Any, event: str, called: Any) -> None:
        nonlocal methods
        methods += event == "c_call" and isinstance(getattr(called, "__self__", None), np.ndarray)

    with _counted() as names:
        sys.setprofile(watch)
        try:
            tick()
        finally:
            sys.setprofile(None)
    return len(names) + methods


def scratch_mib(series: int, window: int) -> float:
    """MiB that a transformer of so many series holds besides what it says it holds for them."""
    ids, values = np.arange(series, dtype=np.uint32), np.ones(series)
    tracemalloc.start()
    full = Transformer(window, computes_all=True)
    for _ in range(3):
        full.tick(ids, values)
    held_bytes = tracemalloc.get_traced_memory()[0] - full.nbytes()
    tracemalloc.stop()
    return held_bytes / 2**20


def coming_and_going(series: int, window: int = 120) -> list[Goal]:
    """CPU microseconds to take in one more series, and to let one go, beside so many others; and how often storage moved."""
    transformer = Transformer(window)
    known = np.arange(series, dtype=np.uint32)
    transformer.set_limits(known, np.full(series, np.inf))
    moves, ring = 0, transformer.engine.rings.ring
    start_ns = thread_time_ns()
    for number in range(series, series + _COMING):
        transformer.set_limits(np.array([number], dtype=np.uint32), np.array([np.inf]))
        moves += transformer.engine.rings.ring is not ring
        ring = transformer.engine.rings.ring
    coming_us = (thread_time_ns() - start_ns) / 1e3 / _COMING
    start_ns = thread_time_ns()
    for number in range(series, series + _COMING):
        transformer.forget(np.array([number], dtype=np.uint32))
    going_us = (thread_time_ns() - start_ns) / 1e3 / _COMING
    return [
        Goal(f"one more series beside {series:,}, us on average", coming_us, 50.0),
        Goal(f"one series less beside {series:,}, us on average", going_us, 50.0),
        Goal(f"moves of the storage for {_COMING:,} more beside {series:,}", moves, 1.0),
    ]


def growth(ticks: int, series: int = 100, window: int = 120) -> Goal:
    """KiB that a transformer holds more after so many ticks in which 1 % of the series is replaced a minute."""
    random = np.random.default_rng(2)
    transformer, newest = Transformer(window), series
    ids = np.arange(series, dtype=np.uint32)
    tracemalloc.start()
    for tick in range(ticks + 10 * window):
        if tick == 10 * window:
            start_bytes = tracemalloc.get_traced_memory()[0]
        if tick % 60 == 59:
            ids = ids.copy()
            transformer.forget(ids[tick // 60 % series][None])
            ids[tick // 60 % series], newest = newest, newest + 1
        transformer.tick(ids, random.standard_normal(series))
    kib = (tracemalloc.get_traced_memory()[0] - start_bytes) / 1024.0
    tracemalloc.stop()
    return Goal(f"KiB more after {ticks:,} ticks, 1 of {series} series replaced every 60", kib, 16.0)
