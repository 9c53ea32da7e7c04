"""Small promises of the buffers: what is refused, what a race leaves behind, what an odd answer of a sampler costs."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import agent.resilience
from agent.contracts import Block, Kept
from agent.model import Batch, Event, Gap
from agent.resilience.async_buffer import AsyncBuffer
from agent.resilience.backpressure import BackpressureHandler
from agent.resilience.batch_store import BatchStore
from agent.resilience.buffer import BatchBuffer, record_bytes
from agent.resilience.buffer_settings import BufferSettings, Overflow
from agent.resilience.codel import QueueDelay
from agent.resilience.control import AdaptiveRate
from agent.resilience.item_buffer import BufferFull, ItemBuffer
from agent.resilience.item_store import ItemStore
from agent.resilience.load_control import LoadControl
from agent.resilience.plain_store import PlainStore
from agent.resilience.sampler_guard import Newest, SamplerGuard
from agent.testing.clock import FakeClock


def tick(clock: FakeClock, points: int = 10) -> Batch:
    return Batch(clock.wall_ns(), clock.monotonic_s(), np.arange(points, dtype=np.uint32), np.zeros(points))


def block_of(size: int) -> Block:
    zeros = np.zeros(size)
    return Block(zeros, np.zeros(size, np.uint32), zeros, np.zeros(size, np.int64), np.zeros(size, bool), np.ones(size))


def test_the_door_lists_its_names_and_no_others():
    assert set(agent.resilience.__all__) <= set(dir(agent.resilience))
    with pytest.raises(AttributeError, match="no attribute 'Breakr'"):
        _ = agent.resilience.Breakr


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: BufferSettings(sample_to_ratio=0.0), "sample_to_ratio"),
        (lambda: QueueDelay(FakeClock(), target_s=0.0), "target_s"),
        (lambda: AdaptiveRate(FakeClock(), floor_ratio=0.0), "floor_ratio"),
        (lambda: AdaptiveRate(FakeClock(), on_ratio=0.5, off_ratio=0.5), "off_ratio"),
    ],
)
def test_figures_out_of_range_are_refused_by_name(make, what):
    with pytest.raises(ValueError, match=what):
        make()


async def test_48_a_putter_let_in_at_the_very_moment_its_time_is_up_is_in():
    buffer = AsyncBuffer(BufferSettings(max_points=1), clock=FakeClock())
    await buffer.put(0)
    waiting = asyncio.ensure_future(buffer.put(1, timeout_s=0.001))
    await asyncio.sleep(0)
    taken = await buffer.take(1)
    asyncio.get_running_loop().call_later(0.0005, buffer.commit, taken)
    loop_time = asyncio.get_running_loop().time
    until = loop_time() + 0.02
    while loop_time() < until:
        pass  # both timers are due in the loop's next turn
    await waiting
    assert buffer.timed_out_count == 0
    assert await buffer.get() == [1]


async def test_55_close_turns_a_waiting_consumer_away_too():
    buffer = AsyncBuffer(BufferSettings(max_points=1), clock=FakeClock())
    getter = asyncio.ensure_future(buffer.get())
    await asyncio.sleep(0)
    buffer.close()
    with pytest.raises(BufferFull):
        await getter


async def test_55_whoever_is_cancelled_in_the_turn_of_the_close_is_cancelled_and_nothing_else():
    full, empty = (AsyncBuffer(BufferSettings(max_points=1), clock=FakeClock()) for _ in range(2))
    await full.put(1)
    putter, getter = asyncio.ensure_future(full.put(2)), asyncio.ensure_future(empty.get())
    await asyncio.sleep(0)
    putter.cancel()
    getter.cancel()
    full.close()
    empty.close()
    await asyncio.wait([putter, getter])
    assert putter.cancelled()
    assert getter.cancelled()


async def test_48_room_passes_by_a_producer_that_has_just_been_cancelled():
    buffer = AsyncBuffer(BufferSettings(max_points=1), clock=FakeClock())
    await buffer.put(1)
    first, second = asyncio.ensure_future(buffer.put(2)), asyncio.ensure_future(buffer.put(3))
    await asyncio.sleep(0)
    first.cancel()
    assert await buffer.get() == [1]
    await asyncio.wait([first, second])
    assert first.cancelled()
    assert await buffer.get() == [3]


async def test_48_an_item_passes_by_a_consumer_that_has_just_been_cancelled():
    buffer = AsyncBuffer(BufferSettings(max_points=3), clock=FakeClock())
    first, second = asyncio.ensure_future(buffer.get()), asyncio.ensure_future(buffer.get())
    await asyncio.sleep(0)
    first.cancel()
    await buffer.put(7)
    assert await second == [7]
    assert first.cancelled()


def test_a_handler_that_is_reset_drops_what_waits_and_goes_on_counting():
    handler = BackpressureHandler(max_buffer_size=10, clock=FakeClock())
    for item in range(4):
        handler.add_item(item)
    handler.reset()
    stats = handler.get_stats()
    assert (stats["received"], stats["dropped_by_reason"], len(handler)) == (4, {"reset": 4}, 0)


def test_events_and_gaps_have_a_size_and_gaps_are_put_like_other_records():
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(), Newest(), clock=clock)
    gap, event = Gap(1, 2, 3, "refused"), Event(1, "agent.started", "agent")
    assert record_bytes(gap) < record_bytes(event) < 1000
    assert buffer.put(gap)
    assert buffer.oldest_age_s == 0.0
    buffer.put(tick(clock))
    clock.advance(3.0)
    assert buffer.oldest_age_s == 3.0
    taken = buffer.take(1, 1000)
    assert taken == [gap]
    buffer.discard(taken, "shutdown")
    assert buffer.take(1, 1000) == [gap]
    buffer.close()
    assert not buffer.put(gap)


def test_an_empty_store_has_nothing_to_thin_out():
    guard = SamplerGuard(Newest())
    assert ItemStore().compact(guard, 10, 10).points == 0
    assert ItemStore().compact_more(guard).points == 0
    assert BatchStore().compact(guard, 10, 10).points == 0
    assert PlainStore().compact_more(guard).points == 0


def test_there_is_room_until_the_bound_whatever_then_gives_way():
    buffer = ItemBuffer(BufferSettings(max_points=2, overflow=Overflow.DROP_OLDEST), clock=FakeClock())
    rooms = []
    for item in "abc":
        rooms.append(buffer.has_room(item))
        buffer.put(item)
    assert rooms == [True, True, False]
    assert buffer.get(10) == ["b", "c"]


def test_each_item_expires_when_its_own_time_is_up():
    clock = FakeClock()
    buffer = ItemBuffer(BufferSettings(max_age_s=60.0, overflow=Overflow.DROP_OLDEST), clock=clock)
    for _ in range(3):
        buffer.put("x")
        clock.advance(25.0)
    waiting = []
    for _ in range(4):
        buffer.expire()
        waiting.append(len(buffer))
        clock.advance(25.0)
    assert waiting == [2, 1, 0, 0]
    assert buffer.counts().dropped == {"expired": 3}


def test_a_stretch_that_was_taken_meanwhile_costs_nothing():
    class Every:
        works_in_stretches = True

        def keep(self, block: Block, budget: int, /) -> Kept:
            index = np.arange(min(budget, len(block)))
            return Kept(index, np.ones(len(index)))

    clock, store, guard = FakeClock(), BatchStore(), SamplerGuard(Every())
    for _ in range(200):
        store.append(tick(clock, 500))
        clock.advance(1.0)
    store.compact(guard, 50_000, 10**9)
    assert store.is_compacting
    store.take(10**6, 10**9, float("inf"), True)
    assert store.compact_more(guard).points == 0


def test_items_in_flight_can_be_looked_at_and_dropped():
    buffer = ItemBuffer(BufferSettings(max_points=5, max_bytes=100), clock=FakeClock(), bytes_of=len)
    for word in ("aaaa", "bbbbbbbb", "cc"):
        buffer.put(word)
    taken = buffer.take(10, max_bytes=13)
    assert taken.items == ["aaaa", "bbbbbbbb"]
    buffer.discard(taken, "refused")
    assert buffer.counts().dropped == {"refused": 2}
    assert buffer.counts().is_balanced


def test_a_sampler_of_items_that_misbehaves_is_counted():
    class Liar:
        def keep(self, block: Block, budget: int, /) -> Kept:
            return Kept(np.arange(len(block)), np.ones(len(block)))

    buffer = ItemBuffer(BufferSettings(max_points=5, overflow=Overflow.SAMPLE), Liar(), clock=FakeClock())
    for item in range(20):
        buffer.put(item)
    assert buffer.sampler_fault_count > 0
    assert len(buffer) <= 5


@pytest.mark.parametrize("values", [np.full(3, np.nan), np.zeros(2)])
def test_values_that_are_no_numbers_or_too_few_are_a_fault(values):
    class Odd:
        def keep(self, block: Block, budget: int, /) -> Kept:
            return Kept(np.arange(3), np.ones(3), values)

    faults: list[str] = []
    kept = SamplerGuard(Odd(), faults.append).keep(block_of(10), 3)
    assert kept.index.tolist() == [7, 8, 9]
    assert "values" in faults[0]


def test_the_newest_of_nothing_is_nothing():
    assert len(Newest().keep(block_of(4), 0).index) == 0


def test_what_is_not_known_is_no_reading():
    def fail() -> float:
        raise OSError("no such file")

    control = LoadControl(FakeClock(), queues={"fill": lambda: 0.3}, host={"cpu": fail})
    control.step()
    inputs = {one.labels["input"] for one in control.readings() if one.name == "agent_pressure_input_ratio"}
    assert inputs == {"fill"}
