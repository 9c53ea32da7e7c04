"""The connection breaker: the calls that existing programs make."""

from __future__ import annotations

import random

import pytest

import agent.resilience
from agent.errors import BreakerOpen
from agent.resilience import CircuitState, get_circuit_breaker, reset_all_circuit_breakers, reset_circuit_breaker
from agent.resilience.websocket_breaker import WebSocketBreakerSettings, WebSocketCircuitBreaker

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


@pytest.fixture
def make(clock):
    def make(**settings):
        return WebSocketCircuitBreaker(
            "metrics", WebSocketBreakerSettings(**settings), clock=clock, rng=random.Random(1)
        )

    return make


async def connects(*args, **kwargs):
    return (args, kwargs)


async def fails():
    raise OSError("down")


async def open_by_execute(breaker):
    for _ in range(breaker.settings.max_failures):
        with pytest.raises(OSError, match="down"):
            await breaker.execute(fails)
    assert breaker.state is OPEN


async def test_the_seeds_example_runs_as_written():
    async def my_function(url, *, retries):
        return (url, retries)

    args, kwargs = ("ws://x",), {"retries": 2}
    breaker = get_circuit_breaker(
        name="metrics_websocket", max_failures=3, reset_timeout=30, exponential_backoff_factor=1.5
    )
    result = await breaker.execute(my_function, *args, **kwargs)
    assert result == ("ws://x", 2)
    assert breaker is get_circuit_breaker("metrics_websocket")
    assert isinstance(breaker, agent.resilience.WebSocketCircuitBreaker)
    await open_by_execute(breaker)
    with pytest.raises(ConnectionError) as info:
        await breaker.execute(my_function, *args, **kwargs)
    assert isinstance(info.value, BreakerOpen)
    assert 29 < breaker.get_wait_time() <= 30
    assert reset_circuit_breaker("metrics_websocket") is True
    assert breaker.state is CLOSED


async def test_waits_grow_by_the_factor_to_the_cap(make, clock):
    breaker = make(max_failures=1, reset_timeout=30, exponential_backoff_factor=1.5, max_reset_timeout=60)
    waits = []
    for _ in range(4):
        await open_by_execute(breaker)
        waits.append(breaker.get_wait_time())
        clock.advance(breaker.get_wait_time())
        assert breaker.state is HALF_OPEN
    assert waits == [30, 45, 60, 60]
    assert await breaker.execute(connects, 1, a=2) == ((1,), {"a": 2})
    assert breaker.state is CLOSED
    assert breaker.get_wait_time() == 0


def test_the_cap_is_ten_times_the_first_wait_or_five_minutes():
    assert WebSocketBreakerSettings().engine().max_open_s == 300
    assert WebSocketBreakerSettings(reset_timeout=100).engine().max_open_s == 1000


async def test_failures_must_be_in_a_row(make):
    breaker = make(max_failures=2)
    with pytest.raises(OSError, match="down"):
        await breaker.execute(fails)
    await breaker.execute(connects)
    with pytest.raises(OSError, match="down"):
        await breaker.execute(fails)
    assert breaker.state is CLOSED


def test_asking_and_recording_by_hand(make, clock):
    breaker = make(max_failures=2, reset_timeout=30)
    for _ in range(2):
        assert breaker.can_attempt_connection()
        breaker.record_failure()
    assert breaker.state is OPEN
    assert not breaker.can_attempt_connection()
    breaker.record_success()
    breaker.record_failure()
    assert breaker.state is OPEN
    assert breaker.breaker.snapshot().totals.failures == 2
    clock.advance(30)
    assert breaker.can_attempt_connection()
    assert not breaker.can_attempt_connection()
    breaker.record_failure(OSError("refused"))
    assert breaker.state is OPEN
    assert breaker.get_wait_time() == 45
    assert breaker.breaker.snapshot().last_failure == "OSError: refused"
    clock.advance(45)
    assert breaker.can_attempt_connection()
    breaker.record_success()
    assert breaker.state is CLOSED
    breaker.record_failure()
    breaker.record_success()
    breaker.record_failure()
    assert breaker.state is CLOSED


