"""The examples of docs/resilience-recovery.md, run as they stand there, one after the other."""

import ast
import inspect
import re
from pathlib import Path

import msgspec
import pytest
import tomli

from agent.builtin import BUILTIN, load_builtin
from agent.config.schema import PolicySection
from agent.resilience import AutonomousErrorRecovery, autonomous
from agent.resilience.retry import RetrySettings
from agent.testing.clock import FakeClock
from agent.testing.time_travel import run_with_time_travel

PAGE = Path(__file__).parents[3] / "docs" / "resilience-recovery.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


async def run_all(examples):
    names = {"__name__": "example"}
    for example in examples:
        code = compile(example, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.iscoroutine(result):
            await result
    return names


def test_the_examples_run_as_they_stand(monkeypatch):
    clock = FakeClock()
    recovery = AutonomousErrorRecovery(clock=clock)
    monkeypatch.setattr(autonomous, "error_recovery", recovery)
    monkeypatch.setattr("agent.resilience.error_recovery", recovery, raising=False)
    names = run_with_time_travel(run_all(blocks("python")), clock)
    assert len(blocks("python")) == 7
    assert names["stats"]["total_errors"] == recovery.engine.stats().handled


def test_the_configuration_fits_the_schema():
    (example,) = map(tomli.loads, blocks("toml"))
    assert msgspec.convert(example["policies"], tuple[PolicySection, ...])[0].strategy in BUILTIN["recovery"]
    for name, section in example["recovery"].items():
        assert msgspec.convert(section, load_builtin("recovery", name).config).channels == ("log", "webhook")


@pytest.mark.parametrize("name", RetrySettings.__dataclass_fields__)
def test_each_setting_of_a_retry_is_explained(name):
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("name", BUILTIN["recovery"])
def test_each_strategy_is_explained(name):
    assert f"`{name.upper()}`" in TEXT


def test_each_event_is_explained():
    sources = (Path(autonomous.__file__).parent / "recovery.py").read_text()
    events = set(re.findall(r'"((?:recovery|component)\.[a-z_]+)"', sources))
    assert len(events) == 6
    assert all(f"`{event}`" in TEXT for event in events)
