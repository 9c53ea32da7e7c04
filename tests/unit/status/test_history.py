"""The agent's memory of its last minutes: bounded, and read back series by series."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.model import Batch, PointFlag
from agent.status.history import History, columns

TICKS = st.lists(st.dictionaries(st.integers(1, 6), st.floats(-1e9, 1e9), min_size=1), min_size=1, max_size=12)


def batch(second: int, values: dict[int, float], anomalous: frozenset[int] = frozenset()) -> Batch:
    ids = np.array(list(values), dtype=np.uint32)
    flags = np.array([PointFlag.ANOMALOUS if one in anomalous else 0 for one in values], dtype=np.uint8)
    return Batch(second * 10**9, float(second), ids, np.array(list(values.values())), flags if flags.any() else None)


@given(TICKS)
def test_every_series_is_read_back_as_it_was_put(ticks):
    history = History(1000.0, 10**9)
    for second, values in enumerate(ticks):
        history.put(batch(second, values))
    found = columns(history.within(0, 10**12), range(1, 8))
    for series_id in range(1, 8):
        expected = [(second * 10**9, tick[series_id]) for second, tick in enumerate(ticks) if series_id in tick]
        assert list(zip(found[series_id].times_ns, found[series_id].values, strict=True)) == expected


@given(TICKS, st.integers(500, 3000))
def test_neither_bytes_nor_age_is_ever_above_its_bound_but_for_the_newest(ticks, max_bytes):
    history = History(5.0, max_bytes)
    for second, values in enumerate(ticks):
        history.put(batch(second, values))
        assert history.bytes == sum(tick.bytes for tick in history.within(0, 10**12))
        assert history.bytes <= max_bytes or len(history) == 1
        assert second - history.within(0, 10**12)[0].monotonic_s <= 5.0
    assert history.latest.values.tolist() == list(ticks[-1].values())


def test_points_that_stand_out_keep_their_mark():
    history = History(100.0, 10**6)
    history.put(batch(1, {1: 5.0, 2: 6.0}))
    history.put(batch(2, {1: 50.0, 2: 6.0}, frozenset({1})))
    found = columns(history.within(0, 10**12), [1, 2])
    assert (found[1].anomalies_ns, found[2].anomalies_ns) == ([2 * 10**9], [])
    assert history.latest.anomalous_ids() == [1]


def test_ticks_of_the_same_series_share_their_ids():
    history = History(100.0, 10**6)
    for second in range(3):
        history.put(batch(second, {1: 1.0, 2: 2.0}))
    assert len({id(tick.ids) for tick in history.within(0, 10**12)}) == 1


def test_only_the_span_that_was_asked_for_is_given():
    history = History(100.0, 10**6)
    for second in range(5):
        history.put(batch(second, {1: float(second)}))
    assert [tick.time_ns for tick in history.within(10**9, 3 * 10**9)] == [10**9, 2 * 10**9, 3 * 10**9]
