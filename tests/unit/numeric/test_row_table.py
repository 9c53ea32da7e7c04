import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.numeric.row_table import RowTable, as_slice


def ids(*numbers):
    return np.array(numbers, dtype=np.uint32)


@given(st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 2**32 - 1) | st.integers(0, 9), max_size=6))))
def test_it_is_a_dictionary_whose_rows_are_given_out_again(steps):
    table, model, most = RowTable(), {}, 0
    for is_add, group in steps:
        if is_add:
            new = [one for one in group if one not in model]
            model.update(zip(new, table.add(ids(*new)).tolist(), strict=True))
        else:
            gone = table.remove(ids(*group)).tolist()
            assert sorted(gone) == sorted(model.pop(one) for one in group & model.keys())
        most = max(most, len(model))
        assert len(table) == len(model)
        assert len(set(model.values())) == len(model)
        assert all(row < table.row_count <= most for row in model.values())
        asked = [*model, 123456]
        assert table.find(ids(*asked)).tolist() == [model.get(one, -1) for one in asked]


def test_rows_in_a_row_are_a_slice():
    assert as_slice(np.arange(3)) == slice(0, 3)
    assert as_slice(np.array([4])) == slice(4, 5)
    assert as_slice(np.array([7, 8, 9])) == slice(7, 10)
    for rows in ([], [0, 2], [0, 2, 1], [0, 3, 1, 3], [3, 1, 2, 0], [5, 5, 7]):
        assert as_slice(np.array(rows)).tolist() == rows


def test_an_id_named_twice_is_removed_once():
    table = RowTable()
    table.add(ids(5, 9))
    assert table.remove(ids(9, 9, 4_000_000_000)).tolist() == [1]
    assert table.ids.tolist() == [5]
