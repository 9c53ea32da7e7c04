import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.resilience.budget import RatioBudget, TokenBudget
from agent.resilience.rate_limit import RateLimiter
from agent.resilience.retry import RetrySettings
from agent.resilience.retry_runner import Retry
from agent.testing.clock import FakeClock


def test_scenario_36_a_bucket_of_ten_lets_a_thousand_failing_calls_retry_ten_times():
    made = 0

    def fail():
        nonlocal made
        made += 1
        raise OSError("down")

    retry = Retry(
        RetrySettings(max_attempts=3),
        clock=FakeClock(),
        rng=random.Random(1),
        budget=TokenBudget(10, cost=1, refund=0.1),
        block=lambda _seconds: None,
    )
    for _ in range(1000):
        with pytest.raises(OSError, match="down"):
            retry.call(fail)
    assert made == 1010


def test_scenario_36_an_empty_bucket_returns_the_original_error_at_once():
    budget, waits, error = TokenBudget(1, cost=1), [], OSError("down")
    assert budget.take(0.0)

    def fail():
        raise error

    retry = Retry(RetrySettings(), clock=FakeClock(), rng=random.Random(1), budget=budget, block=waits.append)
    with pytest.raises(OSError, match="down") as failure:
        retry.call(fail)
    assert (failure.value, waits) == (error, [])


def test_scenario_36_in_ratio_mode_a_thousand_failing_calls_retry_a_fifth_as_often_and_three_times():
    made = 0

    def fail():
        nonlocal made
        made += 1
        raise OSError("down")

    budget = RatioBudget(0.2, min_retries=3)
    retry = Retry(clock=FakeClock(), rng=random.Random(1), budget=budget, block=lambda _seconds: None)
    for _ in range(1000):
        with pytest.raises(OSError, match="down"):
            retry.call(fail)
    assert made == 1000 + 200 + 3


def test_scenario_36_successes_fill_the_bucket_again_up_to_its_rim():
    budget = TokenBudget(2, cost=1, refund=0.5)
    assert [budget.take(0.0), budget.take(0.0), budget.take(0.0)] == [True, True, False]
    budget.succeeded()
    assert budget.take(0.0) is False
    budget.succeeded()
    assert budget.take(0.0) is True
    for _ in range(10):
        budget.succeeded()
    assert budget.tokens == 2


def test_scenario_36_a_retry_that_was_asked_for_costs_less():
    budget = TokenBudget()
    budget.take(0.0)
    assert budget.tokens == 500 - 14
    budget.take(0.0, is_hinted=True)
    assert budget.tokens == 500 - 14 - 5


def test_scenario_36_the_ratio_allows_a_fifth_of_the_calls_and_three():
    budget = RatioBudget(0.2, min_retries=3)
    for _ in range(100):
        budget.called(0.0)
    assert [budget.take(0.0) for _ in range(24)] == [True] * 23 + [False]


def test_scenario_36_without_calls_three_retries_a_window_are_free():
    budget = RatioBudget(window_s=10.0)
    assert [budget.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert budget.take(10.0) is False
    assert budget.take(10.6) is True


def test_scenario_36_a_retry_given_back_may_be_taken_again():
    budget = RatioBudget(0.0, min_retries=1, window_s=10.0)
    budget.give_back()
    assert budget.take(0.0)
    assert budget.take(3.0) is False
    budget.give_back()
    assert budget.take(3.0)
    budget.succeeded()
    assert budget.take(3.0) is False


def test_scenario_36_a_clock_that_steps_back_forgets_nothing_and_grants_nothing():
    budget = RatioBudget(0.0, min_retries=1, window_s=10.0)
    assert budget.take(100.0)
    assert budget.take(50.0) is False


@given(st.lists(st.tuples(st.sampled_from(["call", "retry"]), st.floats(0, 3)), max_size=200), st.floats(0, 1),
       st.integers(0, 4))  # fmt: skip
def test_scenario_36_at_each_retry_the_last_window_holds_no_more_than_its_share(steps, ratio, min_retries):
    budget = RatioBudget(ratio, min_retries=min_retries, window_s=10.0)
    now_s, calls, retries = 0.0, [], []
    for kind, passed_s in steps:
        now_s += passed_s
        if kind == "call":
            budget.called(now_s)
            calls.append(now_s)
        elif budget.take(now_s):
            retries.append(now_s)
            in_window = [sum(1 for at_s in some if at_s >= now_s - 10.0) for some in (calls, retries)]
            assert in_window[1] <= ratio * in_window[0] + min_retries + 1e-9


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TokenBudget(0), "capacity must be > 0 (got 0)"),
        (lambda: TokenBudget(cost=0), "cost must be > 0 (got 0)"),
        (lambda: TokenBudget(hinted_cost=-1), "hinted_cost must be > 0 (got -1)"),
        (lambda: TokenBudget(refund=-1), "refund must be >= 0 (got -1)"),
        (lambda: RatioBudget(-0.1), "ratio must be >= 0 (got -0.1)"),
        (lambda: RatioBudget(min_retries=-1), "min_retries must be >= 0 (got -1)"),
        (lambda: RatioBudget(window_s=0), "window_s must be > 0 (got 0)"),
    ],
)
def test_figures_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match="must be") as refusal:
        make()
    assert str(refusal.value) == message


def test_the_rate_limiter_lets_one_a_minute_through_and_counts_the_rest():
    limiter = RateLimiter(60.0)
    assert [limiter.held_back("a", at_s) for at_s in (0.0, 1.0, 59.9, 60.0, 61.0)] == [0, None, None, 2, None]
    assert limiter.held_back("b", 61.0) == 0


def test_the_rate_limiter_remembers_only_so_many():
    limiter = RateLimiter(60.0, max_keys=2)
    for key in "abc":
        limiter.held_back(key, 0.0)
    assert limiter.would_hold_back("a", 1.0) is False
    assert limiter.would_hold_back("c", 1.0) is True


def test_an_interval_of_nothing_lets_all_through():
    limiter = RateLimiter(0.0)
    assert [limiter.held_back("a", 0.0) for _ in range(3)] == [0, 0, 0]
