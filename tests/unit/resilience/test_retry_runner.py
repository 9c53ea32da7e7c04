import asyncio
import functools
import inspect
import random
from concurrent.futures import CancelledError as FutureCancelled

import pytest

from agent.resilience.breaker import Breaker, BreakerSettings, CircuitState
from agent.resilience.budget import TokenBudget
from agent.resilience.deadline import deadline
from agent.resilience.retry import RetriesExhausted, RetrySettings
from agent.resilience.retry_runner import Retry, block
from agent.testing.clock import FakeClock
from agent.testing.time_travel import run_with_time_travel

EXACT = RetrySettings(jitter_ratio=0.0)


class Flaky:
    """Fails a number of times, each time with another error, then answers. Takes its time over each attempt."""

    def __init__(self, failures, *, takes_s=0.0, error=OSError):
        self.errors = [error(f"failure {number + 1}") for number in range(failures)]
        self.made = 0
        self.takes_s = takes_s

    async def __call__(self, answer="fine"):
        self.made += 1
        await asyncio.sleep(self.takes_s)
        return self.answer(answer)

    def plain(self, answer="fine"):
        self.made += 1
        return self.answer(answer)

    def answer(self, answer):
        if self.made <= len(self.errors):
            raise self.errors[self.made - 1]
        return answer


def retry_with(clock, settings=EXACT, **means):
    return Retry(settings, clock=clock, rng=random.Random(1), **means)


def travel(coroutine, clock):
    return run_with_time_travel(coroutine, clock)


def test_scenario_31_what_fails_twice_is_called_three_times_with_waits_of_a_tenth_and_two_tenths():
    clock, flaky = FakeClock(0.0), Flaky(2)
    assert travel(retry_with(clock).run(flaky, answer="yes"), clock) == "yes"
    assert flaky.made == 3
    assert clock.monotonic_s() == pytest.approx(0.3)


def test_scenario_31_what_keeps_failing_raises_its_last_error_itself_with_the_history():
    clock, flaky = FakeClock(0.0), Flaky(9)
    with pytest.raises(OSError, match="failure 3") as failure:
        travel(retry_with(clock).run(flaky), clock)
    assert failure.value is flaky.errors[2]
    assert failure.value.__cause__ is None
    assert "2: OSError: failure 2" in failure.value.__notes__[0]
    assert flaky.made == 3


def test_scenario_31_plain_functions_are_retried_as_well():
    waits, flaky = [], Flaky(2)
    retry = retry_with(FakeClock(), block=waits.append)
    assert retry.call(flaky.plain, answer=1) == 1
    assert waits == [0.1, 0.2]
    again = Flaky(9)
    with pytest.raises(OSError, match="failure 3") as failure:
        retry.call(again.plain)
    assert failure.value is again.errors[2]


def test_scenario_31_a_wrapper_comes_out_when_asked_for():
    clock, settings = FakeClock(), RetrySettings(jitter_ratio=0.0, wraps_last_error=True)
    with pytest.raises(RetriesExhausted) as failure:
        travel(retry_with(clock, settings).run(Flaky(9)), clock)
    assert str(failure.value.__cause__) == "failure 3"
    with pytest.raises(RetriesExhausted) as failure:
        retry_with(clock, settings, block=lambda _s: None).call(Flaky(9).plain)
    assert str(failure.value.__cause__) == "failure 3"


def test_scenario_34_two_attempts_in_a_second_and_the_second_is_cut_off():
    clock, flaky = FakeClock(0.0), Flaky(9, takes_s=0.4)
    settings = RetrySettings(jitter_ratio=0.0, first_wait_s=0.4, max_attempts=9, deadline_s=1.0)
    with pytest.raises(TimeoutError, match="not done within 1 s") as failure:
        travel(retry_with(clock, settings).run(flaky), clock)
    assert flaky.made == 2
    assert clock.monotonic_s() == pytest.approx(1.0, abs=0.02)
    assert failure.value.__cause__ is flaky.errors[0]


def test_scenario_34_a_first_attempt_that_hangs_is_cut_off():
    clock, flaky = FakeClock(0.0), Flaky(0, takes_s=3600)
    with pytest.raises(TimeoutError):
        travel(retry_with(clock, RetrySettings(deadline_s=1.0)).run(flaky), clock)
    assert clock.monotonic_s() == pytest.approx(1.0, abs=0.02)


def test_scenario_34_it_does_not_wait_when_the_wait_would_end_too_late():
    clock, flaky = FakeClock(0.0), Flaky(9, takes_s=0.4)
    settings = RetrySettings(jitter_ratio=0.0, first_wait_s=0.7, max_wait_s=0.7, deadline_s=1.0)
    with pytest.raises(OSError, match="failure 1"):
        travel(retry_with(clock, settings).run(flaky), clock)
    assert clock.monotonic_s() == pytest.approx(0.4)


def test_scenario_34_the_callers_deadline_counts_for_the_waits_as_well():
    clock, flaky = FakeClock(0.0), Flaky(9, takes_s=0.4)

    async def call():
        with deadline(0.45):
            await retry_with(clock).run(flaky)

    with pytest.raises(OSError, match="failure 1"):
        travel(call(), clock)
    assert clock.monotonic_s() == pytest.approx(0.4)


