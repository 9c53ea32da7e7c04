"""Settings out of range are refused when they are made, one line each."""

from __future__ import annotations

import random
from dataclasses import fields

import pytest

from agent.resilience.breaker import Breaker, BreakerSettings, CircuitState

OUT_OF_RANGE = {
    "failure_ratio": (0, 1.01, True, "0.5", float("nan")),
    "min_calls": (0, 2.0, None),
    "window_calls": (0, -1, 1.5),
    "window_s": (0, -1, float("inf")),
    "consecutive_failures": (0, 1.5),
    "slow_call_s": (0, -1),
    "slow_ratio": (0, 1.5, None),
    "open_s": (0, -1, None),
    "backoff_factor": (0.99, 1000.1),
    "max_open_s": (0, -1),
    "jitter_ratio": (-0.01, 1.01),
    "soft_reset_s": (0, -1),
    "probes": (0, 1.5),
    "concurrent_probes": (0, None),
    "probe_lease_s": (0, -1),
    "max_half_open_s": (-1, None),
    "after_half_open": (CircuitState.HALF_OPEN, "open"),
    "record_errors": ("OSError", int, (OSError, 3), None),
    "ignore_errors": (3, (OSError, "x")),
    "record_result": (bool, 3),
    "ignore_result": (object(),),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OUT_OF_RANGE.items() for value in values]
)
def test_a_value_out_of_range_is_named_with_what_was_got(name, value):
    with pytest.raises(ValueError, match=f"BreakerSettings.{name} must be ") as info:
        BreakerSettings(**{name: value})
    assert f"(got {value!r})" in str(info.value)


def test_every_setting_is_checked():
    assert set(OUT_OF_RANGE) | {"expired_probe_fails", "counts_open_errors"} == {
        field.name for field in fields(BreakerSettings)
    }


@pytest.mark.parametrize(
    "edge",
    [
        {"failure_ratio": 1},
        {"failure_ratio": None},
        {"jitter_ratio": 0},
        {"jitter_ratio": 1},
        {"backoff_factor": 1},
        {"backoff_factor": 1000},
        {"slow_ratio": 1},
        {"open_s": 120},
        {"min_calls": 1},
        {"min_calls": 100},
        {"max_half_open_s": 0},
        {"max_half_open_s": 20},
        {"min_calls": 1000, "window_s": 60},
        {"consecutive_failures": 1},
        {"ignore_errors": (OSError, (KeyError, callable))},
        {"record_errors": BaseException},
    ],
)
def test_the_edges_of_the_ranges_are_allowed(edge):
    settings = BreakerSettings(**edge)
    assert all(getattr(settings, name) == value for name, value in edge.items())


@pytest.mark.parametrize(
    ("together", "line"),
    [
        ({"open_s": 121}, "BreakerSettings.max_open_s must be >= open_s, 121 (got 120.0)"),
        ({"probe_lease_s": 61}, "BreakerSettings.max_half_open_s must be >= lease_s, 61 (got 60.0)"),
        ({"min_calls": 101}, "BreakerSettings.window_calls must be >= min_calls, 101 (got 100)"),
        (
            {"failure_ratio": None, "slow_call_s": None},
            "BreakerSettings watches nothing: failure_ratio, consecutive_failures or slow_call_s must be set (got None)",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(together, line):
    with pytest.raises(ValueError, match="BreakerSettings") as info:
        BreakerSettings(**together)
    assert str(info.value) == line


def test_every_problem_has_its_line():
    with pytest.raises(ValueError, match="BreakerSettings") as info:
        BreakerSettings(min_calls=0, open_s=-1, probes=0)
    assert str(info.value).splitlines() == [
        "BreakerSettings.min_calls must be a whole number >= 1 (got 0)",
        "BreakerSettings.open_s must be seconds > 0 (got -1)",
        "BreakerSettings.probes must be a whole number >= 1 (got 0)",
    ]


def test_an_asynchronous_predicate_is_refused():
    async def later(_seen):
        return True

    for name in ("record_errors", "ignore_errors", "record_result", "ignore_result"):
        with pytest.raises(ValueError, match=f"{name} must be .*plain function"):
            BreakerSettings(**{name: later})


def test_a_breaker_needs_a_name(clock):
    with pytest.raises(ValueError, match="name must not be empty"):
        Breaker("", clock=clock, rng=random.Random(1))


def test_equal_settings_are_equal():
    assert BreakerSettings(probes=2) == BreakerSettings(probes=2)
    assert BreakerSettings(probes=2) != BreakerSettings(probes=3)


def test_the_settings_as_shipped():
    shipped = BreakerSettings()
    assert (shipped.failure_ratio, shipped.min_calls, shipped.window_calls, shipped.window_s) == (0.5, 10, 100, None)
    assert (shipped.consecutive_failures, shipped.slow_call_s, shipped.slow_ratio) == (None, 10.0, 0.8)
    assert (shipped.open_s, shipped.backoff_factor, shipped.max_open_s, shipped.jitter_ratio) == (5.0, 2.0, 120.0, 0.2)
    assert (shipped.probes, shipped.concurrent_probes, shipped.probe_lease_s, shipped.lease_s) == (3, 1, None, 20.0)
    assert (shipped.expired_probe_fails, shipped.counts_open_errors) == (True, False)
    assert (shipped.max_half_open_s, shipped.after_half_open, shipped.soft_reset_s) == (60.0, CircuitState.OPEN, None)


@pytest.mark.parametrize(("slow_call_s", "lease_s"), [(None, 5.0), (1.0, 5.0), (2.5, 5.0), (2.6, 5.2)])
def test_a_probe_may_take_twice_a_slow_call_but_at_least_five_seconds(slow_call_s, lease_s):
    assert BreakerSettings(slow_call_s=slow_call_s).lease_s == lease_s
