import asyncio
import random

import numpy as np
import pytest

from agent.contracts import Kept, RecoveryOutcome, RecoveryStep
from agent.delivery.sender import Sender, SenderSettings
from agent.errors import PermanentDelivery, RetryableDelivery, Unreachable
from agent.model import Batch, Event
from agent.resilience.breaker import Breaker, BreakerSettings, CircuitState
from agent.resilience.buffer import BatchBuffer, BufferSettings
from agent.testing.clock import FakeClock
from agent.testing.memory_sink import MemorySink


class KeepNewest:
    def keep(self, block, budget):
        index = np.arange(len(block))[-budget:] if budget else np.arange(0)
        return Kept(index, block.weights[index])


class Recovery:
    def __init__(self):
        self.requests = []
        self.step = RecoveryStep.NEXT

    async def handle(self, request):
        self.requests.append(request)
        return RecoveryOutcome(self.step)

    def succeeded(self, component):
        self.last_success = component


def batch(number, points=2):
    return Batch(
        number * 10**9, float(number), np.arange(1, points + 1, dtype=np.uint32), np.full(points, float(number))
    )


class Bench:
    """A sender whose sleeping moves the clock and nothing else."""

    def __init__(self, failures=(), **settings):
        self.clock = FakeClock(monotonic_s=0.0)
        self.sink = MemorySink(failures)
        self.recovery = Recovery()
        self.events = []
        self.slept_s = []
        self.breaker = Breaker(
            "sink:x",
            BreakerSettings(min_calls=3, window_calls=10, slow_call_s=None, open_s=1.0, jitter_ratio=0.0, probes=1),
            clock=self.clock,
            rng=random.Random(1),
        )
        self.sender = self.make(SenderSettings(**settings))

    def make(self, settings=None, sink=None, buffer=None):
        return Sender(
            "x",
            sink or self.sink,
            buffer or BatchBuffer("x", BufferSettings(), KeepNewest(), clock=self.clock),
            breaker=self.breaker,
            recovery=self.recovery,
            settings=settings or SenderSettings(),
            clock=self.clock,
            rng=random.Random(1),
            emit=lambda kind, component, *level, **detail: self.events.append((kind, detail)),
            sleep=self.sleep,
        )

    async def sleep(self, seconds):
        self.slept_s.append(seconds)
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def deliver_all(self):
        self.sender.finish()
        await self.sender.run()

    @property
    def kinds(self):
        return [kind for kind, _ in self.events]


async def test_records_arrive_in_order_under_rising_numbers():
    bench = Bench(max_group_count=2)
    bench.clock.advance(2.0)
    records = [batch(1), Event(0, "x.happened", "c"), batch(3)]
    for record in records:
        bench.sender.put(record)
    await bench.deliver_all()
    assert bench.sink.delivered == list(enumerate(records, 1))
    assert bench.sink.attempts == [(1, 2), (3, 1)]
    assert bench.sender.buffer.counts().delivered == 4
    assert bench.kinds == ["sink.acked_first"]


async def test_a_failed_group_is_sent_again_as_it_was_and_newer_records_wait_behind_it():
    bench = Bench([RetryableDelivery("gone"), ConnectionResetError()], max_group_count=1)
    bench.sender.put(batch(1))
    bench.sender.put(batch(2))
    await bench.deliver_all()
    assert bench.sink.attempts == [(1, 1), (1, 1), (1, 1), (2, 1)]
    assert [seq for seq, _ in bench.sink.delivered] == [1, 2]
    assert [request.component for request in bench.recovery.requests] == ["sink:x"] * 2
    assert [request.occurrences for request in bench.recovery.requests] == [1, 2]
    assert bench.kinds == ["sink.failed", "sink.acked_first"]
    assert bench.sender.stats.failed_deliveries == 2


async def test_resuming_after_an_outage_is_told_once():
    bench = Bench([None, OSError("down"), OSError("down")], max_group_count=1)
    for number in range(3):
        bench.sender.put(batch(number))
    await bench.deliver_all()
    assert bench.kinds == ["sink.acked_first", "sink.failed", "sink.resumed"]
    assert bench.events[-1][1] == {"failures": 2, "waiting": 2}


async def test_the_outbox_knows_while_deliveries_fail(monkeypatch):
    bench, seen = Bench([None, OSError("down"), OSError("down")], max_group_count=1), []
    monkeypatch.setattr(bench.sink, "deliver", noting(bench.sink.deliver, lambda: bench.sender.outbox.is_failing, seen))
    for number in range(3):
        bench.sender.put(batch(number))
    await bench.deliver_all()
    assert seen == [False, False, False, True, False], "one failure alone may be a link that broke"


