import asyncio
import random

import pytest

from agent.contracts import RecoveryOutcome, RecoveryRequest, RecoveryStep
from agent.errors import BreakerOpen
from agent.model import Level
from agent.resilience.recovery import Policy, RecoveryEngine
from agent.testing.clock import FakeClock

RESOLVED, NEXT, GIVE_UP = RecoveryStep.RESOLVED, RecoveryStep.NEXT, RecoveryStep.GIVE_UP


class Scripted:
    """A strategy that notes that it ran and does what it is told."""

    def __init__(self, name, log, outcome=None):
        self.name = name
        self.log = log
        self.outcome = outcome or RecoveryOutcome(NEXT)
        self.requests = []

    async def recover(self, request):
        self.log.append(self.name)
        self.requests.append(request)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


class Bench:
    """An engine with scripted strategies, its clock and what it reported."""

    def __init__(self, *policies, **outcomes):
        self.clock = FakeClock()
        self.ran = []
        self.events = []
        names = ("retry", "reset", "circuit_break", "notify", "fallback", "log_only", *outcomes)
        self.methods = {name: Scripted(name, self.ran, outcomes.get(name)) for name in names}
        self.engine = RecoveryEngine(
            policies, self.methods, clock=self.clock, rng=random.Random(1), on_event=self.on_event
        )

    def on_event(self, kind, component, level=Level.INFO, /, **detail):
        self.events.append((kind, component, level, detail))

    async def fail(self, error=None, component="collector:cpu", after_s=1.0, **means):
        self.clock.advance(after_s)
        return await self.engine.handle(RecoveryRequest(component, "collect", error or OSError("no"), **means))


async def no_reset():
    pass


MEANS = {"reset": no_reset, "trip": lambda: None}


async def test_strategies_run_in_order_until_one_resolves():
    bench = Bench(
        Policy(strategies=("retry", "fallback", "log_only")), fallback=RecoveryOutcome(RESOLVED, value="cached")
    )
    outcome = await bench.fail()
    assert (outcome.step, outcome.value) == (RESOLVED, "cached")
    assert bench.ran == ["retry", "fallback"]
    assert bench.engine.stats().resolved == 1


async def test_scenario_41_a_strategy_that_raises_is_reported_and_the_next_is_tried_with_the_original_error():
    error = OSError("the original")
    bench = Bench(Policy(strategies=("fallback", "log_only")), fallback=RuntimeError("my own fault"))
    outcome = await bench.fail(error)
    assert bench.ran == ["fallback", "log_only"]
    assert outcome == RecoveryOutcome(NEXT)
    assert bench.methods["log_only"].requests[0].error is error
    assert bench.events == [
        (
            "recovery.strategy_failed",
            "collector:cpu",
            Level.WARNING,
            {"strategy": "fallback", "error": "RuntimeError: my own fault"},
        )
    ]
    assert bench.engine.stats().strategies["fallback"].raised == 1


async def test_a_strategy_that_returns_rubbish_counts_as_raising():
    bench = Bench(Policy(strategies=("log_only", "notify")))
    bench.methods["log_only"].outcome = "fine"
    await bench.fail()
    assert bench.ran == ["log_only", "notify"]
    assert "returns a RecoveryOutcome (got 'fine')" in bench.events[0][3]["error"]


