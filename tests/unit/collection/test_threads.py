import asyncio
import threading

import pytest

from agent.collection.threads import WorkersExhausted, WorkerThreads


@pytest.fixture
def workers():
    made = WorkerThreads(core_count=1, max_count=4, patience_s=0.001)
    yield made
    made.stop()


async def test_result_and_error_come_back_to_the_loop(workers):
    assert await workers.run(divmod, 7, 3) == (2, 1)
    with pytest.raises(ZeroDivisionError):
        await workers.run(divmod, 7, 0)


async def test_healthy_calls_share_the_core_thread():
    patient = WorkerThreads(core_count=1, patience_s=60.0)
    names = [await patient.run(lambda: threading.current_thread().name) for _ in range(20)]
    patient.stop()
    assert set(names) == {"worker-1"}


async def test_a_stuck_call_does_not_hold_up_the_next_one(workers):
    release = threading.Event()
    stuck = workers.submit(release.wait)
    assert await workers.run(lambda: "through") == "through"
    assert stuck.is_running
    release.set()
    assert await stuck.done is True
    assert not stuck.is_running


async def test_a_call_that_ended_is_known_although_the_next_one_on_its_thread_is_stuck(workers):
    release = threading.Event()
    ended, stuck = workers.submit(divmod, 7, 3), workers.submit(release.wait)
    assert await ended.done == (2, 1)
    assert stuck.is_running
    release.set()
    await stuck.done


async def test_a_run_of_short_calls_wakes_the_loop_once(workers, monkeypatch):
    loop, wakes = asyncio.get_running_loop(), []
    wake = loop.call_soon_threadsafe
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *call: (wakes.append(call), wake(*call))[1])
    gate = threading.Event()
    jobs = [workers.submit(gate.wait), *(workers.submit(divmod, 7, 3) for _ in range(20))]
    gate.set()
    await asyncio.gather(*(job.done for job in jobs))
    assert 1 <= len(wakes) <= 4


async def test_a_call_that_ends_after_the_stop_is_known(workers):
    release = threading.Event()
    job = workers.submit(release.wait)
    workers.stop()
    release.set()
    assert await job.done is True


async def test_cancelling_stops_the_waiting_and_not_the_call(workers):
    release = threading.Event()
    job = workers.submit(release.wait)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await job.done
    assert job.is_running
    release.set()
    await workers.run(lambda: None)


async def test_when_every_thread_is_stuck_a_call_is_refused_in_words(workers):
    release = threading.Event()
    jobs = [workers.submit(release.wait) for _ in range(4)]
    while workers.stats().threads < 4 or workers.stats().queued:
        await asyncio.sleep(0)
    jobs += [workers.submit(release.wait) for _ in range(4)]
    with pytest.raises(WorkersExhausted, match="4 worker threads are stuck"):
        workers.submit(release.wait)
    release.set()
    assert await asyncio.gather(*(job.done for job in jobs)) == [True] * 8


async def test_threads_beyond_the_core_end_when_there_is_no_work(workers):
    release = threading.Event()
    jobs = [workers.submit(release.wait) for _ in range(3)]
    while workers.stats().threads < 3:
        await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*(job.done for job in jobs))
    while workers.stats().threads > 1:
        await asyncio.sleep(0)
    assert await workers.run(lambda: "still works") == "still works"


async def test_system_exit_in_a_plugin_does_not_end_the_worker(workers):
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(RuntimeError, match="SystemExit raised in a worker thread: 3"):
        await workers.run(leave)
    assert await workers.run(lambda: 1) == 1