def test_a_time_out_of_the_function_itself_is_an_error_like_others():
    clock, flaky = FakeClock(0.0), Flaky(2, error=TimeoutError)
    assert travel(retry_with(clock, RetrySettings(jitter_ratio=0.0, deadline_s=60.0)).run(flaky), clock) == "fine"
    with pytest.raises(TimeoutError, match="failure 3"):
        travel(
            retry_with(clock, RetrySettings(jitter_ratio=0.0, deadline_s=60.0)).run(Flaky(9, error=TimeoutError)), clock
        )


@pytest.mark.parametrize("cancel_at_s", [0.2, 0.45])
@pytest.mark.parametrize("retry_on", [Exception, lambda error: not isinstance(error, KeyError)])
def test_scenario_35_a_cancellation_in_an_attempt_or_a_wait_ends_it_at_once_under_every_predicate(
    cancel_at_s, retry_on
):
    clock, flaky, budget = FakeClock(0.0), Flaky(9, takes_s=0.4), TokenBudget(10, cost=1)
    retry = retry_with(clock, RetrySettings(jitter_ratio=0.0, retry_on=retry_on), budget=budget)

    async def call_and_cancel():
        task = asyncio.create_task(retry.run(flaky))
        await asyncio.sleep(cancel_at_s)
        task.cancel()
        await asyncio.sleep(0)
        assert task.done()
        await asyncio.sleep(60)
        assert task.cancelled()

    travel(call_and_cancel(), clock)
    assert flaky.made == 1
    assert budget.tokens == 10


def test_scenario_35_a_retry_cancelled_in_its_attempt_costs_the_budget_nothing():
    clock, flaky, budget = FakeClock(0.0), Flaky(9, takes_s=0.4), TokenBudget(10, cost=1)

    async def call_and_cancel():
        task = asyncio.create_task(retry_with(clock, budget=budget).run(flaky))
        await asyncio.sleep(0.6)
        assert (flaky.made, budget.tokens) == (2, 9)
        task.cancel()
        await asyncio.wait([task])

    travel(call_and_cancel(), clock)
    assert (flaky.made, budget.tokens) == (2, 10)


def test_scenario_35_a_cancelled_future_of_a_thread_pool_is_a_cancellation_too():
    flaky = Flaky(9, error=FutureCancelled)
    with pytest.raises(FutureCancelled):
        retry_with(FakeClock(), RetrySettings(retry_on=Exception), block=lambda _s: None).call(flaky.plain)
    assert flaky.made == 1


def test_scenario_36_a_cut_off_attempt_has_spent_its_token():
    clock, budget = FakeClock(0.0), TokenBudget(10, cost=1)
    settings = RetrySettings(jitter_ratio=0.0, deadline_s=1.0)
    with pytest.raises(TimeoutError):
        travel(retry_with(clock, settings, budget=budget).run(Flaky(9, takes_s=0.6)), clock)
    assert budget.tokens == 9


def test_scenario_37_each_attempt_is_counted_by_the_breaker_inside():
    clock = FakeClock()
    breaker = Breaker("hub", BreakerSettings(consecutive_failures=2), clock=clock, rng=random.Random(1))
    flaky = Flaky(9)
    with pytest.raises(Exception, match="'hub' is OPEN"):
        travel(retry_with(clock, RetrySettings(max_attempts=5)).run(breaker.execute, flaky), clock)
    assert flaky.made == 2
    assert breaker.state is CircuitState.OPEN


def test_scenario_39_a_hundred_tasks_have_attempts_of_their_own():
    clock, made = FakeClock(), {}

    @retry_with(clock)
    async def work(number):
        made[number] = made.get(number, 0) + 1
        await asyncio.sleep(0.001 * number)
        if made[number] < 3:
            raise OSError(number)
        return number

    async def all_at_once():
        return await asyncio.gather(*map(work, range(100)))

    assert travel(all_at_once(), clock) == list(range(100))
    assert set(made.values()) == {3}


def test_decorated_functions_keep_name_signature_and_kind():
    retry = retry_with(FakeClock())

    @retry
    async def fetch(url: str) -> str:
        """Fetch it."""
        return url

    @retry
    def read(path: str) -> str:
        return path

    assert inspect.iscoroutinefunction(fetch)
    assert not inspect.iscoroutinefunction(read)
    assert (fetch.__name__, fetch.__doc__) == ("fetch", "Fetch it.")
    assert str(inspect.signature(fetch)) == "(url: str) -> str"
    assert read("a") == "a"


def test_partials_and_objects_that_are_called_like_coroutine_functions_are_known_as_such():
    clock = FakeClock()
    flaky = Flaky(1)
    assert travel(retry_with(clock)(flaky)("yes"), clock) == "yes"
    assert travel(retry_with(clock)(functools.partial(Flaky(1), answer=2))(), clock) == 2
    assert retry_with(clock, block=lambda _s: None)(functools.partial(Flaky(1).plain, 3))() == 3
    assert retry_with(clock)(int)("4") == 4


def generator():
    yield 1


async def async_generator():
    yield 1


@pytest.mark.parametrize("function", [generator, async_generator, functools.partial(generator)])
def test_generators_are_refused(function):
    with pytest.raises(TypeError, match="Retry cannot call a generator again"):
        retry_with(FakeClock())(function)


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match=r"Retry goes round a function \(got 3\)"):
        retry_with(FakeClock())(3)


def test_settings_have_defaults_and_blocking_for_nothing_returns():
    assert Retry(clock=FakeClock(), rng=random.Random(1)).settings == RetrySettings()
    assert block(0.0) is None
