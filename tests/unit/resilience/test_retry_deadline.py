import asyncio
import gc
import threading
import weakref

import pytest

from agent.resilience.deadline import MAX_LANES, _lanes_of, deadline, remaining_s
from agent.testing.clock import FakeClock
from agent.testing.time_travel import run_with_time_travel


@pytest.fixture
def clock():
    return FakeClock()


def travel(test):
    """Run an async test on a loop whose time is the clock's."""

    def run(clock):
        run_with_time_travel(test(clock), clock)

    run.__name__ = test.__name__
    return run


@travel
async def test_scenario_34_what_hangs_is_cut_off_at_the_deadline(clock):
    limit = deadline(1.0)
    with pytest.raises(TimeoutError, match="not done within 1 s"), limit:
        await asyncio.sleep(3600)
    assert clock.monotonic_s() == 1001.0
    assert limit.is_expired
    assert asyncio.current_task().cancelling() == 0


@travel
async def test_what_ends_in_time_is_not_touched(clock):
    with deadline(1.0) as limit:
        await asyncio.sleep(0.5)
    await asyncio.sleep(2.0)
    assert not limit.is_expired
    assert clock.monotonic_s() == 1002.5


@travel
async def test_an_error_in_the_block_comes_out_as_it_is(clock):
    with pytest.raises(KeyError), deadline(1.0):
        raise KeyError


@travel
async def test_scenario_35_a_cancellation_from_elsewhere_stays_one(clock):
    async def hang():
        with deadline(10.0):
            await asyncio.sleep(3600)

    task = asyncio.create_task(hang())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@travel
