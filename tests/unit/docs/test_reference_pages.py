"""docs/metrics.md and docs/events.md: nothing is missing, nothing stands there that does not exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.builtin import BUILTIN

ROOT = Path(__file__).parents[3]
METRICS = (ROOT / "docs" / "metrics.md").read_text()
EVENTS = (ROOT / "docs" / "events.md").read_text()
COLLECTORS = ROOT / "plugins" / "collectors"
ROW = re.compile(r"^\| `\w+` \| *\w+ *\|.*$", re.MULTILINE)
SPEAKS = re.compile(
    r"_?emit|_?on_event|_?report|partial|debug|info|warning|error|exception|_drop_notice|journal_fields"
)
KIND = re.compile(r"[a-z_]+\.[a-z_]+")


def section(text: str, heading: str) -> str:
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", BUILTIN["collectors"])
def test_each_collector_has_the_table_of_its_readme(name: str) -> None:
    assert ROW.findall(section(METRICS, f"`{name}`")) == ROW.findall((COLLECTORS / name / "README.md").read_text())


def said_in_code() -> Iterator[str]:
    """Every constant that a call of the log or of the events begins with, and the names of breakers' events."""
    for path in (*(ROOT / "agent").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")):
        if "testing" not in path.parts and "templates" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text())):
                yield from constants(node)


def constants(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call) and SPEAKS.fullmatch(called(node)):
        for argument in node.args[:3]:
            yield from (kind for kind in texts(argument) if KIND.fullmatch(kind))
    elif isinstance(node, ast.Constant) and re.fullmatch(r"breaker\.\w+ed", str(node.value)):
        yield str(node.value)


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def texts(node: ast.AST) -> Iterator[str]:
    return (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant) and isinstance(inner.value, str))


def test_every_event_and_log_line_is_explained_and_exists() -> None:
    rows = [line.split("|")[1] for line in EVENTS.splitlines() if line.startswith("| `")]
    explained = {name for row in rows for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", row)}
    said = set(said_in_code())
    assert sorted(said - explained) == []
    assert sorted(explained - said) == []
