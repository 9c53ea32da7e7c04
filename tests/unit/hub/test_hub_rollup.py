"""Roll-ups: what they are made of, apart from the store that holds them."""

from __future__ import annotations

import numpy as np
import pytest

from agent.hub.chunk import Chunk, join
from agent.hub.rollup import completed, is_sampled, newest, rolled_up

S = 10**9
NAN = float("nan")
SHAPED = 16.0


def points(values, **columns):
    """Points of two series at 0, 10, 20 and 30 s."""
    made = {"values": np.array(values), **{name: np.array(one, float) for name, one in columns.items()}}
    return Chunk(np.array([3, 8], np.uint32), np.arange(4) * 10 * S, made)


ALL = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, False),
        ({"weights": [[1, 1, 0, 1], [1, 1, 1, 1]]}, False),
        ({"flags": [[1, 2, 4, 7], [0, 0, 0, 0]]}, False),
        ({"bounds": [[0, 0, 0, 0], [0, 0, 0, 0]]}, False),
        ({"weights": [[1, 1, 1, 1], [1, 1, 1, 2]]}, True),
        ({"flags": [[0, 0, 0, 0], [0, 0, SHAPED, 0]]}, True),
        ({"bounds": [[0, 0, 0.5, 0], [0, 0, 0, 0]]}, True),
        ({"bounds": [[0, 0, NAN, 0], [0, 0, 0, 0]]}, True),
    ],
)
def test_points_are_sampled_where_something_may_have_been_left_out(columns, expected):
    assert is_sampled(points(ALL, **columns)) is expected


def test_the_newest_point_of_each_series_is_found_past_holes_and_values_that_are_none():
    found = newest(points([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, NAN, 8.0]], weights=[[2, 3, 4, 0], [2, 3, 4, 0]]))
    assert (found.times_ns // S).tolist() == [10, 20]
    assert found.columns["weights"].tolist() == [[0.0, 4.0], [3.0, 0.0]]
    assert found.columns["values"][0, 1] == 3.0
    assert found.columns["values"][1, 0] == 6.0


def test_pieces_of_a_chunk_are_that_chunk_again_in_whatever_order():
    values = np.random.default_rng(3).normal(size=(10, 6))
    whole = Chunk(np.arange(10, dtype=np.uint32), np.arange(6) * S, {"values": values, "weights": np.abs(values)})
    pieces = list(whole.pieces(4))
    assert [len(piece.ids) for piece in pieces] == [4, 4, 2]
    found = join([pieces[2], pieces[0], pieces[1]])
    assert found.ids.tolist() == whole.ids.tolist()
    assert found.times_ns.tolist() == whole.times_ns.tolist()
    for name, column in whole.columns.items():
        assert found.columns[name].tolist() == column.tolist()


def test_a_piece_without_a_column_has_its_default_beside_one_that_has_it():
    one, other = points(ALL), points(ALL, weights=np.full((2, 4), 3.0))
    found = join([one, Chunk(np.array([1, 9], np.uint32), other.times_ns, other.columns)])
    assert found.ids.tolist() == [1, 3, 8, 9]
    assert found.columns["weights"][:, 0].tolist() == [3.0, 1.0, 1.0, 3.0]


def test_of_series_without_points_there_is_no_newest():
    found = newest(points(ALL, weights=np.zeros((2, 4))))
    assert found.shape == (2, 0)


def test_a_way_belongs_to_the_stretch_in_which_it_ends():
    """Stretches of 15 s: from 0 to 10 s, then from 10 to 20 and 20 to 30 s."""
    whole = points(
        ALL, flags=np.full((2, 4), SHAPED), bounds=[[0, 1, 2, 4], [0, NAN, 0, 0]], weights=np.full((2, 4), 2.0)
    )
    found = rolled_up([whole], 15 * S)
    assert (found.times_ns // S).tolist() == [0, 15, 30]
    assert found.columns["covered_s"][0].tolist() == [10.0, 10.0, 10.0]
    assert found.columns["over_time"].tolist() == [[1.5, 2.5, 3.5], [5.5, 6.5, 7.5]]
    np.testing.assert_array_equal(found.columns["error"], [[1.0, 2.0, 4.0], [NAN, NAN, 0.0]])
    assert found.columns["marks"].tolist() == [[SHAPED] * 3] * 2


def test_a_point_to_which_no_way_leads_has_its_own_bound_and_counts_no_time():
    whole = points(ALL, bounds=[[0.5, 0, 0, 0], [0, 0, 0, 0]], weights=[[1, 0, 0, 0], [0, 0, 0, 0]])
    found = rolled_up([whole], 3600 * S)
    assert [float(found.columns[name][0, 0]) for name in ("covered_s", "error", "over_time", "count")] == [0, 0.5, 1, 1]
    assert found.columns["count"][1, 0] == 0


def test_errors_of_stretches_are_those_of_their_parts_by_the_time_that_these_cover():
    whole = points(
        ALL, flags=np.full((2, 4), SHAPED), bounds=[[0, 1, 2, 4], [0, 3, 3, 3]], weights=np.full((2, 4), 2.0)
    )
    at_once, in_turn = rolled_up([whole], 60 * S), rolled_up([rolled_up([whole], 15 * S)], 60 * S)
    assert at_once.columns["error"].ravel().tolist() == pytest.approx([7 / 3, 3.0])
    for name, column in at_once.columns.items():
        np.testing.assert_allclose(in_turn.column(name), column, err_msg=name)


def test_a_roll_up_of_before_errors_covers_its_stretches_and_knows_of_no_error():
    older = {"count": np.array([[2.0, 0.0]]), "mean": np.array([[1.5, 0.0]])}
    found = completed(Chunk(np.array([3], np.uint32), np.array([0, 60]) * S, older), 60 * S)
    assert found.columns["covered_s"].tolist() == [[60.0, 0.0]]
    assert np.isnan(found.columns["error"]).all()
    assert completed(found, 60 * S) is found
