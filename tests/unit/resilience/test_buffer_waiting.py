"""Scenario 48 and the policy `block` of 47: producers that wait."""

from __future__ import annotations

import asyncio

import pytest

from agent.resilience.async_buffer import AsyncBuffer
from agent.resilience.buffer_settings import BufferSettings
from agent.resilience.item_buffer import BufferFull
from agent.testing.clock import FakeClock


def buffer_of(size: int) -> AsyncBuffer[int]:
    return AsyncBuffer(BufferSettings(max_points=size), clock=FakeClock())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_47_block_waits_for_room_and_gives_up_in_time() -> None:
    buffer = buffer_of(5)
    for item in range(1, 6):
        await buffer.put(item)
    with pytest.raises(TimeoutError):
        await buffer.put(6, timeout_s=0.0)
    assert buffer.timed_out_count == 1
    assert buffer.waiting_putters == 0
    assert await buffer.get(10) == [1, 2, 3, 4, 5]
    assert buffer.counts().accepted == 5


async def test_48_one_slot_freed_lets_exactly_one_other_in_and_in_order() -> None:
    buffer = buffer_of(1)
    await buffer.put(-1)
    async with asyncio.TaskGroup() as group:
        putters = [group.create_task(buffer.put(number)) for number in range(100)]
        await settle()
        putters[0].cancel()
        await settle()
        assert buffer.waiting_putters == 99
        assert await buffer.get() == [-1]
        await settle()
        assert [number for number, putter in enumerate(putters) if putter.done()] == [0, 1]
        assert [(await buffer.get())[0] for _ in range(99)] == list(range(1, 100))
    assert buffer.counts().is_balanced


async def test_48_a_putter_cancelled_after_it_was_let_in_wakes_nobody_wrongly_and_loses_nothing() -> None:
    buffer = buffer_of(1)
    await buffer.put(0)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(buffer.put(1))
        second = group.create_task(buffer.put(2))
        await settle()
        assert await buffer.get() == [0]
        first.cancel()
        await settle()
        assert not second.done()
        assert await buffer.get() == [1]
        assert await buffer.get() == [2]
    counts = buffer.counts()
    assert (counts.accepted, counts.delivered) == (3, 3)


async def test_48_a_get_that_times_out_never_loses_an_item() -> None:
    buffer = buffer_of(10)
    got: list[int] = []
    for item in range(200):
        getter = asyncio.ensure_future(asyncio.wait_for(buffer.get(), 0.0005 * (item % 3)))
        await asyncio.sleep(0)
        await buffer.put(item)
        try:
            got += await getter
        except TimeoutError:
            got += await buffer.get()
    assert got == list(range(200))


async def test_48_a_cancelled_getter_passes_its_turn_on() -> None:
    buffer = buffer_of(10)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(buffer.get())
        second = group.create_task(buffer.get())
        await settle()
        await buffer.put(7)
        first.cancel()
        assert await second == [7]


async def test_room_in_flight_is_kept_so_that_a_failed_batch_can_come_back() -> None:
    buffer = buffer_of(3)
    for item in range(3):
        await buffer.put(item)
    taken = await buffer.take(2)
    with pytest.raises(TimeoutError):
        await buffer.put(9, timeout_s=0.0)
    buffer.put_back(taken)
    taken = await buffer.take(1)
    buffer.commit(taken)
    await buffer.put(3)
    assert await buffer.get(10) == [1, 2, 3]


async def test_55_close_turns_everybody_away_once() -> None:
    buffer = buffer_of(1)
    await buffer.put(1)
    waiting = asyncio.ensure_future(buffer.put(2))
    await settle()
    buffer.close()
    buffer.close()
    with pytest.raises(BufferFull):
        await waiting
    with pytest.raises(BufferFull):
        await buffer.put(3)
    with pytest.raises(BufferFull):
        await buffer.get()
    assert buffer.counts().dropped == {"shutdown": 1}
