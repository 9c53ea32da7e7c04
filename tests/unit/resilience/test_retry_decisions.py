import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import BreakerOpen, RetryableDelivery
from agent.resilience.budget import TokenBudget
from agent.resilience.retry import Attempts, RetriesExhausted, RetrySettings, RetryWaits, hint_s, is_transient

RNG = random.Random(1)
EXACT = RetrySettings(jitter_ratio=0.0)


class Hint(Exception):
    def __init__(self, **hints):
        super().__init__("come again later")
        vars(self).update(hints)


def waits(settings, *errors, now_s=0.0, until_s=math.inf, budget=None):
    attempts = Attempts(settings, random.Random(1), now_s, budget=budget, until_s=until_s)
    return [attempts.failed(error, now_s) for error in errors], attempts.stopped_by


def test_scenario_31_three_attempts_wait_a_tenth_and_two_tenths_of_a_second():
    assert waits(EXACT, OSError(), OSError(), OSError()) == ([0.1, 0.2, None], "attempts")


@given(st.integers(1, 40), st.integers(0, 2**32))
def test_scenario_32_full_jitter_stays_between_nothing_and_the_capped_wait(failures, seed):
    settings = RetrySettings(max_wait_s=2.0)
    assert 0 <= settings.wait_s(failures, random.Random(seed)) <= min(2.0, 0.1 * 2 ** (failures - 1))


@pytest.mark.parametrize("failures", [5000, 10**9])
def test_scenario_32_the_five_thousandth_wait_is_the_cap_and_no_overflow(failures):
    assert RetrySettings(max_wait_s=2.0, jitter_ratio=0.0).wait_s(failures, RNG) == 2.0
    assert RetrySettings(first_wait_s=0.0).wait_s(failures, RNG) == 0.0


def test_scenario_32_a_seeded_run_can_be_repeated():
    def run(seed):
        rng = random.Random(seed)
        return [RetrySettings().wait_s(n, rng) for n in range(1, 20)]

    assert run(7) == run(7) != run(8)


def test_scenario_33_one_success_takes_the_waits_back_to_the_base():
    loop = RetryWaits(EXACT, RNG)
    assert [loop.failed(0.0), loop.failed(1.0), loop.failed(2.0)] == [0.1, 0.2, 0.4]
    loop.succeeded()
    assert loop.failed(3.0) == 0.1


def test_scenario_33_a_failure_a_day_always_waits_the_base():
    loop = RetryWaits(EXACT, RNG, healthy_s=60.0)
    assert [loop.failed(day * 86_400.0) for day in range(50)] == [0.1] * 50


def test_scenario_33_the_time_spent_waiting_is_not_time_spent_well():
    loop = RetryWaits(RetrySettings(jitter_ratio=0.0, first_wait_s=100.0, max_wait_s=1000.0), RNG, healthy_s=60.0)
    assert loop.failed(0.0) == 100.0
    assert loop.failed(100.5) == 200.0


def test_scenario_33_a_loop_obeys_hints_too():
    loop = RetryWaits(RetrySettings(jitter_ratio=0.0), RNG)
    assert loop.failed(0.0, RetryableDelivery("busy", retry_after_s=9.0)) == 9.0
    assert loop.failed(0.0, OSError()) == 0.2


def test_scenario_34_no_wait_begins_that_would_end_after_the_deadline():
    settings = RetrySettings(jitter_ratio=0.0, first_wait_s=0.4, deadline_s=1.0)
    attempts = Attempts(settings, RNG, 100.0)
    assert attempts.failed(OSError(), 100.6) == 0.4
    assert Attempts(settings, RNG, 100.0).failed(OSError(), 100.7) is None


def test_scenario_34_the_nearer_of_two_deadlines_counts():
    assert waits(RetrySettings(deadline_s=9.0, jitter_ratio=0.0), OSError(), until_s=0.05) == ([None], "deadline")


@pytest.mark.parametrize("error", [ValueError(), TypeError(), UnicodeError(), BreakerOpen("hub", 8.0),
                                   RetriesExhausted(3, "budget", "x")])  # fmt: skip
def test_scenario_37_own_bugs_open_breakers_and_empty_budgets_are_not_retried(error):
    assert not is_transient(error)
    assert waits(EXACT, error) == ([None], "not_retryable")


def test_scenario_37_an_open_breaker_for_eight_seconds_and_a_deadline_of_two_stop_at_once():
    settings = RetrySettings(retry_on=Exception, deadline_s=2.0)
    assert waits(settings, BreakerOpen("hub", 8.0)) == ([None], "deadline")


@pytest.mark.parametrize(
    ("retry_on", "error", "is_retried"),
    [
        (KeyError, KeyError(), True),
        ((KeyError, ValueError), ValueError(), True),
        (KeyError, OSError(), False),
        (lambda error: "again" in str(error), OSError("again"), True),
        (lambda error: "again" in str(error), OSError("never"), False),
    ],
)
def test_scenario_37_a_predicate_of_ones_own_replaces_the_default(retry_on, error, is_retried):
    assert RetrySettings(retry_on=retry_on).retries(error) is is_retried


def test_a_predicate_that_raises_ends_the_retries():
    assert waits(RetrySettings(retry_on=lambda error: error.missing), OSError()) == ([None], "predicate_failed")


@given(st.floats(0, 1), st.integers(0, 2**32))
def test_scenario_38_a_hint_of_seven_seconds_makes_the_wait_seven_to_seven_times_one_plus_jitter(jitter_ratio, seed):
    settings = RetrySettings(jitter_ratio=jitter_ratio)
    wait_s = Attempts(settings, random.Random(seed), 0.0).failed(Hint(retry_after=7), 0.0)
    assert 7 <= wait_s <= 7 * (1 + jitter_ratio)


