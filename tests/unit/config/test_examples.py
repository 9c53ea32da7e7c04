"""The examples in etc/ say what the code does: every key, every default, and they load as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli

from agent.config.load import load_agent_config
from agent.config.load_hub import load_hub_config
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
    defaults,
)

ETC = Path(__file__).parents[3] / "etc"


def with_everything_set(name: str) -> dict[str, Any]:
    """The example with each commented key in force."""
    lines = (ETC / name).read_text().splitlines()
    assert all(re.match(r"## |# \S+ = |# \[|\[|$|\S+ = ", line) for line in lines)
    return tomli.loads("\n".join(re.sub(r"^# ", "", line) for line in lines))


@pytest.mark.parametrize(
    ("name", "path", "section"),
    [
        ("agent.toml", ["agent"], AgentSection),
        ("agent.toml", ["log"], LogSection),
        ("agent.toml", ["status"], StatusSection),
        ("agent.toml", ["transformer"], TransformerSection),
        ("agent.toml", ["forecast"], ForecastSection),
        ("agent.toml", ["collectors", "cpu"], CollectorSection),
        ("agent.toml", ["sinks", "websocket"], SinkSection),
        ("agent.toml", ["policies", 0], PolicySection),
        ("hub.toml", ["hub"], HubSection),
        ("hub.toml", ["log"], LogSection),
    ],
)
def test_example_shows_every_key_with_its_default(name: str, path: list[Any], section: type[msgspec.Struct]) -> None:
    table: Any = with_everything_set(name)
    for part in path:
        table = table[part]
    for key in ("url", "token_file"):
        table.pop(key, None)
    expected = defaults(section)
    assert table == expected
    assert {key: type(value) for key, value in table.items()} == {key: type(value) for key, value in expected.items()}


def test_agent_example_loads_as_it_stands_and_with_everything_set(environ: dict[str, str], tmp_path: Path) -> None:
    del environ["REBELLION_AGENT__PLUGINS_DIR"]
    plain = load_agent_config([ETC / "agent.toml"], environ)
    assert [sink.name for sink in plain.sinks] == ["websocket"]
    text = re.sub(r"(?m)^# ", "", (ETC / "agent.toml").read_text())
    (tmp_path / "all.toml").write_text(text)
    everything = load_agent_config([tmp_path / "all.toml"], environ)
    assert everything.sinks[0].section == plain.sinks[0].section
    assert everything.sinks[0].settings == plain.sinks[0].settings


def test_hub_example_loads_as_it_stands_and_with_everything_set(environ: dict[str, str], tmp_path: Path) -> None:
    plain = load_hub_config([ETC / "hub.toml"], environ)
    text = re.sub(r"(?m)^# ", "", (ETC / "hub.toml").read_text())
    (tmp_path / "all.toml").write_text(text)
    assert load_hub_config([tmp_path / "all.toml"], environ).config == plain.config
