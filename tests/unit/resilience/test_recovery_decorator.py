import asyncio
import functools
import gc
import inspect
import random

import pytest

from agent.resilience import AutonomousErrorRecovery, RecoveryAction, RecoveryStrategy, with_error_recovery
from agent.resilience.breaker import Breaker, BreakerSettings, CircuitState
from agent.testing.clock import FakeClock
from agent.testing.time_travel import run_with_time_travel


@pytest.fixture
def clock():
    return FakeClock(0.0)


@pytest.fixture
def recovery(clock):
    return AutonomousErrorRecovery(clock=clock, rng=Full())


class Full:
    """Jitter that takes nothing away."""

    def random(self):
        return 0.0

    def uniform(self, _low, high):
        return high


def attempts_of(*durations_s, result="fine"):
    """A coroutine function whose attempts take so long and fail, but for the one after the last."""

    async def attempt():
        attempt.made += 1
        if attempt.made > len(durations_s):
            return result
        await asyncio.sleep(durations_s[attempt.made - 1])
        raise ConnectionError(f"failure {attempt.made}")

    attempt.made = 0
    return attempt


def test_scenario_26_names_signatures_and_kinds_stay(recovery):
    @with_error_recovery("a", recovery=recovery)
    async def fetch(url: str, *, retries: int = 3) -> bytes:
        """Fetch it."""
        return url.encode()

    @with_error_recovery("a", recovery=recovery)
    def read(path: str) -> str:
        return path

    assert inspect.iscoroutinefunction(fetch)
    assert not inspect.iscoroutinefunction(read)
    assert (fetch.__name__, fetch.__doc__) == ("fetch", "Fetch it.")
    assert str(inspect.signature(fetch)) == "(url: 'str', *, retries: 'int' = 3) -> 'bytes'".replace("'", "")


def test_methods_and_partials_and_called_objects_may_be_decorated(recovery):
    class Client:
        @with_error_recovery("a", recovery=recovery)
        async def get(self, key):
            return self, key

        async def __call__(self, key):
            return key

    client = Client()
    assert asyncio.run(client.get(1)) == (client, 1)
    assert asyncio.run(with_error_recovery("a", recovery=recovery)(client)(2)) == 2
    assert asyncio.run(with_error_recovery("a", recovery=recovery)(functools.partial(client.get, 3))()) == (client, 3)


async def test_the_operation_is_the_functions_name_unless_given(recovery):
    async def connect():
        raise ValueError

    for wrapped in (
        with_error_recovery("a", recovery=recovery)(connect),
        with_error_recovery("a", "dial", recovery=recovery)(connect),
        with_error_recovery("a", recovery=recovery)(functools.partial(connect)),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - its text is of no matter
            await wrapped()
    operations = [record.operation for record in recovery.engine.stats().errors]
    assert operations == ["connect", "dial", "partial"]


def test_generators_and_things_that_are_no_function_are_refused(recovery):
    def generator():
        yield

    for wrong in (generator, 3):
        with pytest.raises(TypeError, match="with_error_recovery"):
            with_error_recovery("a", recovery=recovery)(wrong)


def test_a_plain_function_cannot_have_a_deadline(recovery):
    with pytest.raises(TypeError, match="deadline_s is for coroutine functions: a plain one cannot be cut off"):
        with_error_recovery("a", deadline_s=1.0, recovery=recovery)(len)


def test_a_deadline_in_the_past_is_refused_when_decorating(recovery):
    with pytest.raises(ValueError, match="must be >= 0 seconds"):
        with_error_recovery("a", deadline_s=-1.0, recovery=recovery)(attempts_of())


def test_scenario_34_within_a_second_two_attempts_and_the_second_is_cut_off(clock, recovery):
    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.RETRY, 9, 0.4))
    function = attempts_of(0.4, 0.4, 0.4)
    with pytest.raises(TimeoutError) as failure:
        run_with_time_travel(with_error_recovery("a", deadline_s=1.0, recovery=recovery)(function)(), clock)
    assert function.made == 2
    assert clock.monotonic_s() == pytest.approx(1.0, abs=0.02)
    assert "1: ConnectionError: failure 1" in failure.value.__notes__[0]


def test_scenario_34_an_attempt_that_ends_in_time_is_the_result(clock, recovery):
    function = with_error_recovery("a", deadline_s=1.0, recovery=recovery)(attempts_of(0.4))
    assert run_with_time_travel(function(), clock) == "fine"
    assert clock.monotonic_s() == pytest.approx(0.5)


def test_scenario_34_a_call_that_hangs_is_cut_off_and_not_called_again(clock, recovery):
    function = attempts_of(3600)
    with pytest.raises(TimeoutError, match="not done within 1 s"):
        run_with_time_travel(with_error_recovery("a", deadline_s=1.0, recovery=recovery)(function)(), clock)
    assert (function.made, clock.monotonic_s()) == (1, 1.0)
    assert recovery.engine.stats().by_type == {"TimeoutError": 1}


