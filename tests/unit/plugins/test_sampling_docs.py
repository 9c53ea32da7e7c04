"""docs/sampling.md says what is there: every strategy, a picture of each, and an example that works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from agent.builtin import BUILTIN
from agent.resilience.backpressure import BackpressureHandler

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "sampling.md").read_text()


@pytest.mark.parametrize("name", BUILTIN["sampling"])
def test_every_strategy_has_a_word_and_a_picture(name: str) -> None:
    assert f"(sampling/{name}.svg)" in TEXT
    assert f"| `{name}`" in TEXT
    assert "<polyline" in (DOCS / "sampling" / f"{name}.svg").read_text()


def test_the_example_is_short_and_works() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 20
    scope: dict[str, Any] = {}
    exec(compile(example, "docs/sampling.md", "exec"), scope)
    registered = {}
    scope["rebellion_register_sampling_strategies"](lambda name, factory: registered.update({name: factory}))
    handler = BackpressureHandler(3, registered["largest"](None, None))
    for item in [5, 1, 9, 2, 7, 3]:
        handler.add_item(item)
    assert handler.get_batch(10) == [5, 9, 7]
