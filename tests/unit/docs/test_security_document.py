"""docs/security.md promises nothing that no test holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_\w+\.py)::(\w+)`", TEXT)))
THREATS = TEXT.partition("## Threats")[2].partition("## What is not")[0]


def defined_in(file: str) -> set[str]:
    """Every test function and class in the files of that name, as the parser sees them."""
    nodes = [node for path in (ROOT / "tests").rglob(file) for node in ast.walk(ast.parse(path.read_text()))]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in nodes if isinstance(node, kinds)}


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_each_test_that_is_named_exists(file: str, name: str) -> None:
    assert name in defined_in(file)


def test_every_threat_names_a_test() -> None:
    rows = [line for line in THREATS.splitlines() if line.startswith("| ") and not line.endswith("| test |")]
    assert len(rows) > 30
    assert [row for row in rows if not re.search(r"`test_\w+\.py::\w+` \|$", row)] == []
