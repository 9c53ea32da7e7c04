"""What may stand in a history, and what is said of one that is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from agent.errors import RebellionError
from agent.replay.csv_history import read_history


@pytest.fixture
def read(tmp_path):
    def reading(text):
        path = tmp_path / "history.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_history(path)

    return reading


def test_times_of_both_forms_and_values_are_read(read):
    first = read("timestamp,value\n2014-04-01 00:00:00,1.5\n2014-04-01T02:05:00+02:00,2\n")
    second = read("1396310400,1.5\n1396310700,2\n")
    for one in (first, second):
        assert one.times_s.tolist() == [1396310400.0, 1396310700.0]
        assert one.values.tolist() == [[1.5], [2.0]]
        assert [str(series) for series in one.series] == ["value"]


def test_several_columns_keep_their_names_and_labels(read):
    text = '\ufefftime,cpu,"filesystem_used_ratio{mount=""/var"",device=""sda""}"\n1,2,3\n\n2,4,5\n'
    found = read(text)
    assert [str(one) for one in found.series] == ["cpu", 'filesystem_used_ratio{device="sda",mount="/var"}']
    assert found.values.tolist() == [[2, 3], [4, 5]]
    assert [str(one) for one in read("1,2,3\n").series] == ["value_1", "value_2"]


def test_missing_values_are_gaps_and_infinities_stay_for_the_engine_to_count(read):
    values = read("t,a,b\n1,,nan\n2,NULL,inf\n3,-1e3, 7 \n").values
    np.testing.assert_equal(values, [[np.nan, np.nan], [np.nan, np.inf], [-1000, 7]])


def test_a_clock_that_was_set_back_is_counted_and_time_stands_still(read):
    rows = [*range(100, 150), 140, *range(150, 200)]
    found = read("t,a\n" + "".join(f"{at},1\n" for at in rows))
    assert found.backward_rows == 1
    assert found.times_s[50] == 149.0
    assert (np.diff(found.times_s) >= 0).all()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ": there is no row of values"),
        ("t,a\n", ": there is no row of values"),
        ("t,a\n1,2\n2,x\n", ":3: column 'a' must be a number, or empty (got 'x')"),
        ("t,a,b\n1,2,3\n\n2,4\n", ":4: 3 columns are needed, as in the first line (got 2)"),
        ("t,a\nyesterday,2\n", ":2: the time must be Unix seconds or like 2026-05-01 12:00:00 (got 'yesterday')"),
        ("t,a\n,2\n", ":2: the time must be Unix seconds or like 2026-05-01 12:00:00 (got '')"),
        ("t,a\n1780000000000,2\n", ":2: the time must be seconds since 1970, not parts of them (got '1780000000000')"),
        ("t;a\n1;2\n", ":1: a time and at least one value are needed, with commas between (got 't;a')"),
        ("t,a,a\n1,2,3\n", ":1: column 3 has the name 'a' of another column"),
        ("t,a, \n1,2,3\n", ":1: column 3 has no name"),
        (
            "t,a\n3,1\n2,1\n1,1\n",
            ":3: the time lies before that of the row above; sort the file by time, the oldest first",
        ),
        ('t,a\n1,"2\n', ":2: not a line of CSV (unexpected end of data)"),
        (b"t,a\n1,\xff\n", ": must be UTF-8 text (byte 0xff is not)"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_place(read, text, problem):
    with pytest.raises(RebellionError) as caught:
        read(text)
    assert str(caught.value).endswith("history.csv" + problem)
