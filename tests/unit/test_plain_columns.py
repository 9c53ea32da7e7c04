"""Columns without numpy are read by everybody as arrays are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.array_columns import ArrayColumns
from agent.columns import PlainColumns, column_of, numbers_of
from agent.model import Batch
from agent.protocol.records import record_message

IDS = st.integers(0, 2**32 - 1)
POINTS = st.lists(st.tuples(IDS, st.floats(allow_nan=False, width=64), st.sampled_from([0, 1, 2, 4])), max_size=20)
PLAIN, ARRAYS = PlainColumns(), ArrayColumns()


def batch(columns, points):
    ids, values, flags = zip(*points, strict=True) if points else ((), (), ())
    weights, bounds = [2.0] * len(points), [0.5] * len(points)
    return Batch(
        1,
        2.0,
        columns.ids(ids),
        columns.values(values),
        columns.flags(flags),
        columns.values(weights),
        columns.bounds(bounds),
    )


@given(POINTS)
def test_a_plain_batch_goes_on_the_wire_as_an_array_batch_does(points):
    assert record_message(batch(PLAIN, points), 1) == record_message(batch(ARRAYS, points), 1)


@given(POINTS)
def test_both_have_the_same_size_and_numbers(points):
    plain, arrays = batch(PLAIN, points), batch(ARRAYS, points)
    for name in ("ids", "values", "flags", "weights", "bounds"):
        one, other = getattr(plain, name), getattr(arrays, name)
        assert (one.nbytes, one.tolist(), one.tobytes()) == (other.nbytes, other.tolist(), other.tobytes())
    assert plain.flags.any() == arrays.flags.any()


@given(st.lists(IDS))
def test_a_column_comes_back_from_the_wire(numbers):
    assert numbers_of(column_of(numbers, "I"), "I") == numbers
    assert column_of(numbers, "I") == np.array(numbers, "<u4").tobytes()


@pytest.mark.parametrize("form", ["<f8", "<u8", ">u4"])
def test_a_column_is_not_made_what_it_is_not(form):
    with pytest.raises(TypeError, match="cannot be made"):
        PLAIN.ids([1]).astype(form)
