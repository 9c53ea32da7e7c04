"""The page on the breaker: its examples run as they stand there, and nothing that a user can meet is left out."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

from agent.resilience import circuit, controlled_circuit
from agent.resilience.breaker import Breaker, BreakerEvent, BreakerSettings, CircuitState, Totals
from agent.resilience.registry import breakers

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


def test_each_reason_is_listed():
    """The reasons in the source, with figures standing for the expressions."""
    source = inspect.getsource(circuit) + inspect.getsource(controlled_circuit)
    texts = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    listed = re.findall(r"^\| `([^`]+)`", TEXT.split("## Events")[1].split("`snapshot()`")[0], re.MULTILINE)
    for reason in listed:
        words = re.sub(r"\d+( of \d+)?|\bs$", "", reason).strip()
        assert any(words in text for text in texts), reason
    assert len(listed) == 15


@pytest.mark.parametrize("method", [name for name in dir(Breaker) if not name.startswith("_")])
def test_each_method_is_named(method):
    assert re.search(rf"\b{method}\b", TEXT), method
