"""The command as a user has it: real processes, real files, what is printed and the exit code."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli

from agent import __version__
from agent.commands.arguments import build_parser
from agent.commands.completion import every_parser

Rebellion = Callable[..., subprocess.CompletedProcess[str]]

REPOSITORY = Path(__file__).parents[2]
HEAVY = ("numpy", "websockets", "asyncio", "structlog", "psutil")

DROP_IN_PLUGIN = """
from agent.api import hookimpl

@hookimpl
def rebellion_add_commands(subparsers):
    subparsers.add_parser("salute", help="say hello").set_defaults(run=salute)

def salute(args):
    print("hello")
    return 3
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home folder of a user who has never used it before, with a space in its path."""
    path = tmp_path / "a home"
    path.mkdir()
    return path


@pytest.fixture
def rebellion(home: Path) -> Rebellion:
    """Run the command in its own process, as that user."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    base = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": path}

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "agent.cli", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=home, env=base | variables)

    return run


def configuration(home: Path, text: str, program: str = "agent") -> Path:
    path = home / ".config" / "rebellion" / f"{program}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_version_is_printed(rebellion: Rebellion) -> None:
    for words in (["version"], ["--version"]):
        run = rebellion(*words)
        assert (run.returncode, run.stdout) == (0, f"rebellion {__version__}\n")


def test_check_of_nothing_at_all_is_right(rebellion: Rebellion) -> None:
    run = rebellion("config", "check")
    assert run.returncode == 0
    assert run.stdout.startswith("agent: ok, 14 collectors, sinks: none")
    assert run.stderr == ""


def test_check_lists_every_problem_and_exits_with_78(rebellion: Rebellion, home: Path) -> None:
    path = configuration(
        home, "[agent]\nintervall_s = 1\n[collectors.cpu]\ninterval_s = -1\n[sinks.websocket]\nurl = 'x'\n"
    )
    run = rebellion("config", "check")
    assert run.returncode == 78
    lines = run.stderr.splitlines()
    assert lines[:2] == [
        f"rebellion: {path}: agent.intervall_s: there is no such key; did you mean 'interval_s'?",
        f"rebellion: {path}: collectors.cpu.interval_s: must be >= 0 (got -1)",
    ]
    assert lines[2].startswith(f"rebellion: {path}: sinks.websocket.url: must be ws://")
    assert run.stdout == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[agent\n", ":1:7: is not TOML: "),
        (
            "[sinks.websocket]\nurl = 'ws://127.0.0.1:1'\ntoken_file = '/nowhere/token'\n",
            "sinks.websocket.token_file: cannot be read",
        ),
        ("[agent]\nstate_dir = '/proc/x'\n", "agent.state_dir: cannot write to '/proc/x'"),
        ("[agent]\nlabels = 3\n", "agent.labels: must be a table (got 3)"),
    ],
)
@pytest.mark.parametrize("command", [["config", "check"], ["agent"], ["collect"]])
def test_bad_configuration_is_one_line_and_78_for_every_command(
    rebellion: Rebellion, home: Path, command: list[str], text: str, complaint: str
) -> None:
    path = configuration(home, text)
    run = rebellion(*command)
    (line,) = run.stderr.splitlines()
    assert run.returncode == 78
    assert line.startswith(f"rebellion: {path}")
    assert complaint in line


def test_hub_refuses_to_listen_in_the_open(rebellion: Rebellion) -> None:
    run = rebellion("hub", REBELLION_HUB__LISTEN="0.0.0.0:0")
    assert run.returncode == 78
    assert "hub.listen: listens on '0.0.0.0:0', which others can reach, without TLS" in run.stderr
    assert "Traceback" not in run.stderr


def test_port_in_use_is_one_line_and_1(rebellion: Rebellion) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        run = rebellion("hub", REBELLION_HUB__LISTEN=address)
    (line,) = run.stderr.splitlines()
    assert run.returncode == 1
    assert line.startswith("rebellion: ")
    assert address in line


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["agnet"], "did you mean 'agent'?"),
        (["config", "chekc"], "did you mean 'check'?"),
        (["config"], "the following arguments are required: COMMAND"),
        (["collect", "--jsn"], "unrecognized arguments: --jsn"),
        (["plugins", "show"], "the following arguments are required: NAME"),
        (["demo", "--port", "99999"], "argument --port: must be a port, 0..65535 (got '99999')"),
        (["demo", "--port", "-1"], "argument --port: must be a port, 0..65535 (got '-1')"),
        (["spool", "drain", "--seconds", "0"], "must be a number of seconds > 0 (got '0')"),
        (["status", "--url", "hub:8764"], "argument --url: must be http://host or https://host (got 'hub:8764')"),
    ],
)
def test_wrong_usage_is_one_line_and_2(rebellion: Rebellion, words: list[str], complaint: str) -> None:
    run = rebellion(*words)
    (line,) = run.stderr.splitlines()
    assert run.returncode == 2
    assert line.startswith("rebellion: ")
    assert complaint in line