async def test_scenario_35_a_cancellation_at_the_same_moment_as_the_deadline_wins(clock):
    async def hang():
        with deadline(1.0):
            await asyncio.sleep(3600)

    task = asyncio.create_task(hang())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_at(1001.0, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


@travel
async def test_a_block_that_swallows_the_cut_ends_as_it_likes(clock):
    with deadline(1.0) as limit:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            result = "cleaned up"
    assert (limit.is_expired, result) == (True, "cleaned up")
    assert asyncio.current_task().cancelling() == 0


@travel
async def test_many_at_once_are_each_cut_off_at_their_own_moment(clock):
    ended = {}

    async def hang(number):
        await asyncio.sleep(number / 10)
        try:
            with deadline(1.0):
                await asyncio.sleep(0.5 if number % 2 else 3600)
        except TimeoutError:
            ended[number] = clock.monotonic_s() - 1000.0

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(hang(number))
    assert ended == {number: pytest.approx(1.0 + number / 10) for number in range(0, 20, 2)}


@travel
async def test_the_same_moment_cuts_all_that_it_is_up_for(clock):
    async def hang():
        with deadline(1.0):
            await asyncio.sleep(3600)

    results = await asyncio.gather(*(hang() for _ in range(50)), return_exceptions=True)
    assert {type(result) for result in results} == {TimeoutError}


@travel
async def test_scenario_34_the_inner_of_two_ends_no_later_than_the_outer(clock):
    async def hang():
        with deadline(1.0), inner:
            left_s.append(remaining_s())
            await asyncio.sleep(3600)

    left_s, inner = [], deadline(5.0)
    with pytest.raises(TimeoutError, match="within 1 s"):
        await hang()
    assert left_s == [1.0]
    assert clock.monotonic_s() == 1001.0
    assert not inner.is_expired


@travel
async def test_scenario_34_a_shorter_inner_one_leaves_the_outer_its_time(clock):
    with deadline(5.0):
        with pytest.raises(TimeoutError, match="within 1 s"), deadline(1.0):
            await asyncio.sleep(3600)
        assert remaining_s() == 4.0
    assert clock.monotonic_s() == 1001.0
    assert remaining_s() is None


@travel
async def test_scenario_34_a_task_started_under_a_deadline_is_under_it_too(clock):
    async def child():
        with deadline(None):
            await asyncio.sleep(3600)

    async def parent():
        nonlocal task
        with deadline(2.0):
            task = asyncio.create_task(child())
            await asyncio.sleep(3600)

    task = None
    with pytest.raises(TimeoutError, match="within 2 s"):
        await parent()
    with pytest.raises(TimeoutError, match="not done in time"):
        await task
    assert clock.monotonic_s() == 1002.0


@travel
async def test_a_child_task_that_is_done_early_leaves_no_timer(clock):
    async def child():
        with deadline(None):
            await asyncio.sleep(0.5)

    with deadline(2.0):
        await asyncio.create_task(child())
    assert clock.monotonic_s() == 1000.5


@travel
async def test_a_task_that_outlives_the_block_it_was_started_in_is_free_of_it(clock):
    async def child():
        await asyncio.sleep(1.0)
        with deadline(None):
            return remaining_s()

    with deadline(60.0):
        with deadline(30.0):
            inner = asyncio.create_task(child())
        await asyncio.sleep(0)
        both = remaining_s(), await inner
    assert both == (60.0, 59.0)
    with deadline(30.0):
        outer = asyncio.create_task(child())
        await asyncio.sleep(0)
    assert await outer is None


@travel
async def test_one_that_does_not_cut_only_limits_what_is_inside(clock):
    with deadline(1.0, cuts=False):
        await asyncio.sleep(0.4)
        assert remaining_s() == pytest.approx(0.6)
        with pytest.raises(TimeoutError), deadline(None):
            await asyncio.sleep(3600)
        assert clock.monotonic_s() == pytest.approx(1001.0)
        await asyncio.sleep(5.0)
        assert remaining_s() == 0.0


@travel
async def test_one_that_does_not_cut_inside_a_shorter_one_changes_nothing(clock):
    with pytest.raises(TimeoutError), deadline(1.0), deadline(9.0, cuts=False):
        await asyncio.sleep(3600)
    assert clock.monotonic_s() == 1001.0


@travel
async def test_the_rest_of_a_block_is_what_it_left(clock):
    with deadline(3.0) as limit:
        await asyncio.sleep(1.0)
    with limit.rest():
        assert remaining_s() == 2.0
    with deadline(None) as unlimited:
        pass
    with unlimited.rest():
        assert remaining_s() is None


@travel
async def test_no_deadline_is_no_limit(clock):
    with deadline(None):
        assert remaining_s() is None
        await asyncio.sleep(3600)
    assert clock.monotonic_s() == 4600.0


@travel
async def test_more_lengths_than_lanes_are_cut_off_all_the_same(clock):
    async def hang(seconds):
        with deadline(seconds):
            await asyncio.sleep(3600 if seconds > 50 else 1.0)

    lengths = [float(seconds) for seconds in range(10, MAX_LANES + 30)]
    results = await asyncio.gather(*map(hang, lengths), return_exceptions=True)
    assert [isinstance(result, TimeoutError) for result in results] == [seconds > 50 for seconds in lengths]
    assert len(_lanes_of[id(asyncio.get_running_loop())]) == MAX_LANES
    assert clock.monotonic_s() == 1000.0 + lengths[-1]


@travel
async def test_lengths_that_are_used_no_more_make_room_for_others(clock):
    for seconds in range(1, MAX_LANES + 1):
        with deadline(float(seconds)):
            pass
    lanes = _lanes_of[id(asyncio.get_running_loop())]
    with deadline(3600.0):
        assert 3600.0 not in lanes
    await asyncio.sleep(10.0)
    for seconds in (3600.0, 1800.0):
        with deadline(seconds):
            assert seconds in lanes
    assert len(lanes) == MAX_LANES


@travel
async def test_a_block_that_ended_keeps_neither_its_task_nor_other_blocks_alive(clock):
    def alive():
        gc.collect()
        return sum(isinstance(known, deadline) for known in gc.get_objects())

    async def limited():
        before = alive()
        for _ in range(100):
            with deadline(1.0):
                await asyncio.sleep(0)
        return alive() - before

    task = asyncio.create_task(limited())
    assert await task <= 1
    ended = weakref.ref(task)
    gc.disable()
    try:
        del task
        await asyncio.sleep(0)  # the loop lets go of it
        assert ended() is None
    finally:
        gc.enable()


def test_each_event_loop_has_its_own_lanes():
    async def hang(clock):
        with pytest.raises(TimeoutError), deadline(1.0):
            await asyncio.sleep(3600)
        return clock.monotonic_s()

    for _ in range(3):
        clock = FakeClock()
        assert run_with_time_travel(hang(clock), clock) == 1001.0


def test_the_lanes_go_with_their_event_loop():
    async def limited():
        with deadline(1.0):
            return id(asyncio.get_running_loop())

    gone = asyncio.run(limited())
    gc.collect()
    assert gone not in _lanes_of


def test_outside_of_tasks_nothing_is_limited():
    with deadline(0.0) as limit:
        assert remaining_s() is None
    assert not limit.is_expired

    async def in_a_callback():
        done = threading.Event()

        def callback():
            with deadline(0.0):
                done.set()

        asyncio.get_running_loop().call_soon(callback)
        await asyncio.sleep(0)
        assert done.is_set()

    asyncio.run(in_a_callback())


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_deadline_in_the_past_is_refused(seconds):
    with pytest.raises(ValueError, match="must be >= 0 seconds or None"):
        deadline(seconds)


@travel
async def test_a_deadline_of_nothing_cuts_at_the_first_wait(clock):
    with pytest.raises(TimeoutError, match="within 0 s"), deadline(0):
        await asyncio.sleep(3600)
    assert clock.monotonic_s() == 1000.0


@travel
async def test_a_loop_with_sockets_waits_for_them_when_no_timer_is_set(clock):
    import socket

    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        reading = asyncio.create_task(asyncio.get_running_loop().sock_recv(near, 5))
        await asyncio.sleep(1.0)
        threading.Timer(0.01, far.send, (b"hello",)).start()
        assert await reading == b"hello"
    assert clock.monotonic_s() == 1001.0
