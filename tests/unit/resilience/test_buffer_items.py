"""Scenarios 46, 47 and 49 on plain items."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.resilience.buffer_settings import BufferSettings, Overflow
from agent.resilience.item_buffer import BufferFull, ItemBuffer
from agent.resilience.plain_lane import DEAD_COUNT, PlainLane
from agent.testing.clock import FakeClock


def buffer_of(size: int, overflow: Overflow, clock: FakeClock | None = None, **settings) -> ItemBuffer:
    return ItemBuffer(BufferSettings(max_points=size, overflow=overflow, **settings), clock=clock or FakeClock())


@pytest.mark.parametrize(
    ("overflow", "kept"), [(Overflow.DROP_OLDEST, [4, 5, 6, 7, 8]), (Overflow.DROP_NEWEST, [1, 2, 3, 4, 5])]
)
def test_47_dropping_policies_keep_what_their_name_says(overflow: Overflow, kept: list[int]) -> None:
    buffer = buffer_of(5, overflow)
    for item in range(1, 9):
        buffer.put(item)
    assert buffer.counts().dropped == {overflow.value: 3}
    assert buffer.get(10) == kept


def test_47_reject_raises_and_counts() -> None:
    buffer = buffer_of(5, Overflow.REJECT)
    for item in range(1, 6):
        buffer.put(item)
    for item in range(6, 9):
        with pytest.raises(BufferFull, match="5 items"):
            buffer.put(item)
    assert buffer.counts().rejected == 3
    assert buffer.get(10) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("overflow", list(Overflow))
@pytest.mark.parametrize(
    ("item_bytes", "step_s", "held"),
    [
        pytest.param(100, 0.01, 1000, id="items"),
        pytest.param(2000, 0.01, (1 << 20) // 2000, id="bytes"),
        pytest.param(100, 0.1, 600, id="age"),
    ],
)
def test_46_no_bound_is_passed_also_while_a_failed_batch_comes_back(
    item_bytes: int, step_s: float, held: int, overflow: Overflow
) -> None:
    """Each of the three bounds in turn is the one that is reached."""
    clock = FakeClock()
    settings = BufferSettings(max_points=1000, max_bytes=1 << 20, max_age_s=60.0, overflow=overflow)
    buffer: ItemBuffer[int] = ItemBuffer(settings, clock=clock, bytes_of=lambda item: item_bytes)
    taken, most = None, 0
    for item in range(5000):
        try:
            buffer.put(item)
        except BufferFull:
            assert overflow is Overflow.REJECT
        most = max(most, len(buffer))
        assert len(buffer) <= 1000
        assert len(buffer) * item_bytes <= 1 << 20
        assert buffer.fill_ratio <= 1.0
        assert buffer.oldest_s is None or clock.monotonic_s() - buffer.oldest_s <= 60.0 + 1e-6
        assert buffer.counts().is_balanced
        clock.advance(step_s)
        if item % 700 == 699:
            taken = buffer.take(500)
        if item % 700 == 350 and taken is not None:
            buffer.put_back(taken)
            buffer.expire()
    sampled_from = 0.8 if overflow is Overflow.SAMPLE else 1.0
    assert most >= int(held * sampled_from) - 1


@pytest.mark.parametrize("name", ["max_points", "max_bytes", "max_age_s"])
@pytest.mark.parametrize("figure", [0, -1])
def test_46_a_buffer_for_nothing_or_less_is_refused(name: str, figure: int) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be .* \(got {figure}\)"):
        BufferSettings(**{name: figure})


def test_46_old_data_put_back_does_not_evict_newer_data_under_drop_oldest() -> None:
    buffer = buffer_of(1000, Overflow.DROP_OLDEST)
    for item in range(1000):
        buffer.put(item)
    taken = buffer.take(500)
    for item in range(1000, 1400):
        buffer.put(item)
    buffer.put_back(taken)
    assert buffer.get(2000) == list(range(400, 1400))


def test_46_data_put_back_goes_in_front_under_drop_newest() -> None:
    buffer = buffer_of(1000, Overflow.DROP_NEWEST)
    for item in range(1000):
        buffer.put(item)
    taken = buffer.take(500)
    for item in range(1000, 1400):
        buffer.put(item)
    buffer.put_back(taken)
    assert buffer.get(2000) == list(range(1000))


def test_49_critical_enters_a_full_buffer_by_evicting_the_oldest_of_the_lowest_level() -> None:
    buffer = buffer_of(100, Overflow.DROP_OLDEST)
    for item in range(100):
        buffer.put(("low", item), 0)
    for item in range(10):
        for level, name in ((1, "normal"), (2, "high"), (3, "critical")):
            assert buffer.put((name, item), level)
    kept = buffer.get(200)
    assert Counter(level for level, _ in kept) == {"critical": 10, "high": 10, "normal": 10, "low": 70}
    assert sorted(item for level, item in kept if level == "low") == list(range(30, 100))


def test_49_critical_enters_among_its_own_when_nothing_lower_is_left() -> None:
    buffer = buffer_of(5, Overflow.DROP_OLDEST)
    for item in range(8):
        assert buffer.put(item, 3)
    assert not buffer.put(8, 0)
    assert buffer.get(10) == [3, 4, 5, 6, 7]


def test_49_bulk_never_displaces_health_points() -> None:
    buffer = buffer_of(100, Overflow.DROP_OLDEST)
    for item in range(20):
        buffer.put(("health", item), 2)
    for item in range(10_000):
        buffer.put(("bulk", item), 0)
    assert sum(level == "health" for level, _ in buffer.get(100)) == 20


def test_49_low_gets_one_delivery_in_twenty_while_it_waits() -> None:
    buffer = buffer_of(1000, Overflow.DROP_OLDEST)
    for level in range(4):
        for item in range(100):
            buffer.put((level, item), level)
    delivered: Counter[int] = Counter()
    for _ in range(20):
        for level, _item in buffer.get(10):
            delivered[level] += 1
            buffer.put((3, 0), 3)
    assert delivered[0] >= 10
    assert delivered[3] > 150


def test_order_within_a_lane_survives_put_back() -> None:
    buffer = buffer_of(100, Overflow.DROP_OLDEST)
    for item in range(10):
        buffer.put(item, item % 2)
    taken = buffer.take(6)
    buffer.put_back(taken)
    rest = buffer.get(100)
    assert [item for item in rest if item % 2] == [1, 3, 5, 7, 9]
    assert [item for item in rest if not item % 2] == [0, 2, 4, 6, 8]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("pppptbwxd"), st.integers(0, 1)), max_size=60))
def test_the_short_way_of_a_put_comes_to_the_same_as_the_long_one(acts: list[tuple[str, int]]) -> None:
    clock = FakeClock()
    bounds = BufferSettings(max_points=4, max_age_s=3.0, overflow=Overflow.DROP_OLDEST)
    both = [ItemBuffer(bounds, clock=clock), ItemBuffer(bounds, clock=clock, bytes_of=lambda _item: 0)]
    for number, (act, priority) in enumerate(acts):
        seen = []
        for buffer in both:
            if act == "p":
                buffer.put(number, priority)
            elif act == "b":
                buffer.put_back(buffer.take(2))
            elif act == "d":
                buffer.discard(buffer.take(1), "refused")
            elif act == "x":
                buffer.expire()
            got = buffer.get(2) if act == "t" else []
            seen.append((got, len(buffer), buffer.oldest_s, buffer.fill_ratio))
        clock.advance(1.0 if act == "w" else 0.1)
        assert seen[0] == seen[1]
        assert both[0].counts() == both[1].counts()
        assert both[0].counts().is_balanced


def test_what_is_known_of_items_that_are_gone_takes_no_more_than_a_bound() -> None:
    lane = PlainLane(10**6, 60.0)
    for number in range(200_000):
        lane.append(number)
        lane.stamp(float(number))
        lane.put_count += 1
    assert lane.settle() == (200_000, 0)
    for _ in range(199):
        assert len(lane.get(1000)) == 1000
        assert len(lane.stamps) - len(lane) <= max(len(lane), DEAD_COUNT)
    assert lane.oldest_s == 199_000.0
    assert len(lane.stamps) == 1000


@pytest.mark.parametrize("overflow", [Overflow.DROP_OLDEST, Overflow.DROP_NEWEST, Overflow.SAMPLE])
def test_items_name_their_lane_and_drops_are_counted_by_it(overflow: Overflow) -> None:
    buffer = buffer_of(6, overflow)
    for number in range(12):
        buffer.put(number, ("bulk", "normal", "critical", 7)[number % 4])
    counts = buffer.counts()
    assert counts.is_balanced
    assert sum(counts.dropped_by_lane.values()) == counts.dropped_points == 12 - len(buffer) > 0
    left = [item % 4 for item in buffer.get(100)]
    lanes = {lane: sum(n for (_, one), n in counts.dropped_by_lane.items() if one == lane) for lane in LANES}
    assert lanes == {lane: 3 - left.count(place) for place, lane in enumerate(LANES)}
    if overflow is Overflow.DROP_OLDEST:
        assert counts.dropped_by_lane == {("drop_oldest", "bulk"): 3, ("drop_oldest", "normal"): 3}


def test_46_what_is_too_old_goes_and_nothing_else_also_after_some_were_taken() -> None:
    clock = FakeClock()
    buffer = buffer_of(10, Overflow.DROP_OLDEST, clock, max_age_s=10.0)
    start_s = clock.monotonic_s()
    for item in range(6):
        buffer.put(item)
        clock.advance(1.0)
    assert buffer.get(2) == [0, 1]
    assert buffer.oldest_s == start_s + 2.0
    clock.advance(start_s + 13.5 - clock.monotonic_s())
    buffer.expire()
    assert buffer.oldest_s == start_s + 4.0
    assert buffer.counts().dropped == {"expired": 2}
    assert buffer.get(10) == [4, 5]
    assert buffer.oldest_s is None


@pytest.mark.parametrize("overflow", list(Overflow))
def test_55_a_closed_buffer_takes_nothing_in(overflow: Overflow) -> None:
    buffer = buffer_of(5, overflow)
    buffer.put(1)
    buffer.close()
    buffer.close()
    with pytest.raises(BufferFull, match="closed"):
        buffer.put(2)
    counts = buffer.counts()
    assert (counts.accepted, counts.dropped, counts.rejected, len(buffer)) == (1, {"shutdown": 1}, 1, 0)


def test_a_lane_of_one_priority_is_counted_under_its_name_too() -> None:
    clock = FakeClock()
    buffer: ItemBuffer[int] = ItemBuffer(
        BufferSettings(max_points=3, max_age_s=5.0, overflow=Overflow.DROP_OLDEST), clock=clock
    )
    for number in range(5):
        buffer.put(number, "bulk")
    clock.advance(6.0)
    buffer.expire()
    buffer.put(9, 2.5)
    buffer.discard(buffer.take(1), "refused")
    assert buffer.counts().dropped_by_lane == {
        ("drop_oldest", "bulk"): 2,
        ("expired", "bulk"): 3,
        ("refused", "2.5"): 1,
    }


def test_a_lane_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"one of critical, normal, bulk \(got 'urgent'\)"):
        buffer_of(6, Overflow.DROP_OLDEST).put(1, "urgent")


LANES = ("bulk", "normal", "critical", "7")
