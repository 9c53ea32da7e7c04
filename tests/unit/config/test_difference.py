"""What is in force, whole, and what differs between configurations."""

from __future__ import annotations

import msgspec
import pytest
import tomli

from agent.builtin import BUILTIN
from agent.config.difference import between, from_defaults
from agent.config.in_force import agent_sections, hub_sections
from agent.config.load import load_agent_config
from agent.config.load_hub import load_hub_config
from agent.config.report import agent_schema, hub_schema, show_agent, show_hub

EVERY_KIND = """
[sinks.console]
[sampling.hybrid]
[recovery.retry]
[detectors.zscore]
[[policies]]
strategy = "retry"
"""


@pytest.fixture
def load(tmp_path):
    environ = {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}

    def load(text, name="agent.toml", loader=load_agent_config, **variables):
        path = tmp_path / name
        path.write_text(text)
        return loader([path], environ | variables)

    return load


def lines(found):
    return [
        f"{line.sign:<1} {line.text}" + (f" # {line.source.rpartition('/')[2]}" if line.source else "")
        for line in found
    ]


def keys_of(definition, definitions, at=""):
    """Every key of a table of the JSON Schema, those of its tables dotted."""
    for key, told in definition.get("properties", {}).items():
        inner = definitions.get(told.get("$ref", "").rpartition("/")[2], {})
        if inner.get("properties"):
            yield from keys_of(inner, definitions, f"{at}{key}.")
        else:
            yield at + key


def test_show_has_every_section_and_every_key_of_the_schema(load):
    loaded = load(EVERY_KIND)
    shown = tomli.loads(show_agent(loaded))
    schema = agent_schema(loaded.manager)
    definitions = schema["$defs"]
    whole = definitions["AgentToml"]["properties"]
    assert set(shown) == set(whole)
    for name, told in whole.items():
        if name not in BUILTIN and name != "policies":
            assert set(keys_of(definitions[told["$ref"].rpartition("/")[2]], definitions)) == set(flat(shown[name]))
    for kind, name in (("collectors", "cpu"), ("sinks", "console"), ("detectors", "zscore"), ("sampling", "hybrid")):
        expected = set(keys_of(definitions[f"{kind}.{name}"], definitions))
        assert expected == set(flat(shown[kind][name])), f"{kind}.{name}"


def test_show_of_the_hub_has_every_key_of_the_schema(load):
    shown = tomli.loads(show_hub(load("", "hub.toml", load_hub_config)))
    definitions = hub_schema()["$defs"]
    for name, told in definitions["HubConfig"]["properties"].items():
        assert set(keys_of(definitions[told["$ref"].rpartition("/")[2]], definitions)) == set(flat(shown[name]))


def flat(table, at=""):
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{at}{key}.")
        else:
            yield at + key


def test_nothing_differs_from_the_defaults_when_nothing_is_set(load):
    assert lines(from_defaults(agent_sections(load("")))) == []
    assert lines(from_defaults(hub_sections(load("", "hub.toml", load_hub_config)))) == []
    assert lines(from_defaults(agent_sections(load("[agent]\ninterval_s = 1.0\n[collectors.cpu]\n")))) == [
        "+ [collectors.cpu] # agent.toml"
    ]


def test_what_differs_from_the_defaults_names_both_values_and_where(load):
    loaded = load(
        "[status]\nhistory_s = 60\n[collectors.cpu]\nenabled = false\n[sinks.file]\npath = '/tmp/x'\nbuffer.max_points = 9\n",
        REBELLION_LOG__LEVEL="debug",
    )
    assert lines(from_defaults(agent_sections(loaded))) == [
        "  [log]",
        '- level = "info" # default',
        '+ level = "debug" # environment REBELLION_LOG__LEVEL',
        "  [status]",
        f"- history_s = {float(loaded.config.status.__class__().history_s)} # default",
        "+ history_s = 60.0 # agent.toml",
        "+ [sinks.file] # agent.toml",
        "- buffer.max_points = 500000 # default",
        "+ buffer.max_points = 9 # agent.toml",
        '+ path = "/tmp/x" # agent.toml',
        "  [collectors.cpu]",
        "- enabled = true # default",
        "+ enabled = false # agent.toml",
    ]


def test_between_two_files_each_side_has_its_source(load):
    old = load("[agent]\ninterval_s = 5\n[sinks.console]\n[sinks.file]\npath = '/a'\n", "old.toml")
    new = load("[agent]\ninterval_s = 2\n[sinks.file]\npath = '/b'\n[[policies]]\nstrategy = 'reset'\n", "new.toml")
    there, back = (lines(between(agent_sections(a), agent_sections(b))) for a, b in ((old, new), (new, old)))
    assert there == [
        "  [agent]",
        "- interval_s = 5.0 # old.toml",
        "+ interval_s = 2.0 # new.toml",
        "- [sinks.console] # old.toml",
        "  [sinks.file]",
        '- path = "/a" # old.toml',
        '+ path = "/b" # new.toml',
        "+ [[policies]] # new.toml",
        '+ strategy = "reset" # new.toml',
    ]
    assert sorted(line[1:] for line in there if line[0] != " ") == sorted(line[1:] for line in back if line[0] != " ")
    assert lines(between(agent_sections(old), agent_sections(old))) == []


def test_a_collector_that_is_switched_off_differs_in_that_alone(load):
    old, new = load("", "old.toml"), load("[collectors.cpu]\nenabled = false\n", "new.toml")
    assert lines(between(agent_sections(old), agent_sections(new))) == [
        "  [collectors.cpu]",
        "- enabled = true # default",
        "+ enabled = false # new.toml",
    ]


def test_secrets_that_differ_are_told_apart_and_not_shown(load):
    files = [
        load(f"[sinks.websocket]\nurl = 'ws://h/?token={secret}'\n", f"{secret}.toml") for secret in ("one1", "two2")
    ]
    found = lines(between(*map(agent_sections, files)))
    assert len(found) == 3
    assert not any("token=one1" in line or "token=two2" in line for line in found)


def test_every_default_in_force_is_the_codes(load):
    for section in agent_sections(load(EVERY_KIND)):
        for entry in section.entries:
            assert entry.default is msgspec.NODEFAULT or (entry.source != "default") or entry.value == entry.default
