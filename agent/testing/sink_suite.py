"""What every sink must do, checked in one call from a plugin's own tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.contracts import Sink, SinkContext
from agent.errors import PermanentDelivery
from agent.model import Batch, Event, Gap, Kind, Level, PointFlag, Record, Series
from agent.testing.context import FakeSinkContext
from agent.testing.open_files import open_files
from agent.testing.requirement import require

__all__ = ["DEFINITIONS", "SinkReport", "check_sink", "sink_records"]

DEFINITIONS = {
    1: Series("load_1m"),
    2: Series("cpu_idle_ratio", (("cpu", "0"),), "ratio"),
    3: Series("http_requests_total", (("code", "200"), ("path", '/a "b" ä')), "", Kind.COUNTER),
}
"""The series of `sink_records`, by id."""

PATIENCE_S = 2.0
_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SinkReport:
    """What a sink was given while it was checked.

    Attributes:
        delivered: Every record that it said is safe, in order; the group of the retry stands in it twice.
        events: (kind, level, detail) of what it emitted.
    """

    delivered: tuple[Record, ...]
    events: tuple[tuple[str, Level, dict[str, Any]], ...]


def sink_records(time_ns: int) -> list[Record]:
    """One record of each form: batches with and without weights and flags, an empty one, an event, a gap.

    Args:
        time_ns: Wall clock of the newest, UTC nanoseconds.
    """
    ids, values = np.array([1, 2, 3], np.uint32), np.array([0.5, 0.25, 7.0])
    weights, flags = (
        np.array([1.0, 4.0, 2.0]),
        np.array([PointFlag.NONE, PointFlag.ANOMALOUS, PointFlag.CRITICAL], np.uint8),
    )
    return [
        Batch(time_ns - 2 * _S, 1.0, ids, values),
        Gap(time_ns - 9 * _S, time_ns - 3 * _S, 7, "sampled"),
        Event(
            time_ns - _S, "breaker.opened", "sink:other", Level.WARNING, {"failures": 3, "open_s": 1.5, "note": None}
        ),
        Batch(time_ns - _S, 2.0, ids[:0], values[:0]),
        Batch(time_ns, 3.0, ids, values * 2, flags, weights),
    ]


async def check_sink(
    factory: Callable[[Any, Any], Sink],
    config: Any = None,
    *,
    down: Any = None,
    context: FakeSinkContext | None = None,
    deadline_s: float = 15.0,
) -> SinkReport:
    """Deliver to a sink and hold it to its contract; without an event loop: `asyncio.run(check_sink(...))`.

    Checked: it is a `Sink`; `close` is safe when it was never used, and twice; it takes every form of record, the same group
    once more as after a retry, and a group after `close` (a reset closes it and goes on); it leaves records as they are; a
    delivery may be cancelled and the next one works; where the other end is down it raises, and nothing that means "refused
    for ever"; after `close` neither a task nor a file is left.

    Args:
        factory: As registered: `factory(config, context)`.
        config: The plugin's own struct, for another end that takes what comes; something real.
        down: The same for one that does not answer; None skips that.
        context: None makes one that knows `DEFINITIONS`.
        deadline_s: Seconds one delivery may take, > 0, as in the agent.

    Raises:
        AssertionError: Naming what was wrong.
    """
    context = context or FakeSinkContext(definitions=DEFINITIONS)
    before, tasks = open_files(), asyncio.all_tasks()
    try:
        await _close(factory(config, _as_context(context)))
        delivered = await _deliveries(factory(config, _as_context(context)), context, deadline_s)
        if down is not None:
            await _check_down(factory(down, _as_context(context)), context, deadline_s)
        left = asyncio.all_tasks() - tasks
        require(not left, f"close() left tasks: {sorted(task.get_name() for task in left)}")
    finally:
        context.close()
    leaked = await _left_open(before)
    require(not leaked, f"close() left files open: {sorted(leaked)}")
    return SinkReport(tuple(delivered), tuple(context.events))


async def _deliveries(sink: Sink, context: FakeSinkContext, deadline_s: float) -> list[Record]:
    require(isinstance(sink, Sink), f"the factory gives a sink (got {sink!r:.80})")
    first, second = (sink_records(context.clock.wall_ns() + late_ns) for late_ns in (0, _S))
    after_close = sink_records(context.clock.wall_ns() + 3 * _S)
    context.clock.advance(3.0)
    for records, seq in ((first, 1), (first, 1), (second, 6)):
        await _deliver(sink, records, seq, deadline_s)
    await _cancel_one(sink, sink_records(context.clock.wall_ns() - _S), 11)
    await _close(sink)
    await _deliver(sink, after_close, 16, deadline_s)
    await _close(sink)
    return [*first, *first, *second, *after_close]


async def _deliver(sink: Sink, records: list[Record], seq: int, deadline_s: float) -> None:
    before = [_copy(record) for record in records]
    async with asyncio.timeout(deadline_s):
        answer: object = await sink.deliver(records, seq)  # type: ignore[func-returns-value]  # what is checked here
    require(answer is None, f"deliver() returns None: what comes back is safe (got {answer!r:.80})")
    require([_copy(record) for record in records] == before, "it leaves the records as they are")


async def _cancel_one(sink: Sink, records: list[Record], seq: int) -> None:
    """Cancel a delivery that has just begun: it ends, one way or the other, and does not go on behind the caller's back."""
    task = asyncio.ensure_future(sink.deliver(records, seq))
    await asyncio.sleep(0)
    was_over = task.done()
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
    require(bool(done), "a delivery that is cancelled ends")
    require(
        was_over or task.cancelled() or task.exception() is None, "a delivery that is cancelled raises nothing else"
    )


async def _check_down(sink: Sink, context: FakeSinkContext, deadline_s: float) -> None:
    try:
        async with asyncio.timeout(deadline_s):
            await sink.deliver(sink_records(context.clock.wall_ns()), 1)
    except PermanentDelivery as error:
        raise AssertionError(f"an end that is down will be back: not PermanentDelivery ({error})") from error
    except Exception:  # noqa: BLE001 - whatever it raises, the agent keeps the group and tries again
        await _close(sink)
        return
    raise AssertionError(
        "deliver() returned, and the other end is down: the agent would believe that the records are safe"
    )


async def _close(sink: Sink) -> None:
    for _ in range(2):
        async with asyncio.timeout(PATIENCE_S):
            await sink.close()


async def _left_open(before: set[str]) -> set[str]:
    """Files open now and not before; what a thread of the cancelled delivery holds is given time to be let go of."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while open_files() - before:  # noqa: ASYNC110 - nobody tells when a descriptor closes
                await asyncio.sleep(0.01)
    return open_files() - before


def _copy(record: Record) -> tuple[Any, ...]:
    if not isinstance(record, Batch):
        return (repr(record),)
    columns = (record.ids, record.values, record.flags, record.weights)
    return (record.time_ns, record.monotonic_s, *(None if column is None else column.tobytes() for column in columns))


def _as_context(context: FakeSinkContext) -> SinkContext:
    """A fake is a context; this line is where the type checker holds it to that."""
    return context
