"""The page on the breaker: its examples run as they stand there, and nothing that a user can meet is left out."""

from __future__ import annotations

import ast
import inspect
import random
import re
from dataclasses import fields
from pathlib import Path

import pytest

from agent.resilience import circuit, controlled_circuit
from agent.resilience.breaker import Breaker, BreakerEvent, BreakerSettings, CircuitState, Totals, deliver_now
from agent.resilience.registry import breakers
from agent.testing.clock import FakeClock

PAGE = Path(__file__).parents[3] / "docs" / "resilience.md"
TEXT = PAGE.read_text(encoding="utf-8")


async def test_the_examples_run_as_they_stand():
    examples = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert len(examples) == 6
    names = {"__name__": "example"}
    for example in examples:
        result = eval(compile(example, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if inspect.iscoroutine(result):
            await result
    assert names["prices"].snapshot().totals.successes == 5
    assert breakers.remove("orders")


@pytest.mark.parametrize("field", fields(BreakerSettings), ids=lambda field: field.name)
def test_each_setting_is_explained_with_its_default(field):
    (row,) = re.findall(rf"^\| `{field.name}` \| (.+?) \|", TEXT, re.MULTILINE)
    shown = row.strip("`")
    default = field.default
    if isinstance(default, float):
        assert float(shown) == default
    elif isinstance(default, (type, CircuitState)):
        assert shown == getattr(default, "__name__", None) or shown == getattr(default, "name", None)
    else:
        assert shown == repr(default)


@pytest.mark.parametrize("state", CircuitState)
def test_each_state_is_explained(state):
    assert f"\n| `{state.name}` | " in TEXT


@pytest.mark.parametrize("what", [BreakerEvent, Totals])
def test_each_field_of_events_and_totals_is_named(what):
    assert all(f"`{field.name}`" in TEXT for field in fields(what))


def rows(heading, end):
    """The cells of the table between two texts, without its head."""
    lines = TEXT.split(heading)[1].split(end)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]


EVENTS = rows("## Events", "`snapshot()`")
CHOICES = rows("### Which ones to choose", "```")


def passes(breaker, _clock):
    breaker.acquire().succeed()


def fails(breaker, _clock):
    breaker.acquire().fail(OSError("down"))


def is_slow(breaker, clock):
    permit = breaker.acquire()
    clock.advance(breaker.settings.slow_call_s)
    permit.succeed()


def trip(breaker, _clock):
    breaker.trip()


def waits(breaker, clock):
    clock.advance(breaker.retry_in_s)


def hangs(breaker, clock):
    breaker.acquire()
    clock.advance(breaker.settings.lease_s)


def idles(breaker, clock):
    clock.advance(breaker.settings.max_half_open_s)


def restored(breaker, clock):
    other = Breaker("before", clock=clock, rng=random.Random(1))
    other.trip()
    assert breaker.restore_state(other.export_state())


HAPPENINGS = {
    "7 of 10 calls failed": [passes] * 3 + [fails] * 7,
    "8 of 10 calls slow": [passes] * 2 + [is_slow] * 8,
    "3 failures in a row": [fails] * 3,
    "out of reach": [lambda breaker, _clock: breaker.acquire().fail(OSError("gone"), open_s=3.0)],
    "probe due": [trip, waits, passes],
    "3 of 3 probes succeeded": [trip, waits, passes, passes, passes],
    "a probe failed": [trip, waits, fails],
    "a probe was slow": [trip, waits, is_slow],
    "a probe gave no answer": [trip, waits, hangs],
    "no verdict in 60 s": [trip, waits, passes, idles],
    "tripped by hand": [trip],
    "forced open": [lambda breaker, _clock: breaker.force_open()],
    "disabled": [lambda breaker, _clock: breaker.disable()],
    "metrics only": [lambda breaker, _clock: breaker.metrics_only()],
    "reset": [trip, lambda breaker, _clock: breaker.reset()],
    "restored": [restored],
}


@pytest.mark.parametrize(("reason", "old", "new"), EVENTS, ids=[cells[0] for cells in EVENTS])
def test_each_listed_event_comes_as_it_says(reason, old, new):
    reason = reason.split("`")[1]
    clock, told = FakeClock(), []
    settings = BreakerSettings(consecutive_failures=3) if "in a row" in reason else BreakerSettings()
    breaker = Breaker("hub", settings, clock=clock, rng=random.Random(1), deliver=deliver_now)
    breaker.add_listener(told.append)
    for happens in HAPPENINGS[reason]:
        happens(breaker, clock)
    assert breaker.state
    assert told[-1].reason == reason
    assert old == "any" or told[-1].old_state.name in re.findall("`(.+?)`", old)
    assert new == "as it was before the restart" or told[-1].new_state.name in re.findall("`(.+?)`", new)


def test_each_reason_in_the_source_is_listed():
    """The reasons in the source, with figures standing for the expressions."""
    source = inspect.getsource(circuit) + inspect.getsource(controlled_circuit)
    says_why = re.compile(r'_(open|enter|set)\(|\breason(: str)? = |return f"')
    lines = [line for line in source.splitlines() if says_why.search(line)]
    reasons = [reason for line in lines for reason in re.findall(r'"([^"]+)"', line)]
    listed = [cells[0].split("`")[1] for cells in EVENTS]
    for reason in reasons:
        pattern = re.sub(r"\\{.+?\\}", r"\\d+", re.escape(reason))
        assert [text for text in listed if re.fullmatch(pattern, text)], reason
    assert len(reasons) == len(listed) == len(set(listed))


@pytest.mark.parametrize(("target", "then"), CHOICES, ids=[cells[0] for cells in CHOICES])
def test_each_choice_names_what_there_is(target, then):
    names = re.findall("`(.+?)`", then)
    chosen = [name for name in names if "=" in name]
    BreakerSettings(**eval(f"dict({', '.join(chosen)})"))
    known = {field.name for what in (BreakerSettings, Totals) for field in fields(what)} | set(dir(Breaker))
    assert {name.removesuffix("()") for name in names if "=" not in name} <= known
    assert names


@pytest.mark.parametrize("method", [name for name in dir(Breaker) if not name.startswith("_")])
def test_each_method_is_named(method):
    assert re.search(rf"\b{method}\b", TEXT), method