def test_scenario_38_a_hint_is_bounded_by_sixty_seconds_and_by_the_deadline():
    assert waits(RetrySettings(), Hint(retry_after_s=3600)) == ([60.0], "")
    assert waits(RetrySettings(deadline_s=5.0), Hint(retry_after_s=7)) == ([None], "deadline")


def test_scenario_38_a_hint_may_be_disregarded():
    settings = RetrySettings(jitter_ratio=0.0, max_hint_s=0.0)
    assert waits(settings, Hint(retry_after=7)) == ([0.1], "")
    assert RetryWaits(settings, RNG).failed(0.0, Hint(retry_after=7)) == 0.1


@pytest.mark.parametrize("hint", ["7", None, -1, math.nan, math.inf, True, [7]])
def test_scenario_38_what_is_no_number_of_seconds_is_no_hint(hint):
    assert hint_s(Hint(retry_after=hint)) is None


def test_scenario_38_our_own_word_comes_before_that_of_http_clients():
    assert hint_s(Hint(retry_after=9, retry_after_s=3)) == 3.0
    assert hint_s(OSError()) is None


def test_scenario_36_an_empty_bucket_ends_the_retries_at_once():
    budget = TokenBudget(1, cost=1, hinted_cost=None)
    settings = RetrySettings(max_attempts=9, jitter_ratio=0.0)
    assert waits(settings, OSError(), OSError(), budget=budget) == ([0.1, None], "budget")


def tokens_after(error, budget):
    """What is left when a retry was granted and the block then left by this error."""

    def leave():
        with Attempts(EXACT, RNG, 0.0, budget=budget) as attempts:
            attempts.failed(OSError(), 0.0)
            assert budget.tokens == 9
            raise error

    with pytest.raises(type(error)):
        leave()
    return budget.tokens


def test_scenario_35_a_granted_retry_that_is_cancelled_goes_back_to_the_budget():
    budget = TokenBudget(10, cost=1)
    assert tokens_after(KeyboardInterrupt(), budget) == 10


def test_a_retry_that_was_made_stays_paid():
    budget = TokenBudget(10, cost=1)
    assert tokens_after(OSError("again"), budget) == 9


def test_giving_back_twice_gives_back_once():
    budget = TokenBudget(10, cost=1, hinted_cost=2)
    attempts = Attempts(EXACT, RNG, 0.0, budget=budget)
    attempts.failed(Hint(retry_after=1), 0.0)
    assert budget.tokens == 8
    attempts.give_back()
    attempts.give_back()
    assert budget.tokens == 10


def test_scenario_31_the_last_error_carries_one_note_of_all_attempts_however_often_it_is_raised():
    error = OSError("down")
    error.add_note("of my own")
    for _ in range(3):
        attempts = Attempts(EXACT, RNG, 0.0)
        for _ in range(3):
            attempts.failed(error, 0.0)
        assert attempts.final(error) is error
    assert error.__notes__ == [
        "of my own",
        "retried: 3 attempts, ended by attempts\n1: OSError: down\n2: OSError: down\n3: OSError: down",
    ]


def test_a_single_attempt_leaves_no_note():
    attempts = Attempts(EXACT, RNG, 0.0)
    error = ValueError("mine")
    attempts.failed(error, 0.0)
    assert not hasattr(attempts.final(error), "__notes__")


def test_only_the_last_ten_attempts_are_noted():
    attempts = Attempts(RetrySettings(max_attempts=100), RNG, 0.0)
    for number in range(30):
        attempts.failed(OSError(f"failure {number + 1}"), 0.0)
    lines = attempts.final(OSError("the end")).__notes__[0].splitlines()
    assert lines[1:] == [f"{number}: OSError: failure {number}" for number in range(21, 31)]


def test_scenario_31_a_wrapper_comes_out_when_asked_for():
    attempts = Attempts(RetrySettings(max_attempts=1, wraps_last_error=True), RNG, 0.0)
    error = OSError("down")
    attempts.failed(error, 0.0)
    wrapper = attempts.final(error)
    assert isinstance(wrapper, RetriesExhausted)
    assert wrapper.__cause__ is error
    assert (wrapper.attempts, wrapper.reason) == (1, "attempts")
    assert str(wrapper) == "gave up after 1 attempts (attempts); last error: OSError: down"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"max_attempts": 0}, "RetrySettings.max_attempts must be >= 1 and finite (got 0)"),
        ({"first_wait_s": -1}, "RetrySettings.first_wait_s must be >= 0 and finite (got -1)"),
        ({"backoff_factor": 0.5}, "RetrySettings.backoff_factor must be >= 1 and finite (got 0.5)"),
        ({"max_wait_s": math.inf}, "RetrySettings.max_wait_s must be >= 0 and finite (got inf)"),
        ({"max_wait_s": math.nan}, "RetrySettings.max_wait_s must be >= 0 and finite (got nan)"),
        ({"jitter_ratio": 1.5}, "RetrySettings.jitter_ratio must be in [0, 1] and finite (got 1.5)"),
        ({"max_hint_s": -1}, "RetrySettings.max_hint_s must be >= 0 and finite (got -1)"),
        ({"deadline_s": 0}, "RetrySettings.deadline_s must be > 0 or None (got 0)"),
    ],
)
def test_settings_out_of_range_are_refused(bad, message):
    with pytest.raises(ValueError, match="must be") as refusal:
        RetrySettings(**bad)
    assert str(refusal.value) == message
