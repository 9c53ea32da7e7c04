"""What a put and a get cost, beside a hand-written bounded deque with counters and `asyncio.Queue`.

    python benchmarks/buffer.py

The best of several rounds, in nanoseconds of this thread's CPU time an item (a point, where ticks of points are put). Goals: a
put of `ItemBuffer` costs at most twice the deque's, `get(500)` 50 ns an item.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from goals import Goal

from agent.clock import SystemClock
from agent.model import Batch
from agent.resilience.backpressure import BackpressureHandler
from agent.resilience.buffer import BatchBuffer
from agent.resilience.buffer_settings import BufferSettings
from agent.resilience.item_buffer import ItemBuffer, Overflow
from agent.resilience.sampler_guard import Newest

SIZE = 10_000
COUNT = 100_000
GET = 500
TICK_POINTS = 200
ROUNDS = 9
Pair = tuple[Callable[[object], object], Callable[[int], object]]


class CountedDeque:
    """What one would write by hand: bounded by count, drops the oldest, counts what came, went and was dropped."""

    def __init__(self, size: int) -> None:
        self.items: deque[object] = deque()
        self.size = size
        self.accepted = self.delivered = self.dropped = 0

    def put(self, item: object) -> None:
        if len(self.items) >= self.size:
            self.items.popleft()
            self.dropped += 1
        self.items.append(item)
        self.accepted += 1

    def get(self, count: int) -> list[object]:
        taken = [self.items.popleft() for _ in range(min(count, len(self.items)))]
        self.delivered += len(taken)
        return taken


class FullQueue:
    """`asyncio.Queue`, which refuses when full: the oldest is taken out by hand."""

    def __init__(self, size: int) -> None:
        self.queue: asyncio.Queue[object] = asyncio.Queue(size)

    def put(self, item: object) -> None:
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(item)

    def get(self, count: int) -> list[object]:
        return [self.queue.get_nowait() for _ in range(min(count, self.queue.qsize()))]


def once_ns(make: Callable[[], Pair]) -> tuple[float, float]:
    """Nanoseconds an item of put and of get."""
    put, get = make()
    gc.collect()
    began = time.thread_time_ns()
    for item in range(COUNT):
        put(item)
    put_ns = (time.thread_time_ns() - began) / COUNT
    began = time.thread_time_ns()
    for _ in range(SIZE // GET):
        get(GET)
    return put_ns, (time.thread_time_ns() - began) / SIZE


def best_ns(made: dict[str, Callable[[], Pair]]) -> dict[str, tuple[float, float]]:
    """The best of some rounds of each; they take turns, so that what else the machine does hits all alike."""
    rounds = [{name: once_ns(make) for name, make in made.items()} for _ in range(ROUNDS)]
    return {name: (min(r[name][0] for r in rounds), min(r[name][1] for r in rounds)) for name in made}


def deque_pair() -> Pair:
    made = CountedDeque(SIZE)
    return made.put, made.get


def queue_pair() -> Pair:
    made = FullQueue(SIZE)
    return made.put, made.get


def item_pair() -> Pair:
    settings = BufferSettings(max_points=SIZE, overflow=Overflow.DROP_OLDEST)
    made: ItemBuffer[object] = ItemBuffer(settings, clock=SystemClock())
    return made.put, made.get


def handler_pair() -> Pair:
    made = BackpressureHandler(max_buffer_size=SIZE)
    return made.add_item, made.get_batch


def ticks_ns() -> tuple[float, float]:
    """The daemon's buffer, fed with ticks and taken in groups; a point."""
    clock = SystemClock()
    ids, values = np.arange(TICK_POINTS, dtype=np.uint32), np.zeros(TICK_POINTS)
    puts, gets = [], []
    for _ in range(ROUNDS):
        buffer = BatchBuffer("bench", BufferSettings(), Newest(), clock=clock)
        ticks = [Batch(clock.wall_ns(), clock.monotonic_s(), ids, values) for _ in range(1000)]
        began = time.thread_time_ns()
        for tick in ticks:
            buffer.put(tick)
        puts.append((time.thread_time_ns() - began) / (1000 * TICK_POINTS))
        began = time.thread_time_ns()
        while taken := buffer.take(64, 1 << 20):
            buffer.commit(taken)
        gets.append((time.thread_time_ns() - began) / (1000 * TICK_POINTS))
    return min(puts), min(gets)


def main() -> None:
    rows = best_ns(
        {
            "bounded deque with counters": deque_pair,
            "asyncio.Queue": queue_pair,
            "ItemBuffer": item_pair,
            "BackpressureHandler": handler_pair,
        }
    )
    rows[f"BatchBuffer, ticks of {TICK_POINTS} points"] = ticks_ns()
    base = rows["bounded deque with counters"]
    print(f"{'ns an item':40}{'put':>10}{'get(500)':>10}{'put / deque':>14}{'get / deque':>14}")
    for name, (put_ns, get_ns) in rows.items():
        print(f"{name:40}{put_ns:10.0f}{get_ns:10.0f}{put_ns / base[0]:14.2f}{get_ns / base[1]:14.2f}")
    put_ns, get_ns = rows["ItemBuffer"]
    print(Goal("ItemBuffer: put / deque", put_ns / base[0], 2.0))
    print(Goal(f"ItemBuffer: get({GET}), ns an item", get_ns, 50))


if __name__ == "__main__":
    main()
