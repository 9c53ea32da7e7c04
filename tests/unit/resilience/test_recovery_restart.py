import asyncio
import random
import threading

import pytest

from agent.contracts import RecoveryOutcome, RecoveryRequest, RecoveryStep
from agent.model import Level
from agent.resilience import restart
from agent.resilience.recovery import CrashLoop, Policy, RecoveryEngine, RestartFailed
from agent.resilience.restart import Restarts, RestartSettings
from agent.testing.clock import FakeClock


class Component:
    """Something that can be restarted, as slowly as the test likes."""

    def __init__(self):
        self.restarts = 0
        self.go = asyncio.Event()
        self.error = None

    async def restart(self):
        self.restarts += 1
        await self.go.wait()
        if self.error:
            raise self.error


def restarts_with(**settings):
    clock, told = FakeClock(), []
    restarts = Restarts(
        RestartSettings(**settings),
        clock=clock,
        on_restart=told.append,
        on_disable=lambda component, reason: told.append((component, reason)),
    )
    return restarts, clock, told


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


async def nothing():
    pass


async def test_scenario_44_fifty_simultaneous_requests_make_one_restart():
    restarts, _, told = restarts_with()
    component = Component()
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(restarts.run("collector:cpu", component.restart))
        await turns()
        component.go.set()
    assert component.restarts == restarts.total == 1
    assert told == ["collector:cpu"]


async def test_scenario_44_a_restart_that_fails_fails_for_all_who_wait_for_it():
    restarts, _, told = restarts_with()
    component = Component()
    component.error = OSError("port is taken")
    tasks = [asyncio.create_task(restarts.run("collector:cpu", component.restart)) for _ in range(3)]
    await turns()
    component.go.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert errors[0] is component.error
    assert [type(error) for error in errors[1:]] == [RestartFailed, RestartFailed]
    assert str(errors[1]) == "restart of 'collector:cpu' failed: OSError"
    assert component.restarts == 1
    assert told == []


async def test_scenario_44_when_the_one_that_restarts_is_cancelled_one_of_the_waiting_takes_over():
    restarts, _, _ = restarts_with()
    component = Component()
    tasks = [asyncio.create_task(restarts.run("collector:cpu", component.restart)) for _ in range(3)]
    await turns()
    tasks[0].cancel()
    await turns()
    component.go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [None, None]
    assert component.restarts == 2


async def test_scenario_44_a_waiting_one_that_is_cancelled_leaves_the_restart_alone():
    restarts, _, told = restarts_with()
    component = Component()
    tasks = [asyncio.create_task(restarts.run("collector:cpu", component.restart)) for _ in range(2)]
    await turns()
    tasks[1].cancel()
    await turns()
    component.go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (component.restarts, told) == (1, ["collector:cpu"])