def test_show_is_toml_with_sources_and_without_secrets(rebellion: Rebellion, home: Path) -> None:
    path = configuration(home, "[agent]\nname = 'a'\n[sinks.websocket]\nurl = 'ws://hub:1/?token=hunter2'\n")
    run = rebellion("config", "show", REBELLION_AGENT__INTERVAL_S="5")
    assert run.returncode == 0, run.stderr
    shown = tomli.loads(run.stdout)
    assert shown["agent"]["interval_s"] == 5
    assert shown["sinks"]["websocket"]["breaker"]["probes"] == 1
    assert "hunter2" not in run.stdout
    lines = {line.split(" = ")[0]: line.split(" # ")[-1] for line in run.stdout.splitlines() if " = " in line}
    assert lines["name"] == str(path)
    assert lines["drain_s"] == "default"
    assert "interval_s = 5.0" in run.stdout
    assert "environment REBELLION_AGENT__INTERVAL_S" in run.stdout


def test_what_show_prints_loads_again_to_the_same(rebellion: Rebellion, home: Path) -> None:
    configuration(
        home,
        "[agent]\nlabels = {site = 'x', 'a b' = 'c'}\n[collectors.cpu]\nenabled = false\n"
        "[[sinks.websocket]]\nurl = 'ws://a:1'\n[[sinks.websocket]]\nurl = 'ws://b:1'\n[[policies]]\nstrategy = 'retry'\n",
    )
    first = rebellion("config", "show")
    copy = home / "copy.toml"
    copy.write_text(first.stdout)
    second = rebellion("config", "show", "--config", str(copy))
    assert second.returncode == 0, second.stderr
    assert tomli.loads(second.stdout) == tomli.loads(first.stdout)


@pytest.mark.parametrize("program", ["agent", "hub"])
def test_schema_is_json_schema_with_the_sections(rebellion: Rebellion, program: str) -> None:
    run = rebellion("config", "schema", program)
    assert run.returncode == 0, run.stderr
    definitions = json.loads(run.stdout)["$defs"]
    if program == "agent":
        sink = definitions["sinks.websocket"]
        assert sink["required"] == ["url"]
        assert {"url", "token_file", "breaker", "enabled"} <= set(sink["properties"])
        either = definitions["sinks"]["properties"]["websocket"]["anyOf"]
        (array,) = [one for one in either if one.get("type") == "array"]
        assert array["items"]["$ref"] == "#/$defs/sinks.websocket"
    else:
        assert definitions["HubSection"]["properties"]["listen"]["default"] == "127.0.0.1:8765"


def test_plugins_are_listed_and_shown(rebellion: Rebellion) -> None:
    listed = rebellion("plugins", "list")
    assert listed.returncode == 0, listed.stderr
    assert ["sinks", "websocket", "plugins.sinks.websocket"] in [line.split() for line in listed.stdout.splitlines()]
    shown = rebellion("plugins", "show", "sinks.websocket")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("[sinks.websocket]  (plugins.sinks.websocket)\n")
    assert "must be set" in shown.stdout
    unknown = rebellion("plugins", "show", "webscoket")
    assert unknown.returncode == 1
    assert "did you mean 'websocket'?" in unknown.stderr


def test_plugins_add_commands(rebellion: Rebellion, home: Path) -> None:
    folder = home / "plugins"
    folder.mkdir(mode=0o755)
    (folder / "polite.py").write_text(DROP_IN_PLUGIN)
    configuration(home, "[agent]\nplugins_dir = '../../plugins'\n")
    assert "say hello" in rebellion("--help").stdout
    run = rebellion("salute")
    assert (run.returncode, run.stdout) == (3, "hello\n")
    (listed,) = [line for line in rebellion("plugins", "list").stdout.splitlines() if line.startswith("commands ")]
    assert re.fullmatch(r"commands +polite +\S.*plugins/polite\.py", listed)


def test_help_survives_a_broken_configuration(rebellion: Rebellion, home: Path) -> None:
    configuration(home, "[agent\n")
    run = rebellion("--help")
    assert run.returncode == 0
    assert "collect" in run.stdout
    assert "is not TOML" in run.stderr


def test_reader_that_goes_away_is_no_error(home: Path, rebellion: Rebellion) -> None:
    code = "import sys; sys.argv[1:] = ['config', 'schema']; import agent.cli; sys.exit(agent.cli.main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=home,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])},
    )
    assert process.stdout is not None
    process.stdout.close()
    _, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, b"")


@pytest.mark.parametrize(
    "words", [["--help"], ["version"], ["config", "check"], ["config", "check", "hub"], ["plugins", "list"]]
)
def test_commands_that_only_look_import_nothing_heavy(home: Path, words: list[str]) -> None:
    code = (
        "import sys, agent.cli\n"
        "try:\n    agent.cli.main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    environ = {"HOME": str(home), "PYTHONPATH": path}
    run = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, env=environ)
    assert run.stderr == "[]\n"


def test_every_command_is_documented_and_nothing_else() -> None:
    offered = {" ".join(words) for words, parser in every_parser(build_parser([])) if parser.get_default("run")}
    text = (REPOSITORY / "docs/install.md").read_text()
    documented = set(re.findall(r"^\| `rebellion ([a-z ]+?)(?: [\[A-Z\]]+)*` \|", text, re.MULTILINE))
    assert documented == offered
