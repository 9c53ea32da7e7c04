from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.builtin import ASKED_FOR, BUILTIN
from agent.config.load import load_agent_config

Write = Callable[..., Path]


def test_table_gives_one_instance_with_both_halves_of_its_section(agent_toml: Write, environ: dict[str, str]) -> None:
    agent_toml("[collectors.probe]\ninterval_s = 5\ntop = 3\nbreaker.open_s = 9\n")
    (probe,) = load_agent_config(None, environ).collectors
    assert (probe.name, probe.plugin) == ("probe", "probe")
    assert (probe.section.interval_s, probe.section.breaker.open_s) == (5, 9)
    assert probe.settings.top == 3


def test_array_of_tables_gives_numbered_instances(agent_toml: Write, environ: dict[str, str]) -> None:
    agent_toml("[[sinks.link]]\nurl = 'ws://a'\n[[sinks.link]]\nurl = 'ws://b'\nbuffer.sampler = 'half'\n")
    loaded = load_agent_config(None, environ)
    assert [(sink.name, sink.plugin) for sink in loaded.sinks] == [("link", "link"), ("link:2", "link")]
    assert set(loaded.samplers) == {"hybrid", "half"}


def test_disabled_instance_does_not_run(agent_toml: Write, environ: dict[str, str]) -> None:
    agent_toml("[collectors.probe]\nenabled = false\n[sinks.link]\nenabled = false\n")
    loaded = load_agent_config(None, environ)
    assert loaded.collectors == ()
    assert loaded.sinks == ()


def test_plugin_without_configuration_has_no_settings(agent_toml: Write, environ: dict[str, str]) -> None:
    agent_toml("[collectors.plain]\ninterval_s = 2\n")
    (plain,) = load_agent_config(None, environ).collectors
    assert plain.settings is None


def test_default_collectors_run_unless_they_are_switched_off(agent_toml: Write, environ: dict[str, str]) -> None:
    del environ["REBELLION_AGENT__DEFAULT_COLLECTORS"]
    agent_toml("[collectors.cpu]\nenabled = false\n[collectors.memory]\ninterval_s = 7\n")
    loaded = load_agent_config(None, environ)
    assert {collector.name for collector in loaded.collectors} == set(BUILTIN["collectors"]) - ASKED_FOR - {"cpu"}
    assert {c.name: c.section.interval_s for c in loaded.collectors}["memory"] == 7


def test_sections_and_policies_bring_their_strategies(agent_toml: Write, environ: dict[str, str]) -> None:
    agent_toml("[sampling.half]\nratio = 0.25\n[[policies]]\ncomponent = 'sink:*'\nstrategy = 'shrug'\n")
    loaded = load_agent_config(None, environ)
    assert loaded.samplers["half"].settings.ratio == 0.25
    assert set(loaded.recoveries) == {*BUILTIN["recovery"], "shrug"}
    assert loaded.recoveries["shrug"].make("context") == (None, "context")


def test_reload_gives_equal_instances_while_nothing_changed(agent_toml: Write, environ: dict[str, str]) -> None:
    agent_toml("[collectors.probe]\ntop = 3\n")
    assert load_agent_config(None, environ).collectors == load_agent_config(None, environ).collectors


def test_file_keys_are_found_beside_the_file_that_names_them(agent_toml: Write, environ: dict[str, str]) -> None:
    path = agent_toml("[sinks.link]\nurl = 'ws://a'\ntoken_file = 'hub-token'\n")
    (path.parent / "hub-token").write_text("s3cret")
    (sink,) = load_agent_config(None, environ).sinks
    assert sink.settings.token_file == str(path.parent / "hub-token")


def test_drop_in_names_files_beside_the_main_one(agent_toml: Write, environ: dict[str, str]) -> None:
    path = agent_toml("")
    (path.parent / "hub-token").write_text("s3cret")
    drop_in = path.with_suffix(".d") / "10-hub.toml"
    drop_in.parent.mkdir()
    drop_in.write_text("[sinks.link]\nurl = 'ws://a'\ntoken_file = 'hub-token'\n")
    (sink,) = load_agent_config(None, environ).sinks
    assert sink.settings.token_file == str(path.parent / "hub-token")


def test_credential_of_the_service_manager_comes_first(
    agent_toml: Write, environ: dict[str, str], tmp_path: Path
) -> None:
    path = agent_toml("[sinks.link]\nurl = 'ws://a'\ntoken_file = 'hub-token'\n")
    (path.parent / "hub-token").write_text("s3cret")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "hub-token").write_text("other")
    (sink,) = load_agent_config(None, environ | {"CREDENTIALS_DIRECTORY": str(credentials)}).sinks
    assert sink.settings.token_file == str(credentials / "hub-token")


def test_state_folder_is_the_services_own_when_there_is_one(environ: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    assert load_agent_config(None, environ | {"STATE_DIRECTORY": str(folder)}).state_dir == folder