def run_without_loop(coroutine):
    """Run a coroutine that never has to suspend."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def test_scenario_44_callers_without_an_event_loop_share_a_restart_across_threads(monkeypatch):
    restarts, _, _ = restarts_with()
    began, go, waiting, count = threading.Event(), threading.Event(), threading.Semaphore(0), []
    landed = restart._landed

    async def landed_and_told(flight):
        waiting.release()
        return await landed(flight)

    async def restart_slowly():
        count.append(1)
        began.set()
        assert go.wait(10)

    def call():
        run_without_loop(restarts.run("db", restart_slowly))

    monkeypatch.setattr(restart, "_landed", landed_and_told)
    threads = [threading.Thread(target=call) for _ in range(5)]
    threads[0].start()
    assert began.wait(10)
    for thread in threads[1:]:
        thread.start()
    assert all(waiting.acquire(timeout=10) for _ in threads[1:])
    go.set()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert len(count) == 1


async def test_scenario_44_a_sixth_restart_within_five_minutes_disables_instead():
    restarts, clock, told = restarts_with()
    for _ in range(5):
        await restarts.run("collector:cpu", nothing)
        clock.advance(60)
    with pytest.raises(CrashLoop, match="'collector:cpu' is disabled: 5 restarts within 300 s did not help"):
        await restarts.run("collector:cpu", nothing)
    with pytest.raises(CrashLoop):
        await restarts.run("collector:cpu", nothing)
    assert told[5:] == [("collector:cpu", "5 restarts within 300 s did not help")]
    assert restarts.why_disabled("collector:cpu") == "5 restarts within 300 s did not help"
    assert restarts.total == 5


async def test_scenario_44_restarts_further_apart_are_no_crash_loop():
    restarts, clock, _ = restarts_with()
    for _ in range(30):
        await restarts.run("collector:cpu", nothing)
        clock.advance(60.1)
    assert restarts.disabled() == {}


async def test_scenario_44_a_component_reinstated_counts_from_nothing():
    restarts, _, _ = restarts_with(max_restarts=1)
    await restarts.run("a", nothing)
    with pytest.raises(CrashLoop):
        await restarts.run("a", nothing)
    restarts.forget("a")
    await restarts.run("a", nothing)
    assert restarts.why_disabled("a") is None


async def test_only_so_many_components_are_remembered():
    restarts, _, _ = restarts_with(max_restarts=1, max_components=2)
    for name in "abc":
        await restarts.run(name, nothing)
    await restarts.run("a", nothing)
    with pytest.raises(CrashLoop):
        await restarts.run("c", nothing)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"max_restarts": 0}, "max_restarts must be >= 1 (got 0)"),
        ({"max_components": 0}, "max_components must be >= 1 (got 0)"),
        ({"window_s": 0}, "window_s must be > 0 (got 0)"),
    ],
)
def test_settings_out_of_range_are_refused(bad, message):
    with pytest.raises(ValueError, match="must be") as refusal:
        RestartSettings(**bad)
    assert str(refusal.value) == message


class Resets:
    async def recover(self, request):
        await request.reset()
        return RecoveryOutcome(RecoveryStep.RESOLVED)


class Quiet:
    async def recover(self, _request):
        return RecoveryOutcome(RecoveryStep.NEXT)


def engine_that_resets():
    clock, events = FakeClock(), []

    def on_event(kind, component, level=Level.INFO, /, **detail):
        events.append((kind, component, level, detail))

    engine = RecoveryEngine(
        (Policy(strategies=("reset", "log_only")),),
        {"reset": Resets(), "log_only": Quiet()},
        clock=clock,
        rng=random.Random(1),
        on_event=on_event,
    )
    return engine, clock, events


async def test_scenario_44_the_engine_gives_up_on_a_crash_loop_and_says_so():
    engine, clock, events = engine_that_resets()
    request = RecoveryRequest("collector:cpu", "collect", OSError("no"), reset=nothing)
    steps = []
    for _ in range(7):
        steps.append((await engine.handle(request)).step)
        clock.advance(10)
    assert steps == [RecoveryStep.RESOLVED] * 5 + [RecoveryStep.GIVE_UP] * 2
    assert engine.stats().disabled == {"collector:cpu": "5 restarts within 300 s did not help"}
    assert engine.stats().restarts == 5
    assert [event for event in events if event[0] == "component.disabled"] == [
        (
            "component.disabled",
            "collector:cpu",
            Level.ERROR,
            {"reason": "5 restarts within 300 s did not help"},
        )
    ]


async def test_scenario_44_a_disabled_component_stays_so_and_still_has_its_other_strategies():
    engine, clock, events = engine_that_resets()
    for _ in range(6):
        await engine.handle(RecoveryRequest("db", "query", OSError("no"), reset=nothing))
    clock.advance(3600)
    assert (
        await engine.handle(RecoveryRequest("db", "query", OSError("no"), reset=nothing))
    ).step is RecoveryStep.GIVE_UP
    engine.add_policy(Policy("db", strategies=("reset", "fallback")))
    engine.add_method("fallback", Answers())
    outcome = await engine.handle(RecoveryRequest("db", "query", OSError("no"), reset=nothing))
    assert (outcome.step, outcome.value) == (RecoveryStep.RESOLVED, "cached")
    assert engine.stats().restarts == 5
    assert [event[0] for event in events].count("component.disabled") == 1


class Answers:
    async def recover(self, _request):
        return RecoveryOutcome(RecoveryStep.RESOLVED, "cached")


async def test_scenario_44_a_minute_of_success_lifts_the_disabling_and_so_does_reinstating():
    engine, clock, _ = engine_that_resets()
    request = RecoveryRequest("sink:hub", "deliver", OSError("no"), reset=nothing)

    async def crash():
        for _ in range(6):
            outcome = await engine.handle(request)
        return outcome.step

    assert await crash() is RecoveryStep.GIVE_UP
    engine.succeeded("sink:hub")
    clock.advance(60)
    engine.succeeded("sink:hub")
    assert engine.stats().disabled == {}
    assert await crash() is RecoveryStep.GIVE_UP
    engine.reinstate("sink:hub")
    assert (await engine.handle(request)).step is RecoveryStep.RESOLVED


async def test_a_failure_inside_the_restart_does_not_wait_for_the_restart():
    engine, _, _ = engine_that_resets()
    inner = []

    async def reset():
        inner.append(await engine.handle(RecoveryRequest("db", "connect", OSError("inner"), reset=nothing)))

    outcome = await engine.handle(RecoveryRequest("db", "query", OSError("outer"), reset=reset))
    assert outcome.step is RecoveryStep.RESOLVED
    assert inner[0].step is RecoveryStep.NEXT
