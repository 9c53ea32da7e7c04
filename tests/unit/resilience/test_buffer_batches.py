"""The daemon's buffer with real batches."""

from __future__ import annotations

import numpy as np
import pytest

from agent.contracts import Block, Kept
from agent.model import Batch, Event, Gap, PointFlag, Record
from agent.resilience.buffer import BatchBuffer, BufferSettings, Overflow, record_bytes
from agent.testing.clock import FakeClock

SECOND_NS = 1_000_000_000


class Newest:
    def keep(self, block: Block, budget: int, /) -> Kept:
        index = np.arange(max(0, len(block) - budget), len(block))
        return Kept(index, block.weights[index])


class Every:
    """Keeps one point in k and weighs it by k."""

    def keep(self, block: Block, budget: int, /) -> Kept:
        step = -(-len(block) // max(1, budget))
        index = np.arange(0, len(block), step)
        return Kept(index, block.weights[index] * step)


def tick(clock: FakeClock, points: int = 10, flags: list[int] | None = None, first_id: int = 1) -> Batch:
    ids = np.arange(first_id, first_id + points, dtype=np.uint32)
    values = np.full(points, clock.monotonic_s())
    column = None if flags is None else np.array(flags, np.uint8)
    return Batch(clock.wall_ns(), clock.monotonic_s(), ids, values, column)


def fill(buffer: BatchBuffer, clock: FakeClock, count: int, points: int = 10) -> list[Batch]:
    made = []
    for _ in range(count):
        made.append(tick(clock, points))
        buffer.put(made[-1])
        clock.advance(1.0)
    return made


def times(records: list[Record]) -> list[float]:
    return [record.monotonic_s for record in records if isinstance(record, Batch)]


def test_what_was_put_is_taken_in_order_and_unchanged() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(), Newest(), clock=clock)
    made = fill(buffer, clock, 200)
    taken = buffer.take(1000, 10**9)
    assert times(taken) == [batch.monotonic_s for batch in made]
    for got, put in zip(taken, made, strict=True):
        assert isinstance(got, Batch)
        assert got.time_ns == put.time_ns
        np.testing.assert_array_equal(got.ids, put.ids)
        np.testing.assert_array_equal(got.values, put.values)
        assert got.flags is None
        assert got.weights is None
    counts = buffer.counts()
    assert (counts.accepted, counts.in_flight, counts.buffered) == (2000, 2000, 0)
    buffer.commit(taken)
    assert buffer.counts().delivered == 2000
    assert buffer.counts().is_balanced


def test_put_back_goes_in_front_and_settling_twice_is_refused() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(), Newest(), clock=clock)
    made = fill(buffer, clock, 5)
    taken = buffer.take(2, 10**9)
    buffer.put_back(taken)
    assert times(buffer.take(10, 10**9)) == [batch.monotonic_s for batch in made]
    buffer.commit(made)
    with pytest.raises(ValueError, match="in flight"):
        buffer.commit(made)


def test_take_stops_at_records_and_at_bytes_but_always_gives_one() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(), Newest(), clock=clock)
    made = fill(buffer, clock, 100)
    size = record_bytes(made[0])
    assert len(buffer.take(3, 10**9)) == 3
    assert len(buffer.take(100, 5 * size)) == 5
    assert len(buffer.take(100, 1)) == 1


def test_sampling_starts_at_its_ratio_and_leaves_room() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(max_points=1000, sample_from_ratio=0.8), Every(), clock=clock)
    fill(buffer, clock, 79)
    assert buffer.sampled_count == 0
    fill(buffer, clock, 1)
    assert buffer.sampled_count == 1
    assert buffer.points <= 500
    counts = buffer.counts()
    assert counts.dropped == {"sampled": 800 - buffer.points}
    assert counts.is_balanced


def test_weights_of_sampled_points_add_up_to_what_was_produced() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(max_points=1000), Every(), clock=clock)
    fill(buffer, clock, 80)
    taken = [r for r in buffer.take(1000, 10**9) if isinstance(r, Batch)]
    weights = np.concatenate([b.weights if b.weights is not None else np.ones(b.points) for b in taken])
    assert weights.sum() == 800


def test_critical_points_survive_any_sampler() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(max_points=1000), Newest(), clock=clock)
    buffer.put(tick(clock, 10, [PointFlag.CRITICAL] * 3 + [0] * 7))
    fill(buffer, clock, 500)
    first = next(r for r in buffer.take(1, 10**9) if isinstance(r, Gap))
    assert first.reason == "sampled"
    oldest = buffer.take(1, 10**9)[0]
    assert isinstance(oldest, Batch)
    assert oldest.ids.tolist() == [1, 2, 3]
    assert oldest.flags is not None
    assert oldest.flags.tolist() == [PointFlag.CRITICAL] * 3


def test_a_flood_of_critical_points_stays_within_the_bound_and_costs_few_samplings() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(max_points=1000), Newest(), clock=clock)
    for _ in range(1000):
        buffer.put(tick(clock, 10, [PointFlag.CRITICAL] * 10))
        clock.advance(1.0)
        assert buffer.points <= 1000
    counts = buffer.counts()
    assert counts.is_balanced
    assert counts.dropped["overflow"] == 10_000 - buffer.points
    assert buffer.sampled_count < 400


