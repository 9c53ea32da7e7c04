"""What counts as a failure."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from agent.errors import BreakerOpen
from agent.resilience.breaker import CircuitState

CLOSED, OPEN = CircuitState.CLOSED, CircuitState.OPEN


def totals_after(r, *errors):
    for error in errors:
        r.breaker.acquire().fail(error)
    totals = r.breaker.snapshot().totals
    return (totals.failures, totals.successes, totals.ignored)


def test_scenario_23_errors_are_recorded_by_type_and_the_others_count_as_success(rig):
    assert totals_after(rig(record_errors=OSError), ConnectionError(), ValueError()) == (1, 1, 0)


def test_scenario_23_errors_are_recorded_by_function_or_by_any_of_several(rig):
    r = rig(record_errors=(KeyError, lambda error: "timed out" in str(error)))
    assert totals_after(r, KeyError(), OSError("timed out"), OSError("other")) == (2, 1, 0)


def test_scenario_23_ignore_wins_when_both_match(rig):
    r = rig(record_errors=OSError, ignore_errors=(ConnectionError, lambda error: "soft" in str(error)))
    assert totals_after(r, ConnectionError(), OSError("soft"), OSError("hard")) == (1, 0, 2)


async def test_scenario_23_a_result_may_be_a_failure(rig):
    r = rig(record_result=lambda result: result is None)
    for _ in range(3):
        assert r.breaker.call({}.get, "missing") is None
    assert await r.breaker.execute({}.get, "missing") is None
    assert r.state is OPEN
    assert r.breaker.snapshot().last_failure == "result None"


def test_scenario_23_a_result_may_be_ignored_and_ignore_wins(rig):
    r = rig(record_result=lambda result: result < 0, ignore_result=lambda result: result == -1)
    for result in (-1, -2, 3):
        r.breaker.acquire().succeed(result)
    totals = r.breaker.snapshot().totals
    assert (totals.failures, totals.successes, totals.ignored) == (1, 1, 1)


@pytest.mark.parametrize("where", ["record_errors", "ignore_errors"])
def test_scenario_23_an_error_predicate_that_raises_leaves_the_error_and_counts_a_failure(rig, where):
    r = rig(**{where: _raises})
    original = OSError("original")

    def fails():
        raise original

    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(OSError, match="original") as info:
                r.breaker.call(fails)
            assert info.value is original
    seen = r.breaker.snapshot()
    assert (seen.totals.failures, seen.predicate_errors) == (3, 3)
    assert logs == [
        {
            "event": "breaker.predicate_failed",
            "log_level": "error",
            "breaker": "target",
            "error": "ZeroDivisionError('mine')",
        }
    ]


@pytest.mark.parametrize("where", ["record_result", "ignore_result"])
def test_scenario_23_a_result_predicate_that_raises_leaves_the_result_and_counts_a_failure(rig, where):
    r = rig(**{where: _raises})
    with capture_logs() as logs:
        assert [r.breaker.call(abs, -1) for _ in range(3)] == [1, 1, 1]
    assert r.breaker.snapshot().totals.failures == 3
    assert len(logs) == 1


def _raises(_seen):
    raise ZeroDivisionError("mine")


def test_scenario_30_an_inner_breakers_refusal_is_no_failure_of_the_outer_one(rig):
    outer, inner = rig(name="outer"), rig(name="inner")
    inner.trip()
    for _ in range(20):
        with pytest.raises(BreakerOpen, match="inner"):
            outer.breaker.call(inner.breaker.call, print)
    seen = outer.breaker.snapshot()
    assert (seen.state, seen.calls, seen.totals.ignored) == (CLOSED, 0, 20)


def test_scenario_30_unless_the_settings_say_so(rig):
    outer, inner = rig(name="outer", counts_open_errors=True), rig(name="inner")
    inner.trip()
    for _ in range(4):
        with pytest.raises(BreakerOpen, match="inner"):
            outer.breaker.call(inner.breaker.call, print)
    assert outer.state is OPEN


def test_scenario_30_a_later_guards_refusal_gives_back_the_earlier_guards_probe(rig):
    outer, inner = rig(name="outer"), rig(name="inner")
    outer.trip()
    outer.wait()
    inner.breaker.force_open()
    for _ in range(3):
        with pytest.raises(BreakerOpen, match="inner"):
            outer.breaker.call(inner.breaker.call, print)
    assert outer.breaker.snapshot().in_flight == 0
    outer.succeed(2)
    assert outer.state is CLOSED
