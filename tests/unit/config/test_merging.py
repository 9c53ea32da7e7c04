from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import tree as tree_module
from agent.config.load import LoadedConfig, load_agent_config
from agent.config.schema import AgentConfig
from agent.config.tree import Tree, dotted
from agent.errors import ConfigError

Write = Callable[..., Path]


def test_no_file_at_all_gives_the_defaults(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tree_module, "SYSTEM_FOLDER", tmp_path / "etc")
    del environ["REBELLION_AGENT__PLUGINS_DIR"]
    loaded = load_agent_config(None, environ)
    assert loaded.sources == ()
    expected = msgspec.structs.replace(AgentConfig().agent, default_collectors=False)
    assert loaded.config == AgentConfig(agent=expected)
    assert loaded.state_dir == tmp_path / "state" / "rebellion"


def test_drop_ins_are_merged_key_by_key_and_the_later_wins(agent_toml: Write, environ: dict[str, str]) -> None:
    main = agent_toml('[agent]\nname = "a"\ninterval_s = 1\nlabels = {site = "x", rack = "1"}\n')
    folder = main.with_suffix(".d")
    folder.mkdir()
    (folder / "20-b.toml").write_text("[agent]\ninterval_s = 3\n")
    (folder / "10-a.toml").write_text('[agent]\ninterval_s = 2\nlabels.rack = "2"\n')
    (folder / "ignored.txt").write_text("not TOML")
    loaded = load_agent_config(None, environ)
    assert loaded.config.agent.name == "a"
    assert loaded.config.agent.interval_s == 3
    assert loaded.config.agent.labels == {"site": "x", "rack": "2"}
    assert loaded.sources == (main, folder / "10-a.toml", folder / "20-b.toml")


def test_users_own_file_is_read_instead_of_the_systems(
    agent_toml: Write, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tree_module, "SYSTEM_FOLDER", tmp_path)
    (tmp_path / "agent.toml").write_text('[agent]\nname = "system"\n')
    assert load_agent_config(None, environ).config.agent.name == "system"
    agent_toml('[agent]\nname = "own"\n')
    assert load_agent_config(None, environ).config.agent.name == "own"


def test_named_folder_is_read_in_order(tmp_path: Path, environ: dict[str, str]) -> None:
    folder = tmp_path / "named"
    folder.mkdir()
    (folder / "b.toml").write_text('[agent]\nname = "b"\n')
    (folder / "a.toml").write_text('[agent]\nname = "a"\n')
    assert load_agent_config([folder], environ).config.agent.name == "b"


def with_variables(environ: dict[str, str], **variables: str) -> LoadedConfig:
    return load_agent_config(None, environ | variables)


def test_variable_is_read_as_a_toml_value(agent_toml: Write, environ: dict[str, str]) -> None:
    agent_toml("[agent]\ninterval_s = 1\n")
    loaded = with_variables(
        environ,
        REBELLION_AGENT__INTERVAL_S="5",
        REBELLION_AGENT__LABELS='{site = "x"}',
        REBELLION_LOG__LEVEL="debug",
        REBELLION_AGENT__LABELS__RACK="7",
        REBELLION_SINKS__LINK__URL="wss://hub/",
        REBELLION_REQUIRE="chromium",
    )
    assert loaded.config.agent.interval_s == 5
    assert loaded.config.agent.labels == {"site": "x", "rack": "7"}
    assert loaded.config.log.level == "debug"
    assert loaded.sinks[0].settings.url == "wss://hub/"


@pytest.mark.parametrize("text", ["123", "true", "2026-01-01", "1\nname = 2", '"', "a b"])
def test_text_key_takes_the_variable_as_it_stands(environ: dict[str, str], text: str) -> None:
    assert with_variables(environ, REBELLION_AGENT__NAME=text).config.agent.name == text


def test_variable_reaches_into_an_array_of_tables_by_number(agent_toml: Write, environ: dict[str, str]) -> None:
    agent_toml("[[sinks.link]]\nurl = 'ws://a'\n[[sinks.link]]\nurl = 'ws://b'\n")
    loaded = with_variables(environ, REBELLION_SINKS__LINK__1__URL="ws://c")
    assert [sink.settings.url for sink in loaded.sinks] == ["ws://a", "ws://c"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("REBELLION_AGNT__NAME", "there is no section 'agnt'"),
        ("REBELLION_AGENT____NAME", "has an empty part"),
        ("REBELLION_SINKS__LINK__URL", "sinks.link: is not a table"),
        ("REBELLION_SINKS__LINK__7__URL", "there is no such table"),
    ],
)
def test_variable_that_leads_nowhere_is_refused_by_name(
    agent_toml: Write, environ: dict[str, str], name: str, complaint: str
) -> None:
    agent_toml("[[sinks.link]]\nurl = 'ws://a'\n")
    with pytest.raises(ConfigError) as caught:
        with_variables(environ, **{name: "x"})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"environment {name}: ")
    assert complaint in line


def test_variables_of_the_hub_do_not_concern_the_agent(environ: dict[str, str]) -> None:
    assert with_variables(environ, REBELLION_HUB__LISTEN="x").config.agent.interval_s == 1.0


keys = st.sampled_from(["a", "b", "c"])
tables = st.recursive(st.integers(), lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=8)


@given(st.lists(st.dictionaries(keys, tables, max_size=3), max_size=4))
def test_last_document_that_sets_a_leaf_gives_its_value_and_its_source(documents: list[dict[str, Any]]) -> None:
    merged = Tree()
    for number, document in enumerate(documents):
        merged.overlay(document, f"file {number}")

    def leaves(table: dict[str, Any], at: tuple[str, ...]) -> list[tuple[tuple[str, ...], int]]:
        found = []
        for key, value in table.items():
            found += leaves(value, (*at, key)) if isinstance(value, dict) else [((*at, key), value)]
        return found

    for path, value in leaves(merged.values, ()):
        holders = [n for n, document in enumerate(documents) if (path, value) in leaves(document, ())]
        assert merged.source_of(path) in [f"file {n}" for n in holders], dotted(path)
    if documents:
        for path, value in leaves(documents[-1], ()):
            assert (path, value) in leaves(merged.values, ())