async def test_cancellation_passes_through_and_tries_nothing_else():
    bench = Bench(Policy(strategies=("fallback", "notify")), fallback=asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await bench.fail()
    assert bench.ran == ["fallback"]


async def test_a_later_error_is_handed_on_and_comes_out():
    last = OSError("third attempt")
    bench = Bench(Policy(strategies=("retry", "fallback")), retry=RecoveryOutcome(NEXT, error=last))
    outcome = await bench.fail(OSError("first attempt"))
    assert bench.methods["fallback"].requests[0].error is last
    assert outcome.error is last


async def test_giving_up_ends_the_row_and_keeps_the_latest_error():
    last = OSError("later")
    bench = Bench(
        Policy(strategies=("retry", "fallback", "notify")),
        retry=RecoveryOutcome(NEXT, error=last),
        fallback=RecoveryOutcome(GIVE_UP),
    )
    outcome = await bench.fail()
    assert (outcome.step, outcome.error) == (GIVE_UP, last)
    assert bench.ran == ["retry", "fallback"]


async def test_a_strategy_that_is_not_there_is_left_out_and_named_once():
    bench = Bench(Policy(strategies=("teleport", "log_only")))
    await bench.fail()
    await bench.fail()
    assert bench.ran == ["log_only", "log_only"]
    assert [event[0] for event in bench.events] == ["recovery.strategy_missing"]


async def test_strategies_see_how_often_and_which_kind_of_error():
    bench = Bench(Policy(strategies=("log_only",)))
    await bench.fail(OSError("took 5 ms"))
    await bench.fail(OSError("took 17 ms"))
    first, second = bench.methods["log_only"].requests
    assert (first.occurrences, second.occurrences) == (1, 2)
    assert first.fingerprint == second.fingerprint != ""


async def test_scenario_43_five_failures_in_a_minute_climb_the_ladder_each_rung_once():
    bench = Bench(Policy())
    for _ in range(4):
        await bench.fail(**MEANS)
    assert bench.ran == ["retry"] * 4
    for _ in range(6):
        await bench.fail(**MEANS)
    assert bench.ran == ["retry"] * 5 + ["reset", "retry", "circuit_break", "retry", "notify"] + ["retry"] * 3
    assert bench.engine.stats().escalated == {"collector:cpu": "notify"}
    assert [event[0] for event in bench.events] == ["recovery.escalated"] * 3


async def test_scenario_43_four_failures_a_minute_never_escalate():
    bench = Bench(Policy())
    for _ in range(100):
        await bench.fail(after_s=15.1, **MEANS)
    assert set(bench.ran) == {"retry"}


async def test_scenario_43_a_minute_of_success_deescalates_and_the_climb_starts_over():
    bench = Bench(Policy())
    for _ in range(7):
        await bench.fail(**MEANS)
    bench.engine.succeeded("collector:cpu")
    bench.clock.advance(59.9)
    bench.engine.succeeded("collector:cpu")
    assert "collector:cpu" in bench.engine.troubled
    bench.clock.advance(0.1)
    bench.engine.succeeded("collector:cpu")
    assert "collector:cpu" not in bench.engine.troubled
    assert bench.events[-1] == (
        "recovery.deescalated",
        "collector:cpu",
        Level.INFO,
        {"from_strategy": "notify"},
    )
    bench.ran.clear()
    for _ in range(5):
        await bench.fail(**MEANS)
    assert bench.ran == ["retry"] * 5 + ["reset"]


async def test_scenario_43_a_failure_within_the_minute_of_success_starts_the_minute_over():
    bench = Bench(Policy())
    await bench.fail()
    bench.engine.succeeded("collector:cpu")
    await bench.fail(after_s=50)
    bench.engine.succeeded("collector:cpu")
    bench.clock.advance(30)
    bench.engine.succeeded("collector:cpu")
    assert "collector:cpu" in bench.engine.troubled


async def test_scenario_43_a_rung_without_means_is_left_out():
    bench = Bench(Policy())
    for _ in range(5):
        await bench.fail()
    assert bench.ran == ["retry"] * 5 + ["notify"]


async def test_scenario_43_the_climb_goes_on_from_where_the_policy_stands():
    bench = Bench(Policy(strategies=("retry", "reset", "fallback")))
    for _ in range(6):
        await bench.fail(**MEANS)
    assert [name for name in bench.ran if name in ("circuit_break", "notify")] == ["circuit_break", "notify"]
    assert bench.ran.count("reset") == 6


async def test_scenario_43_a_policy_off_the_ladder_is_not_escalated():
    bench = Bench(Policy(strategies=("log_only",)))
    for _ in range(20):
        await bench.fail(**MEANS)
    assert set(bench.ran) == {"log_only"}


async def test_scenario_43_what_still_fails_ten_minutes_later_is_taken_up_the_ladder_again():
    bench = Bench(Policy())
    for _ in range(7):
        await bench.fail(**MEANS)
    for _ in range(7):
        await bench.fail(after_s=60, **MEANS)
    assert bench.ran.count("reset") == 1
    for _ in range(5):
        await bench.fail(after_s=60, **MEANS)
    assert bench.ran.count("reset") == 2


async def test_a_stronger_means_that_resolves_is_the_outcome():
    bench = Bench(Policy(), reset=RecoveryOutcome(RESOLVED, value=7), retry=RecoveryOutcome(NEXT, error=OSError("2nd")))
    for _ in range(4):
        await bench.fail(**MEANS)
    outcome = await bench.fail(**MEANS)
    assert (outcome.step, outcome.value) == (RESOLVED, 7)
    assert str(bench.methods["reset"].requests[0].error) == "2nd"


async def test_the_error_of_a_stronger_means_comes_out():
    bench = Bench(Policy(), reset=RecoveryOutcome(NEXT, error=OSError("after the reset")))
    for _ in range(5):
        outcome = await bench.fail(**MEANS)
    assert str(outcome.error) == "after the reset"


async def test_scenario_37_what_an_open_breaker_refuses_is_no_new_failure():
    bench = Bench(Policy())
    for _ in range(20):
        await bench.fail(BreakerOpen("hub", 5.0), **MEANS)
    assert set(bench.ran) == {"retry"}
    assert "collector:cpu" not in bench.engine.troubled
    assert bench.engine.stats().handled == 20


async def test_components_do_not_escalate_each_other():
    bench = Bench(Policy())
    for _ in range(4):
        await bench.fail(component="sink:a", **MEANS)
        await bench.fail(component="sink:b", **MEANS)
    assert set(bench.ran) == {"retry"}


async def test_strategies_that_listen_hear_of_successes_of_troubled_components_only():
    bench = Bench(Policy())
    heard = []
    bench.methods["retry"].succeeded = heard.append
    bench.engine.add_method("retry", bench.methods["retry"])
    bench.engine.succeeded("collector:cpu")
    assert heard == []
    await bench.fail()
    bench.engine.succeeded("collector:cpu")
    assert heard == ["collector:cpu"]


async def test_policies_and_methods_may_be_added_later():
    bench = Bench(Policy())
    bench.engine.add_policy(Policy(component="collector:*", strategies=("special",)))
    bench.engine.add_method("special", Scripted("special", bench.ran))
    await bench.fail()
    assert bench.ran == ["special"]
    assert bench.engine.policy_for("sink:a", "deliver", OSError()) == Policy()


async def test_an_engine_without_a_listener_works_as_well():
    engine = RecoveryEngine((Policy(strategies=("teleport",)),), {}, clock=FakeClock(), rng=random.Random(1))
    assert await engine.handle(RecoveryRequest("a", "b", OSError())) == RecoveryOutcome(NEXT)
