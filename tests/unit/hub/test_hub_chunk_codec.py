"""Chunks as blobs: every bit comes back, decimals are small, blobs of before are read on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agent.hub.chunk import Chunk
from agent.hub.chunk_codec import ChunkDamaged, decode, encode
from agent.hub.decimals import NOT_DECIMAL, digits_of

S = 10**9
ODD = [
    float("nan"),
    float("inf"),
    -float("inf"),
    -0.0,
    0.1 + 0.2,
    5e-324,
    2.0**52,
    2.0**53 + 2,
    -(2.0**63),
    1e22,
    1e300,
]
DECIMALS = st.tuples(st.integers(-(10**14), 10**14), st.integers(0, 8)).map(lambda one: one[0] / 10.0 ** one[1])
VALUES = st.one_of(st.floats(), DECIMALS, st.integers(-1000, 1000).map(float), st.sampled_from(ODD))
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 12))
COLUMNS = SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=VALUES))
"""More series than a block has, each of whatever values."""

OLDER = (
    "8bfabd5d93c40d780163666261c0060000e6000ac4217801636060603875eac9b659c1cfad2fe8332c8a65989ec120fe8201007520093a82a676616c"
    "75657391c43378016360008159b3e680698699334b610c080d14e98089d8c0184f1e18687c60f8f1f1a3b93d83833d43bdfdfe7f00f310125aa77765"
    "696768747391c41a7801636020077c60f800020c0cf60cf5f640c0c000005ce6075b"
)
"""A blob of before decimals."""


def chunk_of(column: np.ndarray) -> Chunk:
    count, ticks = column.shape
    return Chunk(np.arange(count, dtype=np.uint32) * 3 + 7, np.arange(ticks) * S, {"values": column})


def bits(column: np.ndarray) -> list[list[int]]:
    return np.ascontiguousarray(column).view(np.uint64).tolist()


@given(COLUMNS)
def test_every_bit_comes_back(column):
    chunk = chunk_of(column)
    found = decode(encode(chunk))
    assert bits(found.columns["values"]) == bits(column)
    assert (found.ids.tolist(), found.times_ns.tolist()) == (chunk.ids.tolist(), chunk.times_ns.tolist())


@given(COLUMNS, st.data())
def test_some_series_come_back_as_they_do_among_all(column, data):
    chunk = chunk_of(column)
    wanted = data.draw(st.lists(st.sampled_from([*chunk.ids.tolist(), 1, 8]), unique=True))
    found = decode(encode(chunk), wanted)
    rows = [row for row, one in enumerate(chunk.ids.tolist()) if one in wanted]
    assert found.ids.tolist() == [int(chunk.ids[row]) for row in rows]
    assert bits(found.columns["values"]) == bits(column[rows])


@pytest.mark.parametrize(
    ("values", "digits"),
    [
        ([1.0, -2.0, 3.0], 0),
        ([0.5, 12.25, -3.0], 2),
        ([0.1, 0.2, 0.000001], 6),
        ([0.1, 0.2, 0.1 + 0.2], NOT_DECIMAL),
        ([0.0000001, 1.0, 2.0], NOT_DECIMAL),
        ([1.0, -0.0, 1.0], NOT_DECIMAL),
        ([1.0, float("nan"), 1.0], NOT_DECIMAL),
        ([1.0, 2.0**53, 1.0], NOT_DECIMAL),
    ],
)
def test_only_what_comes_back_to_the_bit_is_a_decimal(values, digits):
    assert digits_of(np.array([values])).tolist() == [digits]


def test_all_values_of_a_series_decide_whether_they_are_decimals():
    """Also those that were not among the few that proposed it."""
    column = np.full((2, 1000), 0.25)
    column[1, 501] = np.pi
    assert digits_of(column).tolist() == [2, NOT_DECIMAL]


def test_decimals_take_a_third_of_what_other_values_take():
    steps = np.random.default_rng(5).normal(size=(16, 600))
    other = np.round(50 + steps, 2).cumsum(axis=1)
    decimals = other.round(2)
    assert len(encode(chunk_of(decimals))) < len(encode(chunk_of(other * np.pi))) / 3


def test_a_blob_of_before_decimals_is_read_on():
    found = decode(bytes.fromhex(OLDER))
    assert found.ids.tolist() == [3, 5, 9]
    assert (found.times_ns // S).tolist() == [1700006400, 1700006401, 1700006403]
    expected = np.array([[0.5, 0.25, np.nan], [1.0, 1.0, 3.0], [1.1, -0.0, 1e300]])
    assert bits(found.columns["values"]) == bits(expected)
    assert found.columns["weights"].tolist() == [[1.0, 1.0, 2.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]


@pytest.mark.parametrize("cut", [0, 3, 4, 20])
def test_a_blob_that_is_not_what_was_written_is_damaged(cut):
    with pytest.raises(ChunkDamaged, match="does not match its checksum"):
        decode(bytes.fromhex(OLDER)[:cut])