def test_scenario_40_a_fallback_may_take_its_time_after_the_deadline(clock, recovery):
    async def fallback():
        await asyncio.sleep(5)
        return "cached"

    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.RETRY, fallback_function=fallback))
    function = with_error_recovery("a", deadline_s=1.0, recovery=recovery)(attempts_of(3600))
    assert run_with_time_travel(function(), clock) == "cached"
    assert clock.monotonic_s() == 6.0


def test_scenario_37_what_is_cut_off_is_a_failure_for_the_breaker_inside(clock, recovery):
    settings = BreakerSettings(failure_ratio=None, consecutive_failures=2, slow_call_s=None)
    breaker = Breaker("hub", settings, clock=clock, rng=random.Random(1))
    function = attempts_of(3600, 3600)
    guarded = with_error_recovery("hub", deadline_s=1.0, breaker=breaker, recovery=recovery)(function)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            run_with_time_travel(guarded(), clock)
    assert breaker.state is CircuitState.OPEN


def test_scenario_37_each_attempt_goes_through_the_breaker_and_an_open_one_ends_the_retries(clock, recovery):
    settings = BreakerSettings(failure_ratio=None, consecutive_failures=2, slow_call_s=None)
    breaker = Breaker("hub", settings, clock=clock, rng=random.Random(1))
    recovery.register_strategy(
        "hub", "*", RecoveryAction(RecoveryStrategy.RETRY, 9, 0.1, fallback_function=lambda: "cached")
    )
    function = attempts_of(*[0.0] * 99)
    guarded = with_error_recovery("hub", breaker=breaker, recovery=recovery)(function)
    assert run_with_time_travel(guarded(), clock) == "cached"
    assert function.made == 2
    assert run_with_time_travel(guarded(), clock) == "cached"
    assert function.made == 2


def test_scenario_37_an_open_breaker_and_a_deadline_fall_back_at_once(clock, recovery):
    breaker = Breaker("hub", BreakerSettings(open_s=8.0, jitter_ratio=0.0), clock=clock, rng=random.Random(1))
    breaker.trip()
    recovery.register_strategy("hub", "*", RecoveryAction(RecoveryStrategy.RETRY, fallback_function=lambda: "cached"))
    for wrap in (with_error_recovery("hub", breaker=breaker, deadline_s=2.0, recovery=recovery),):
        assert run_with_time_travel(wrap(attempts_of())(), clock) == "cached"
    plain = with_error_recovery("hub", breaker=breaker, recovery=recovery)(lambda: "never")
    assert plain() == "cached"
    assert clock.monotonic_s() == 0.0


def test_escalated_the_breaker_given_is_opened(clock, recovery):
    breaker = Breaker("hub", BreakerSettings(), clock=clock, rng=random.Random(1))

    async def call():
        raise ValueError("mine")

    guarded = with_error_recovery("hub", breaker=breaker, recovery=recovery)(call)
    for _ in range(5):
        with pytest.raises(ValueError, match="mine"):
            run_with_time_travel(guarded(), clock)
    assert breaker.state is CircuitState.OPEN


def test_scenario_43_successes_under_a_deadline_deescalate_too(clock, recovery):
    function = with_error_recovery("a", deadline_s=100.0, recovery=recovery)(attempts_of(0.0))
    run_with_time_travel(function(), clock)
    run_with_time_travel(function(), clock)
    clock.advance(60)
    run_with_time_travel(function(), clock)
    assert "a" not in recovery.engine.troubled


def test_scenario_39_twenty_tasks_through_one_decorated_function_have_attempts_of_their_own(clock, recovery):
    made = {}

    @with_error_recovery("a", recovery=recovery)
    async def work(number):
        made[number] = made.get(number, 0) + 1
        await asyncio.sleep(0.001 * number)
        if made[number] < 2:
            raise OSError("again")
        return number

    async def all_at_once():
        return await asyncio.gather(*(work(number) for number in range(20)))

    assert run_with_time_travel(all_at_once(), clock) == list(range(20))
    assert set(made.values()) == {2}


def test_scenario_7_a_failed_call_leaves_nothing_in_memory_that_only_the_collector_could_free(recovery):
    class Payload:
        alive = 0

        def __init__(self):
            Payload.alive += 1

        def __del__(self):
            Payload.alive -= 1

    @with_error_recovery("a", recovery=recovery)
    async def call(_payload):
        raise ValueError("mine")

    async def main():
        for _ in range(100):
            with pytest.raises(ValueError, match="mine"):
                await call(Payload())

    asyncio.run(main())
    gc.collect()
    assert Payload.alive == 0


def test_a_success_without_trouble_costs_nothing_but_the_call(clock, recovery):
    breaker = Breaker("hub", BreakerSettings(), clock=clock, rng=random.Random(1))
    for wrap in (
        with_error_recovery("a", recovery=recovery),
        with_error_recovery("a", deadline_s=1.0, recovery=recovery),
        with_error_recovery("a", deadline_s=1.0, breaker=breaker, recovery=recovery),
        with_error_recovery("a", breaker=breaker, recovery=recovery),
    ):
        assert run_with_time_travel(wrap(attempts_of())(), clock) == "fine"
    assert with_error_recovery("a", breaker=breaker, recovery=recovery)(len)("abc") == 3
    assert breaker.snapshot().totals.successes == 3
    assert recovery.engine.stats().handled == 0