@pytest.mark.parametrize(
    "bad",
    [
        lambda block, budget: Kept(np.arange(len(block)), block.weights),
        lambda block, budget: Kept(np.array([5, 3]), np.ones(2)),
        lambda block, budget: Kept(np.array([len(block)]), np.ones(1)),
        lambda block, budget: Kept(np.array([1, 1]), np.ones(2)),
        lambda block, budget: Kept(np.array([1]), np.array([np.nan])),
        lambda block, budget: Kept(np.array([1]), np.ones(2)),
        lambda block, budget: Kept(np.array([0.5]), np.ones(1)),
        lambda block, budget: None,
        lambda block, budget: 1 / 0,
    ],
)
def test_a_misbehaving_sampler_is_replaced_by_the_newest_and_reported_once(bad) -> None:
    class Bad:
        keep = staticmethod(bad)

    clock, reports = FakeClock(), []
    buffer = BatchBuffer("hub", BufferSettings(max_points=1000), Bad(), clock=clock, on_sampler_fault=reports.append)
    made = fill(buffer, clock, 200)
    assert buffer.sampler_fault_count == buffer.sampled_count > 1
    assert len(reports) == 1
    assert "Bad" in reports[0]
    assert times(buffer.take(1000, 10**9))[-1] == made[-1].monotonic_s
    assert buffer.counts().is_balanced


def test_a_gap_says_what_was_sampled_and_when() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(max_points=1000), Newest(), clock=clock)
    made = fill(buffer, clock, 200)
    gap = buffer.take(1, 10**9)[0]
    dropped = buffer.counts().dropped["sampled"]
    assert gap == Gap(made[0].time_ns, gap.to_ns, dropped, "sampled", {"normal": dropped})
    assert made[0].time_ns < gap.to_ns < made[-1].time_ns


def test_old_points_expire() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(max_age_s=60.0), Newest(), clock=clock)
    made = fill(buffer, clock, 100)
    gap, *kept = buffer.take(1000, 10**9)
    assert times(kept)[0] == made[40].monotonic_s
    assert gap == Gap(made[0].time_ns, made[39].time_ns, 400, "expired", {"normal": 400})
    assert buffer.counts().dropped == {"expired": 400}


def test_events_keep_their_place_among_the_batches_and_have_a_share_of_their_own() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(max_events=2), Newest(), clock=clock)
    fill(buffer, clock, 2)
    for number in range(3):
        buffer.put(Event(clock.wall_ns(), "breaker.opened", f"sink:{number}"))
    clock.advance(1.0)
    fill(buffer, clock, 1)
    taken = buffer.take(100, 10**9)
    assert [type(record).__name__ for record in taken] == ["Batch", "Batch", "Event", "Event", "Batch"]
    assert [r.component for r in taken if isinstance(r, Event)] == ["sink:1", "sink:2"]
    events = buffer.event_counts()
    assert (events.accepted, events.in_flight, events.dropped) == (3, 2, {"overflow": 1})
    buffer.commit(taken)
    assert buffer.event_counts().delivered == 2


def test_discarded_records_are_counted_by_reason_and_their_gap_is_sent() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(), Newest(), clock=clock)
    made = fill(buffer, clock, 3)
    buffer.discard(buffer.take(2, 10**9), "refused")
    gap = buffer.take(1, 10**9)
    assert gap == [Gap(made[0].time_ns, made[1].time_ns, 20, "refused", {"normal": 20})]
    buffer.discard(gap, "refused")
    assert times(buffer.take(10, 10**9)) == [made[2].monotonic_s]


def test_close_drops_what_waits_and_takes_nothing_more() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(), Newest(), clock=clock)
    fill(buffer, clock, 3)
    buffer.close()
    buffer.close()
    assert not buffer.put(tick(clock))
    assert not buffer.put(Event(0, "agent.stopped", "agent"))
    counts = buffer.counts()
    assert (counts.dropped, counts.rejected, counts.accepted) == ({"shutdown": 30}, 10, 30)


def test_configure_keeps_the_content_and_obeys_the_new_bounds() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(max_points=1000), Newest(), clock=clock)
    made = fill(buffer, clock, 70)
    buffer.configure(BufferSettings(max_points=500), Newest())
    assert buffer.points <= 500
    assert times(buffer.take(100, 10**9))[-1] == made[-1].monotonic_s


@pytest.mark.parametrize("overflow", [Overflow.DROP_OLDEST, Overflow.DROP_NEWEST, Overflow.REJECT])
def test_policies_bound_whole_batches(overflow: Overflow) -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(max_points=50, overflow=overflow), Newest(), clock=clock)
    made = fill(buffer, clock, 8)
    taken = [batch for batch in buffer.take(10, 10**9) if isinstance(batch, Batch)]
    expected = made[3:] if overflow is Overflow.DROP_OLDEST else made[:5]
    assert times(list(taken)) == [batch.monotonic_s for batch in expected]
    counts = buffer.counts()
    assert counts.is_balanced
    assert counts.dropped.get(overflow.value, counts.rejected) == 30


def test_on_put_wakes_the_consumer() -> None:
    clock, calls = FakeClock(), []
    buffer = BatchBuffer("hub", BufferSettings(), Newest(), clock=clock, on_put=lambda: calls.append(1))
    fill(buffer, clock, 3)
    assert len(calls) == 3


@pytest.mark.parametrize(
    "bad", [{"max_points": 0}, {"max_bytes": -1}, {"max_age_s": 0}, {"max_events": 0}, {"sample_from_ratio": 1.5}]
)
def test_settings_out_of_range_are_refused_by_name(bad: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        BufferSettings(**bad)


@pytest.mark.parametrize("points", [1, 10, 200])
def test_a_buffered_point_costs_at_most_forty_bytes(points: int) -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(max_bytes=10**9), Newest(), clock=clock)
    fill(buffer, clock, 640, points)
    assert buffer.bytes / buffer.points <= 40