def test_as_many_trials_at_once_as_asked_for(make, clock):
    breaker = make(max_failures=1, half_open_max_trials=2)
    breaker.record_failure()
    clock.advance(30)
    assert breaker.half_open_max_trials == 2
    assert [breaker.can_attempt_connection() for _ in range(3)] == [True, True, False]
    breaker.record_success()
    assert breaker.state is HALF_OPEN
    breaker.record_success()
    assert breaker.state is CLOSED


def test_a_trial_never_recorded_does_not_block_for_ever(make, clock):
    breaker = make(max_failures=1, trial_timeout=20.0)
    breaker.record_failure()
    clock.advance(30)
    assert breaker.can_attempt_connection()
    clock.advance(20)
    assert breaker.state is OPEN
    clock.advance(45)
    assert breaker.can_attempt_connection()
    breaker.record_success()
    assert breaker.state is CLOSED


def test_reset_forgets_running_trials(make, clock):
    breaker = make(max_failures=1)
    breaker.record_failure()
    clock.advance(30)
    assert breaker.can_attempt_connection()
    breaker.reset()
    assert breaker.state is CLOSED
    breaker.record_failure()
    assert breaker.state is OPEN
    assert breaker.name == "metrics"


def test_other_settings_for_a_name_in_use_are_refused_naming_them():
    get_circuit_breaker("conflict", max_failures=5)
    assert get_circuit_breaker("conflict", 5, 30.0) is get_circuit_breaker("conflict")
    with pytest.raises(
        ValueError, match=r"'conflict' .* max_failures is 5, asked for 3, reset_timeout is 30.0, asked for 60"
    ):
        get_circuit_breaker("conflict", max_failures=3, reset_timeout=60)


def test_settings_out_of_range_are_named_as_they_were_given():
    with pytest.raises(ValueError, match="must be") as info:
        get_circuit_breaker("bad", max_failures=0, reset_timeout=-1, half_open_max_trials=0, trial_timeout=0)
    assert str(info.value).splitlines() == [
        "max_failures must be a whole number >= 1 (got 0)",
        "reset_timeout must be seconds > 0 (got -1)",
        "half_open_max_trials must be a whole number >= 1 (got 0)",
        "trial_timeout must be seconds > 0 (got 0)",
    ]
    with pytest.raises(ValueError, match=r"max_reset_timeout must be >= reset_timeout, 30\.0"):
        get_circuit_breaker("bad", max_reset_timeout=10, exponential_backoff_factor=1.1)


def test_reset_by_name_and_of_all():
    one, two = get_circuit_breaker("reset one", max_failures=1), get_circuit_breaker("reset two", max_failures=1)
    one.record_failure()
    two.record_failure()
    assert reset_circuit_breaker("reset nobody") is False
    assert reset_circuit_breaker("reset one") is True
    assert (one.state, two.state) == (CLOSED, OPEN)
    reset_all_circuit_breakers()
    assert two.state is CLOSED


def test_the_settings_as_shipped():
    shipped = WebSocketBreakerSettings()
    assert (shipped.max_failures, shipped.reset_timeout, shipped.exponential_backoff_factor) == (3, 30.0, 1.5)
    assert (shipped.max_reset_timeout, shipped.half_open_max_trials) == (None, 1)
    assert (shipped.jitter_ratio, shipped.trial_timeout) == (0.0, 60.0)
    assert (shipped.engine().probe_lease_s, shipped.engine().max_half_open_s) == (60.0, 0.0)


def test_made_directly_it_has_a_clock_and_chance_of_its_own():
    breaker = WebSocketCircuitBreaker()
    breaker.record_failure()
    assert (breaker.state, breaker.name, breaker.half_open_max_trials) == (CLOSED, "websocket", 1)
