from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config.load import load_agent_config
from agent.errors import ConfigError

Problems = Callable[[str], list[str]]

LINK = '[sinks.link]\nurl = "ws://hub/"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[agent]\nintervall_s = 1", "agent.intervall_s: there is no such key; did you mean 'interval_s'?"),
        ("[agnt]\nname = 'x'", "agnt: there is no such key; did you mean 'agent'?"),
        ("[agent]\ninterval_s = -1", "agent.interval_s: must be > 0 (got -1)"),
        ("[agent]\ninterval_s = 'fast'", "agent.interval_s: must be a number (got 'fast')"),
        ("[agent]\ninterval_s = inf", "agent.interval_s: must be a finite number (got inf)"),
        ("[agent]\ninterval_s = nan", "agent.interval_s: must be a finite number (got nan)"),
        ("[agent]\nlabels = {a = 1}", "agent.labels.a: must be text (got 1)"),
        ("[agent]\nlabels = 'x'", "agent.labels: must be a table (got 'x')"),
        ("log = 3", "log: must be a table (got 3)"),
        ("[transformer]\nenabled = 'yes'", "transformer.enabled: must be true or false (got 'yes')"),
        ("[transformer]\nhistory_count = 1", "transformer.history_count: must be >= 2 (got 1)"),
        ("[transformer]\nhistory_count = 2.5", "transformer.history_count: must be a whole number (got 2.5)"),
        (
            "[log]\nlevel = 'loud'",
            "log.level: must be one of 'debug', 'info', 'warning', 'error' (got 'loud')",
        ),
        ("[collectors.probe]\ninterval_s = -1", "collectors.probe.interval_s: must be >= 0 (got -1)"),
        ("[collectors.probe]\ntop = 1000", "collectors.probe.top: must be <= 100 (got 1000)"),
        ("[collectors.probe]\ndevices = ['sda', 3]", "collectors.probe.devices[1]: must be text (got 3)"),
        ("[collectors.probe]\ntopp = 3", "collectors.probe.topp: there is no such key; did you mean 'top'?"),
        (
            "[collectors.probe]\nmax_serie = 3",
            "collectors.probe.max_serie: there is no such key; did you mean 'max_series'?",
        ),
        (
            "[collectors.probe]\nbreaker = {failure_ratio = 2}",
            "collectors.probe.breaker.failure_ratio: must be <= 1 (got 2)",
        ),
        ("[[collectors.probe]]\n[[collectors.probe]]\ntop = 0", "collectors.probe[1].top: must be >= 1 (got 0)"),
        ("collectors.probe = true", "collectors.probe: must be a table (got true)"),
        ("collectors = []", "collectors: must be a table (got [])"),
        ("[collectors.plain]\nx = 1", "collectors.plain.x: there is no such key; known: "),
        ("[collectors.prob]", "collectors.prob: there is no collector 'prob'; did you mean 'probe'?"),
        ("[collectors.prob]\nenabled = false", "collectors.prob: there is no collector 'prob'; did you mean 'probe'?"),
        ("[sinks.lnik]", "sinks.lnik: there is no sink 'lnik'; did you mean 'link'?"),
        ("[sinks.link]", "sinks.link.url: must be set"),
        ("[sinks.link]\nurl = 3", "sinks.link.url: must be text (got 3)"),
        (
            "[sinks.link]\nurl = 'htp://hub'",
            "sinks.link.url: must begin with ws:// or wss:// (got 'htp://hub')",
        ),
        (f"{LINK}token_file = 'nowhere'", "sinks.link.token_file: cannot be read (got 'nowhere'): No such file"),
        (f"{LINK}buffer.sampler = 'haf'", "sinks.link.buffer.sampler: there is no sampler 'haf'; did you mean 'half'?"),
        ("[sampling.half]\nratio = 0", "sampling.half.ratio: must be > 0 (got 0)"),
        ("[sampling.shrug]", "sampling.shrug: there is no sampler 'shrug'; known: "),
        ("[recovery.shrugg]", "recovery.shrugg: there is no recovery strategy 'shrugg'; did you mean 'shrug'?"),
        (
            "[[policies]]\n[[policies]]\nstrategy = 'retri'",
            "policies[1].strategy: there is no recovery strategy 'retri'; did you mean 'retry'?",
        ),
        ("[[policies]]\nstrategi = 'retry'", "policies[0].strategi: there is no such key; did you mean 'strategy'?"),
        ("[agent]\nplugins = ['nobody']", "agent.plugins: plugin 'nobody': no entry point of that name is installed"),
        ("[agent]\nstate_dir = '/proc/rebellion'", "agent.state_dir: cannot write to '/proc/rebellion': "),
        ("[agent]\nstate_dir = '/etc/passwd/x'", "agent.state_dir: cannot write to '/etc/passwd/x': "),
    ],
)
def test_mistake_gets_its_own_clear_line(problems_of: Problems, text: str, problem: str) -> None:
    (line,) = problems_of(text)
    assert line.startswith(problem)


