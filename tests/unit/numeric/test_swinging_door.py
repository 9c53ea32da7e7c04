"""Steered doors: what is sent, how far off the rest may be, and that the budget is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.numeric.swinging_door import SteeredDoors

ONE = np.zeros(1, np.int64)


def run(values: np.ndarray, keep_ratio: float) -> tuple[list[int], list[float], float]:
    """Steps and values sent, the end included, and the widest the door ever was."""
    doors, steps, sent, widest = SteeredDoors(1, keep_ratio), [0], [float(values[0])], 0.0
    for number, value in enumerate(values):
        _, moments, points = doors.offer(ONE, float(number), np.array([value]))
        steps += moments.astype(int).tolist()
        sent += points.tolist()
        widest = max(widest, float(doors.width(ONE)[0]))
    _, moments, points = doors.flush()
    return [*steps, int(moments[0])], [*sent, float(points[0])], widest


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.05, 0.1, 0.3]))
def test_no_point_is_farther_from_the_line_than_twice_the_widest_door(seed: int, keep_ratio: float) -> None:
    values = np.random.default_rng(seed).normal(size=500).cumsum()
    steps, sent, widest = run(values, keep_ratio)
    assert sent == values[steps].tolist()
    miss = np.abs(np.interp(np.arange(500), steps, sent) - values)
    assert miss.max() <= 2 * widest + 1e-9


@pytest.mark.parametrize("keep_ratio", [0.05, 0.1, 0.25])
@pytest.mark.parametrize("kind", ["noise", "walk", "wave"])
def test_the_budget_is_kept_within_fifteen_percent(keep_ratio: float, kind: str) -> None:
    numbers = np.random.default_rng(2).normal(size=5000)
    values = {"noise": numbers, "walk": numbers.cumsum(), "wave": np.sin(np.arange(5000) / 30) + 0.1 * numbers}[kind]
    steps, _, _ = run(values, keep_ratio)
    assert len(steps) / 5000 == pytest.approx(keep_ratio, rel=0.15)


def test_a_constant_series_and_a_ramp_send_their_ends_only() -> None:
    assert run(np.full(1000, 7.0), 0.1)[0] == [0, 999]
    assert len(run(np.arange(1000.0), 0.1)[0]) <= 3


def test_a_spike_is_sent() -> None:
    values = np.random.default_rng(3).normal(size=1000)
    values[700] = 50.0
    assert 700 in run(values, 0.1)[0]


def test_series_do_not_disturb_one_another() -> None:
    rng = np.random.default_rng(4)
    table = rng.normal(size=(300, 5)).cumsum(axis=0)
    doors, together = SteeredDoors(5, 0.2), []
    for number, tick in enumerate(table):
        slots, moments, _ = doors.offer(np.arange(5), float(number), tick)
        together += [(int(moment)) for slot, moment in zip(slots, moments, strict=True) if slot == 3]
    assert [0, *together, 299] == run(table[:, 3], 0.2)[0]


@pytest.mark.parametrize("ratio", [0.0, 1.5])
def test_a_share_out_of_range_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="keep_ratio"):
        SteeredDoors(1, ratio)
