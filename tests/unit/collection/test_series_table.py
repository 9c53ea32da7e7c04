import pytest

from agent.collection.series_table import SeriesTable
from agent.model import Series


def test_ids_are_given_once_and_two_objects_of_one_name_share_one():
    table = SeriesTable()
    a, b, a_again = Series("a"), Series("b"), Series("a")
    assert table.ids([a, b]) == [1, 2]
    assert table.ids([b, a, a_again]) == [2, 1, 1]
    assert len(table) == 2


def test_unseen_series_are_forgotten_and_their_ids_never_used_again():
    table = SeriesTable()
    a, b = Series("a"), Series("b")
    table.ids([a, b])
    assert table.forget_unseen() == {}
    table.ids([a])
    assert table.forget_unseen() == {2: [b]}
    assert table.id_of(b) is None
    assert table.ids([b]) == [3]


def test_a_forgotten_definition_stays_readable_for_what_is_still_buffered():
    table = SeriesTable(retired_max=1)
    a, b = Series("a"), Series("b")
    table.ids([a, b])
    table.forget_unseen()
    assert set(table.forget_unseen()) == {1, 2}
    assert table.definition(2) is b
    with pytest.raises(KeyError):
        table.definition(1)
