"""When a hub lets nobody else in."""

from __future__ import annotations

import pytest

from agent.hub.greetings import Greetings
from agent.testing.clock import FakeClock


def test_greetings_are_late_from_two_seconds_on_until_whoever_waited_so_long_is_welcome():
    clock = FakeClock()
    greetings = Greetings(clock)
    assert not greetings.are_late
    with greetings.waiting():
        clock.advance(2.0)
        assert not greetings.are_late
        clock.advance(0.1)
        assert greetings.are_late
        with greetings.waiting():
            assert len(greetings) == 2
    assert not greetings.are_late


def test_only_the_oldest_counts_and_the_next_one_after_it():
    clock = FakeClock()
    greetings = Greetings(clock)
    first, second = greetings.waiting(), greetings.waiting()
    first.__enter__()
    clock.advance(1.5)
    second.__enter__()
    clock.advance(1.0)
    assert greetings.are_late
    first.__exit__(None, None, None)
    assert not greetings.are_late
    clock.advance(1.1)
    assert greetings.are_late
    second.__exit__(None, None, None)


def test_who_failed_waits_no_longer():
    clock = FakeClock()
    greetings = Greetings(clock)
    with pytest.raises(OSError, match="disk full"), greetings.waiting():
        raise OSError("disk full")
    clock.advance(10.0)
    assert not greetings.are_late
    assert len(greetings) == 0