def noting(function, fact, seen):
    """The same, which notes a fact at each call."""

    async def noted(*arguments):
        seen.append(fact())
        return await function(*arguments)

    return noted


async def test_an_open_breaker_means_waiting_and_not_trying():
    bench = Bench([OSError("down")] * 3)
    bench.sender.put(batch(1))
    await bench.deliver_all()
    assert len(bench.sink.attempts) == 4
    assert bench.slept_s[-1] == pytest.approx(1.0, abs=0.5)
    assert bench.breaker.state is CircuitState.CLOSED


async def test_waits_between_tries_are_jittered_under_a_doubling_ceiling():
    bench = Bench([OSError("down")] * 2)
    bench.sender.put(batch(1))
    await bench.deliver_all()
    assert 0 <= bench.slept_s[0] <= 0.1
    assert 0 <= bench.slept_s[1] <= 0.2


async def test_the_other_ends_wish_to_wait_is_obeyed():
    bench = Bench([RetryableDelivery("busy", retry_after_s=7.0)])
    bench.sender.put(batch(1))
    await bench.deliver_all()
    assert 7.0 <= bench.slept_s[0] <= 7.7


async def test_a_sink_out_of_reach_opens_the_breaker_at_once_which_waits_as_long_as_the_sink_says():
    bench = Bench([Unreachable("lost", retry_after_s=3.5), Unreachable("refused", retry_after_s=5.0)])
    opened = []
    bench.breaker.add_listener(lambda event: opened.append((event.new_state, event.open_s)))
    bench.sender.put(batch(1))
    await bench.deliver_all()
    assert bench.slept_s == pytest.approx([3.5, 5.0])
    assert [wait_s for state, wait_s in opened if state is CircuitState.OPEN] == [3.5, 5.0]
    assert [seq for seq, _ in bench.sink.delivered] == [1]
    assert bench.kinds == ["sink.failed", "sink.acked_first"]
    assert bench.breaker.state is CircuitState.CLOSED


async def test_what_is_refused_for_ever_is_dropped_counted_and_said():
    bench = Bench([PermanentDelivery("too large")], max_group_count=1)
    bench.sender.put(batch(1))
    bench.sender.put(batch(2))
    await bench.deliver_all()
    assert next(seq for seq, _ in bench.sink.delivered) == 2
    counts = bench.sender.buffer.counts()
    assert counts.dropped == {"refused": 2}
    assert counts.is_balanced
    assert bench.kinds[0] == "sink.refused"
    assert bench.breaker.state is CircuitState.CLOSED


async def test_a_delivery_that_never_ends_is_cut_at_its_deadline():
    bench = Bench(deadline_s=0.01)
    first = asyncio.Event()

    async def hang_once(records, first_seq):
        if not first.is_set():
            first.set()
            await asyncio.Event().wait()
        bench.sink.delivered += enumerate(records, first_seq)

    bench.sink.deliver = hang_once
    bench.sender.put(batch(1))
    await bench.deliver_all()
    assert [seq for seq, _ in bench.sink.delivered] == [1]
    assert "TimeoutError" in bench.sender.stats.last_error


async def test_cancelling_in_mid_delivery_keeps_the_group_in_hand_for_a_successor():
    bench, started = Bench(), asyncio.Event()

    async def hang(_records, _first_seq):
        started.set()
        await asyncio.Event().wait()

    bench.sink.deliver = hang
    bench.sender.put(batch(1))
    task = asyncio.ensure_future(bench.sender.run())
    await started.wait()
    bench.sender.put(batch(2))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.breaker.snapshot().totals.cancelled == 1
    successor_sink = MemorySink()
    successor = bench.make(sink=successor_sink, buffer=bench.sender.buffer)
    bench.sender.hand_over(successor)
    successor.finish()
    await successor.run()
    assert [(seq, record.time_ns) for seq, record in successor_sink.delivered] == [(1, 10**9), (2, 2 * 10**9)]


async def test_closing_counts_what_is_left_and_closes_the_sink():
    bench = Bench([OSError("down")] * 100)
    bench.sender.put(batch(1))
    bench.sender.put(batch(2))
    task = asyncio.ensure_future(bench.sender.run())
    while not bench.sink.attempts:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await bench.sender.close()
    counts = bench.sender.buffer.counts()
    assert counts.dropped == {"shutdown": 4}
    assert counts.is_balanced
    assert bench.sink.close_count == 1


async def test_a_sink_that_fails_to_close_is_said_and_goes_no_further():
    bench = Bench()

    async def fail():
        raise OSError("stuck")

    bench.sink.close = fail
    await bench.sender.close()
    assert bench.kinds == ["sink.close_failed"]
