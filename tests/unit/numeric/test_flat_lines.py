import numpy as np

from agent.numeric.flat_lines import FlatLines, SingleFlatLine
from agent.numeric.novelty import Places

ROWS = Places.of(slice(0, 2))


def told(values):
    """(tick, for how many values) each time one series stands still for longer than ever; alone and with another the same."""
    lines, single, found = FlatLines(), SingleFlatLine(), []
    lines.reserve(2)
    for age, value in enumerate(values):
        stretches = lines.reached(ROWS, np.array([value, float(age)]), np.full(2, age))
        count = single.reached(float(value), age)
        assert stretches.of(0) == ([count] if count else [])
        assert stretches.of(1) == []
        found += [(age, count)] if count else []
    return found


def moving(count):
    return np.arange(count) % 7


def test_each_length_is_told_once_and_then_it_takes_twice_as_many():
    standing, later = np.full(20, 100.0), np.full(40, 50.0)
    values = [*moving(500), *standing, *moving(500), *standing, *moving(500), *later]
    assert told(values) == [(515, 16), (1540 + 31, 32)]


def test_what_has_seldom_moved_may_stand_still():
    steps = np.repeat(np.arange(20.0), 60)
    assert told(steps) == []


def test_what_stood_still_while_it_was_young_counts_as_known():
    assert told([*np.full(20, 3.0), *moving(600), *np.full(20, 3.0)]) == []


def test_both_zeros_are_one_value():
    zeros = np.where(np.arange(16) % 2, 0.0, -0.0)
    assert told([*(moving(300) + 1), *zeros]) == [(315, 16)]


def test_a_cleared_row_starts_afresh():
    lines = FlatLines()
    lines.reserve(2)
    for age in range(16):
        lines.reached(ROWS, np.ones(2), np.full(2, age + 300))
    lines.clear(np.array([1]))
    found = [lines.reached(ROWS, np.ones(2), np.full(2, 400)) for _ in range(16)]
    assert [tick for tick, one in enumerate(found) if one.of(1)] == [15]
    assert [tick for tick, one in enumerate(found) if one.of(0)] == []
