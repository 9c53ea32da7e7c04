"""What is said of a point that begins an incident."""

from math import inf, nan

import pytest

from agent.collection.unusual import Unusual
from agent.model import Series


@pytest.mark.parametrize(
    ("value", "low", "high", "reason"),
    [
        (20.0, 1.0, 9.5, "20, above the usual 1 to 9.5"),
        (-3.0, 1.0, 9.5, "-3, below the usual 1 to 9.5"),
        (5.0, 1.0, 9.5, "5, inside the usual 1 to 9.5: its course is new"),
        (5.0, 4.0, 4.0, "5, where 4 is usual"),
        (4.0, 4.0, 4.0, "4, inside the usual 4 to 4: its course is new"),
        (5.0, nan, nan, "5, with nothing known before it"),
    ],
)
def test_the_reason_names_the_value_and_what_was_usual(value, low, high, reason):
    assert Unusual(1, Series("a"), value, 0.5, low, high, inf).reason == reason


def test_the_explanation_adds_what_the_detector_saw_where_it_says_so():
    silent = Unusual(1, Series("a"), 20.0, 0.5, 1.0, 9.5, inf)
    telling = Unusual(1, Series("a"), 20.0, 0.5, 1.0, 9.5, inf, evidence="level 20, before 1 to 9")
    assert silent.explanation == "20, above the usual 1 to 9.5"
    assert telling.explanation == "20, above the usual 1 to 9.5 (level 20, before 1 to 9)"
