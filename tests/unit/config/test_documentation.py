"""docs/configuration.md says what the code does: every key, its type, its default."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from agent.config.describe import describe
from agent.config.schema import (
    AgentSection,
    CollectorSection,
    ForecastSection,
    HubSection,
    LogSection,
    PolicySection,
    SinkSection,
    StatusSection,
    TransformerSection,
)

DOCS = Path(__file__).parents[3] / "docs"
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "agent": AgentSection,
    "log": LogSection,
    "status": StatusSection,
    "transformer": TransformerSection,
    "forecast": ForecastSection,
    "collectors.NAME": CollectorSection,
    "sinks.NAME": SinkSection,
    "policies": PolicySection,
    "hub": HubSection,
}
ROW = re.compile(r"^\| `(?P<key>[\w.]+)` \| (?P<type>.+?) \| `(?P<default>.*?)` \| (?P<meaning>.+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def documented() -> dict[str, tuple[str, str]]:
    """Key -> type and default, as documented."""
    rows = ROW.finditer((DOCS / "configuration.md").read_text())
    return {row["key"]: (row["type"], row["default"]) for row in rows}


@pytest.mark.parametrize("name", SECTIONS)
def test_every_key_is_documented_with_its_type_and_default(name: str, documented: dict[str, tuple[str, str]]) -> None:
    expected = {f"{name}.{key.key}": (key.type, key.default) for key in describe(SECTIONS[name])}
    assert {key: row for key, row in documented.items() if key.startswith(f"{name}.")} == expected


def test_nothing_is_documented_that_does_not_exist(documented: dict[str, tuple[str, str]]) -> None:
    known = {f"{name}.{key.key}" for name, section in SECTIONS.items() for key in describe(section)}
    assert set(documented) == known


def test_plugin_keys_are_described_in_words() -> None:
    class Config(msgspec.Struct, kw_only=True):
        path: str
        limit: int | None = None
        names: tuple[str, ...] = ("a",)

    assert [(key.key, key.type, key.default) for key in describe(Config)] == [
        ("path", "text", ""),
        ("limit", "integer", "unset"),
        ("names", "array of text", '["a"]'),
    ]
