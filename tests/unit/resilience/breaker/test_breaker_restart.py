"""State over a restart."""

from __future__ import annotations

import json

import pytest

from agent.resilience.breaker import CircuitState
from agent.testing.clock import FakeClock

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


def restarted(rig, exported, down_s=0.0, **settings):
    """A new process: another monotonic clock, the same wall."""
    r = rig(**settings)
    later = FakeClock(monotonic_s=3.0, wall_ns=r.clock.wall_ns())
    later.advance(down_s)
    new = type(r)(later, **settings)
    return new, new.breaker.restore_state(json.loads(json.dumps(exported)))


def test_a_breaker_that_was_open_is_open_for_the_rest_of_its_wait(rig):
    r = rig()
    r.probe().fail(OSError("down"))
    r.clock.advance(5)
    new, taken = restarted(rig, r.breaker.export_state(), down_s=2)
    assert taken
    assert new.state is OPEN
    assert new.breaker.retry_in_s == pytest.approx(15)
    assert new.breaker.snapshot().last_failure == "OSError: down"
    assert new.steps == [("CLOSED", "OPEN")]
    assert (new.events[0].reason, new.events[0].open_s) == ("restored", pytest.approx(15))
    new.wait()
    new.fail()
    assert new.waits[-1] == 40


def test_a_breaker_that_was_half_open_may_probe_at_once(rig):
    r = rig()
    r.probe().succeed()
    new, taken = restarted(rig, r.breaker.export_state())
    assert taken
    assert new.state is HALF_OPEN
    new.succeed()
    assert new.state is HALF_OPEN
    new.succeed()
    assert new.state is CLOSED


def test_a_wait_that_was_over_is_not_taken_up_again(rig):
    r = rig()
    r.trip()
    r.clock.advance(30)
    exported = r.breaker.export_state()
    assert exported["remaining_s"] == 0
    new, _ = restarted(rig, exported)
    assert new.state is HALF_OPEN


@pytest.mark.parametrize(("down_s", "is_taken"), [(60, True), (60.5, False), (-3600, True)])
def test_a_state_older_than_the_longest_wait_is_ignored(rig, down_s, is_taken):
    r = rig()
    r.trip()
    new, taken = restarted(rig, r.breaker.export_state(), down_s=down_s)
    assert taken is is_taken
    assert new.state is (OPEN if is_taken else CLOSED)


def test_the_longest_wait_includes_the_jitter(rig):
    r = rig()
    r.trip()
    _, taken = restarted(rig, r.breaker.export_state(), down_s=70, jitter_ratio=0.2)
    assert taken


@pytest.mark.parametrize("by_hand", ["force_open", "disable", "metrics_only"])
def test_what_was_set_by_hand_stays_however_old(rig, by_hand):
    r = rig()
    getattr(r.breaker, by_hand)()
    new, taken = restarted(rig, r.breaker.export_state(), down_s=1e7)
    assert taken
    assert new.state is r.state


def test_rounds_of_a_soft_reset_outlive_the_restart(rig):
    r = rig(soft_reset_s=300.0)
    for _ in range(2):
        r.trip()
        r.wait()
        r.succeed(2)
    new, taken = restarted(rig, r.breaker.export_state(), soft_reset_s=300.0)
    assert taken
    assert new.state is CLOSED
    new.trip()
    assert new.waits == [40]


def test_a_wait_beyond_the_cap_is_cut(rig):
    r = rig()
    r.trip()
    new, _ = restarted(rig, r.breaker.export_state() | {"remaining_s": 1e9, "failed_rounds": 10**9})
    assert new.breaker.retry_in_s == 60
    new, _ = restarted(rig, r.breaker.export_state() | {"remaining_s": -5})
    assert new.state is HALF_OPEN


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"state": "ajar"},
        {"remaining_s": "soon"},
        {"remaining_s": float("nan")},
        {"failed_rounds": -1},
        {"saved_wall_ns": None},
        {"remaining_s": float("inf")},
    ],
)
def test_what_is_no_exported_state_is_refused_in_one_line(rig, change):
    r = rig()
    with pytest.raises(ValueError, match="no saved state of a breaker") as info:
        r.breaker.restore_state(r.breaker.export_state() | change)
    assert "\n" not in str(info.value)
    with pytest.raises(ValueError, match="no saved state"):
        r.breaker.restore_state({})
    assert r.state is CLOSED
