from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from agent.hub import writer as writer_module
from agent.hub.store import StoreError
from agent.hub.writer import Writer
from agent.testing.clock import FakeClock


class Journal:
    """A store that remembers its transactions and fails when told."""

    def __init__(self) -> None:
        self.transactions: list[list[str]] = []
        self.fails = False
        self.gate = threading.Event()
        self.gate.set()
        self._open: list[str] = []

    @contextmanager
    def transaction(self):
        self.gate.wait(10)
        self._open = []
        if self.fails:
            raise StoreError("disk full")
        yield
        self.transactions.append(self._open)

    def note(self, word: str) -> str:
        self._open.append(word)
        return word.upper()


class Running:
    def __init__(self, log, **keys) -> None:
        self.store = Journal()
        self.clock = FakeClock()
        self._executor = ThreadPoolExecutor(1)
        self.writer = Writer(self.store, self._executor, clock=self.clock, log=log, **keys)

    async def __aenter__(self):
        self._task = asyncio.create_task(self.writer.run())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        self.store.gate.set()
        await asyncio.gather(self._task, return_exceptions=True)
        self._executor.shutdown()

    def note(self, word: str, size_bytes: int = 0, *, owner: str = "", takes_s: float = 0.0):
        def write(store: Journal) -> str:
            self.clock.advance(takes_s)
            return store.note(word)

        return self.writer.submit(write, size_bytes, owner)


@pytest.fixture
def log():
    import structlog

    return structlog.get_logger()


async def test_a_result_comes_after_its_transaction(log):
    async with Running(log) as running:
        assert await running.note("a") == "A"
        assert running.store.transactions == [["a"]]


async def test_what_arrives_during_a_transaction_shares_the_next_one(log):
    async with Running(log) as running:
        running.store.gate.clear()
        first = running.note("a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        rest = [running.note(word) for word in "bcd"]
        running.store.gate.set()
        await asyncio.gather(first, *rest)
        assert running.store.transactions == [["a"], ["b", "c", "d"]]
        assert running.writer.stats.jobs == 4


async def test_a_transaction_ends_when_its_time_is_up_and_the_rest_keeps_its_order(log):
    async with Running(log) as running:
        slow = [running.note(word, owner=word[0], takes_s=0.06) for word in ("a1", "b1", "c1", "a2", "c2")]
        assert await asyncio.gather(*slow) == ["A1", "B1", "C1", "A2", "C2"]
        assert running.store.transactions == [["a1", "b1"], ["c1", "a2"], ["c2"]]
        assert running.writer.stats.jobs == 5
        assert running.writer.pending_count == 0


async def test_what_had_no_time_any_more_comes_before_what_came_later(log):
    async with Running(log) as running:
        running.store.gate.clear()
        slow = [running.note(word, owner=word[0], takes_s=1.0) for word in ("a1", "b1")]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        later = [running.note(word, owner=word[0]) for word in ("b2", "c1", "a2")]
        running.store.gate.set()
        await asyncio.gather(*slow, *later)
        assert running.store.transactions == [["a1"], ["b1"], ["c1", "a2", "b2"]]


async def test_what_runs_alone_takes_no_longer_than_what_is_written_meanwhile(log):
    async with Running(log) as running:
        order = []

        def work(word, takes_s):
            def do(_):
                running.clock.advance(takes_s)
                order.append(word)

            return do

        alone = [running.writer.submit_alone(work("alone", takes_s)) for takes_s in (0.5, 0.1, 0.1)]
        writes = [running.writer.submit(work("write", 0.2)) for _ in range(6)]
        await asyncio.gather(*alone, *writes)
        assert order == ["write", "alone", "write", "write", "write", "alone", "write", "alone", "write"]


async def test_after_a_shared_transaction_the_next_waits_for_more(log, monkeypatch):
    monkeypatch.setattr(writer_module, "_GATHER_S", 0.2)
    async with Running(log) as running:
        await asyncio.gather(running.note("a"), running.note("b"))
        third = running.note("c")
        for _ in range(20):
            await asyncio.sleep(0)
        await asyncio.gather(third, running.note("d"))
        assert running.store.transactions == [["a", "b"], ["c", "d"]]


async def test_a_job_that_raises_costs_itself_alone(log):
    def breaks(store):
        raise ValueError("mine")

    async with Running(log) as running:
        first, broken, last = running.note("a"), running.writer.submit(breaks), running.note("b")
        assert (await first, await last) == ("A", "B")
        with pytest.raises(ValueError, match="mine"):
            await broken


async def test_a_store_that_fails_is_logged_once_and_its_recovery_too(log):
    with capture_logs() as lines:
        async with Running(log) as running:
            running.store.fails = True
            for _ in range(3):
                with pytest.raises(StoreError):
                    await running.note("a")
            assert not running.writer.is_healthy
            running.store.fails = False
            await running.note("b")
            assert running.writer.is_healthy
    assert [line["event"] for line in lines] == ["store.failed", "store.recovered"]


async def test_room_waits_while_too_much_is_pending(log):
    async with Running(log, max_pending_bytes=100) as running:
        running.store.gate.clear()
        running.note("a", 60)
        await running.writer.room()
        second = running.note("b", 60)
        waiting = asyncio.create_task(running.writer.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        running.store.gate.set()
        await second
        await waiting
        assert running.writer.pending_bytes == 0


async def test_after_stop_taking_nobody_gets_through_but_what_is_there_is_written(log):
    async with Running(log) as running:
        pending = running.note("a")
        running.writer.stop_taking()
        await running.writer.drained()
        assert pending.result() == "A"
        waiting = asyncio.create_task(running.writer.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
