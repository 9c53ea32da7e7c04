"""The buffer of an agent without numpy: what it keeps when not everything can stay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.array_columns import ArrayColumns
from agent.columns import PlainColumns
from agent.model import Batch, Gap, PointFlag
from agent.resilience.buffer import BatchBuffer, BufferSettings
from agent.resilience.plain_thinning import PlainThinning
from agent.resilience.thinning import Thinning
from agent.testing.clock import FakeClock

PLAIN, ARRAYS = PlainColumns(), ArrayColumns()
CRITICAL, BULK = PointFlag.CRITICAL.value, PointFlag.BULK.value
FLAGS = st.lists(st.sampled_from([0, 0, 0, CRITICAL, BULK, PointFlag.ANOMALOUS.value]), min_size=1, max_size=30)


def tick(number, flags, columns=PLAIN):
    ids = range(1, len(flags) + 1)
    return Batch(
        number, float(number), columns.ids(ids), columns.values([float(number)] * len(flags)), columns.flags(flags)
    )


@pytest.fixture
def clock():
    return FakeClock()


def plain_buffer(clock, **settings):
    return BatchBuffer("hub", BufferSettings(**settings), None, clock=clock)


def test_what_fits_comes_out_as_it_went_in(clock):
    buffer = plain_buffer(clock)
    given = [tick(number, [0, CRITICAL]) for number in range(100)]
    for batch in given:
        buffer.put(batch)
    assert buffer.take(100, 10**9) == given
    buffer.commit(given)
    assert buffer.counts().delivered == 200


def test_of_the_oldest_the_critical_points_stay_and_the_gap_tells_of_the_others(clock):
    buffer = plain_buffer(clock, max_points=100)
    for number in range(30):
        buffer.put(tick(number, [CRITICAL, 0, 0, 0, BULK]))
    taken = buffer.take(100, 10**9)
    batches = [record for record in taken if isinstance(record, Batch)]
    dropped = sum(record.points for record in taken if isinstance(record, Gap))
    assert [batch.monotonic_s for batch in batches] == list(range(30))
    assert [batch.points for batch in batches] == sorted(batch.points for batch in batches)
    assert batches[0].ids.tolist() == [1]
    assert batches[-1].points == 5
    assert dropped == 150 - sum(batch.points for batch in batches) > 0
    by_lane = buffer.counts().dropped_by_lane
    assert by_lane["sampled", "normal"] + by_lane["sampled", "bulk"] == dropped


def test_a_reload_keeps_what_is_buffered(clock):
    buffer = plain_buffer(clock)
    buffer.put(tick(1, [0, 0]))
    buffer.configure(BufferSettings(max_points=1000), None)
    assert buffer.points == 2


@given(st.lists(st.tuples(FLAGS, st.sampled_from([1.0, 0.7, 0.3])), max_size=20))
def test_thinning_chooses_as_it_does_with_arrays(ticks):
    plain, arrays = PlainThinning(), Thinning()
    for number, (flags, ratio) in enumerate(ticks):
        one, gone = plain.thin(tick(number, flags), ratio)
        other, also_gone = arrays.thin(tick(number, flags, ARRAYS), ratio)
        assert gone == also_gone
        assert plain.is_resting == arrays.is_resting
        for name in ("ids", "values", "flags", "weights", "bounds"):
            np.testing.assert_array_equal(_numbers(one, name), _numbers(other, name))


@given(st.lists(FLAGS, max_size=40), st.integers(1, 120))
def test_critical_points_outlast_all_others_and_every_point_is_accounted_for(ticks, most):
    buffer = plain_buffer(FakeClock(), max_points=most)
    for number, flags in enumerate(ticks):
        buffer.put(tick(number, flags))
    counts = buffer.counts()
    assert counts.is_balanced
    assert counts.buffered == buffer.points <= most
    taken = [record for record in buffer.take(10**6, 10**9) if isinstance(record, Batch)]
    critical = sum(flag == CRITICAL for flags in ticks for flag in flags)
    kept = sum(flag == CRITICAL for batch in taken for flag in batch.flags)
    if critical <= most * 0.75:
        assert kept == critical or "overflow" in counts.dropped


def _numbers(batch: Batch, name: str):
    return None if getattr(batch, name) is None else getattr(batch, name).tolist()