def test_every_problem_of_every_section_is_listed_at_once(problems_of: Problems) -> None:
    lines = problems_of(
        """
        [agent]
        interval_s = 0
        nmae = "x"
        state_dir = "/proc/nothing"
        [log]
        level = 3
        [collectors.probe]
        top = 0
        deadline_s = "x"
        [[sinks.link]]
        url = "nonsense"
        deadline_s = 0
        [[sinks.link]]
        protocol = "v9"
        [sampling.nothing]
        """
    )
    assert [re.split(": ", line)[0] for line in lines] == [
        "agent.interval_s",
        "agent.nmae",
        "log.level",
        "collectors.probe.deadline_s",
        "collectors.probe.top",
        "sinks.link[0].deadline_s",
        "sinks.link[0].url",
        "sinks.link[1].protocol",
        "sinks.link[1].url",
        "sampling.nothing",
        "agent.state_dir",
    ]


def test_broken_toml_says_file_line_and_column(agent_toml: Callable[..., Path], environ: dict[str, str]) -> None:
    path = agent_toml("[agent]\nname = = 2\n")
    with pytest.raises(ConfigError) as caught:
        load_agent_config(None, environ)
    assert str(caught.value) == f"{path}:2:8: is not TOML: Invalid value"


def test_every_broken_file_is_listed(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "one.toml").write_text("x = ")
    (tmp_path / "two.toml").write_bytes(b"x = '\xff'")
    with pytest.raises(ConfigError) as caught:
        load_agent_config([tmp_path / "one.toml", tmp_path / "two.toml"], environ)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{tmp_path / 'one.toml'}:1:5: is not TOML")
    assert lines[1] == f"{tmp_path / 'two.toml'}: is not UTF-8 text (byte 5)"


def test_named_file_that_does_not_exist_is_a_problem(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load_agent_config([tmp_path / "none.toml"], environ)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("[sinks.link]\nurl = 'ws://hub'\ntoken = 'hunter2'\nprotocol = 'x'", "hunter2"),
        ("[sinks.link]\nurl = 'ws://hub'\ntoken = ['hunter2']", "hunter2"),
        ("[sinks.link]\nurl = ['ws://joe:hunter2@hub']", "hunter2"),
    ],
)
def test_secrets_never_stand_in_a_problem(problems_of: Problems, text: str, secret: str) -> None:
    lines = problems_of(text)
    assert lines
    assert secret not in "\n".join(lines)


def test_problem_names_the_file_that_set_the_value(agent_toml: Callable[..., Path], environ: dict[str, str]) -> None:
    main = agent_toml("[agent]\ninterval_s = 1\nname = 3\n")
    drop_in = main.with_suffix(".d") / "50-fast.toml"
    drop_in.parent.mkdir()
    drop_in.write_text("[agent]\ninterval_s = 0\n")
    environ["REBELLION_LOG__LEVEL"] = "loud"
    with pytest.raises(ConfigError) as caught:
        load_agent_config(None, environ)
    assert [problem.source for problem in caught.value.problems] == [
        str(drop_in),
        str(main),
        "environment REBELLION_LOG__LEVEL",
    ]


def test_plugin_that_claims_a_key_of_the_agents_is_refused(problems_of: Problems, environ: dict[str, str]) -> None:
    greedy = Path(environ["REBELLION_AGENT__PLUGINS_DIR"], "greedy.py")
    greedy.write_text(
        "import msgspec\nfrom agent.api import hookimpl\n"
        "class Config(msgspec.Struct, kw_only=True):\n    interval_s: float = 1.0\n"
        "@hookimpl\ndef rebellion_register_collectors(register): register('greedy', print, config=Config)\n"
    )
    (line,) = problems_of("[collectors.greedy]")
    assert "declares 'interval_s', which is the agent's own key" in line


def test_checking_an_unwritable_state_folder_leaves_nothing_behind(
    tmp_path: Path, environ: dict[str, str], agent_toml: Callable[..., Path]
) -> None:
    agent_toml(f"[agent]\nstate_dir = '{tmp_path}/a/b/c'\n")
    assert load_agent_config(None, environ).state_dir == tmp_path / "a/b/c"
    assert not (tmp_path / "a").exists()
