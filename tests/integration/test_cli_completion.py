"""Completion as bash does it, and the manual page as man shows it, both made by the command itself."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from agent import __version__
from agent.commands.arguments import build_parser
from agent.commands.completion import SHELLS, completion_script, every_parser
from agent.commands.manual import manual_page


def rebellion(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "agent.cli", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The completion of bash, as the command prints it."""
    path = tmp_path_factory.mktemp("completion") / "rebellion"
    path.write_text(rebellion("completion", "bash"))
    return path


def completed(script, line, folder="."):
    """What bash offers for the last word of a line, asked as its readline does it."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    program = f"""
        source {shlex.quote(str(script))}
        function_of=$(complete -p rebellion | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1} COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}
        "$function_of" rebellion {shlex.quote(words[-1])} {shlex.quote(words[-2])}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    bash = ["bash", "--norc", "--noprofile", "-c", program]
    done = subprocess.run(bash, capture_output=True, text=True, cwd=folder, env={"PATH": os.environ["PATH"]})
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("rebellion conf", {"config"}),
        ("rebellion s", {"status", "spool"}),
        ("rebellion config d", {"diff"}),
        ("rebellion hub token r", {"revoke"}),
        ("rebellion plugins new d", {"detector", "detectors"}),
        ("rebellion completion ", {*SHELLS}),
        ("rebellion top --on", {"--once"}),
        ("rebellion plugins new --d", {"--dir"}),
    ],
)
def test_bash_completes_commands_options_and_choices(script, line, offered):
    found = completed(script, line)
    assert offered <= found
    assert all(word.startswith(shlex.split(line + "x")[-1].removesuffix("x")) for word in found)


def test_bash_completes_files_and_folders(script, tmp_path):
    (tmp_path / "agent.toml").touch()
    (tmp_path / "agent.d").mkdir()
    assert {"agent.toml", "agent.d"} <= completed(script, "rebellion status --config agent", tmp_path)
    assert "agent.toml" in completed(script, "rebellion config diff ag", tmp_path)
    assert completed(script, "rebellion plugins new --dir a", tmp_path) == {"agent.d"}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_is_told_every_command_and_option(shell):
    told = completion_script(build_parser([]), shell)
    for words, parser in every_parser(build_parser([])):
        assert all(re.search(rf"\b{word}\b", told) for word in words)
        for action in parser._actions:
            for option in (name for name in action.option_strings if name.startswith("--")):
                assert re.search(rf"(--|-l ){option[2:]}\b", told), f"{words} {option}"


@pytest.mark.parametrize(("shell", "check"), [("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])])
def test_the_scripts_are_good_where_their_shell_is_installed(shell, check, tmp_path):
    path = tmp_path / "script"
    path.write_text(completion_script(build_parser([]), shell))
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, *check, path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_shell_that_is_not_known_is_one_line():
    done = subprocess.run([sys.executable, "-m", "agent.cli", "completion", "bsh"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "did you mean 'bash'?" in done.stderr


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("man") / "rebellion.1"
    path.write_text(rebellion("man"))
    return path


def shown(page, *command):
    done = subprocess.run(
        [*command, page], capture_output=True, text=True, env={**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    return re.sub(r".\x08|\x1b\[[0-9;]*m", "", done.stdout)


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_finds_nothing_to_warn_of_and_shows_every_command_and_option(page):
    text = shown(page, "groff", "-man", "-Tutf8", "-ww", "-rLL=200n")
    told = " ".join(text.replace("\N{HYPHEN}", "-").split())
    for words, parser in every_parser(build_parser([])):
        if words and parser.get_default("run"):
            assert f"rebellion {' '.join(words)}" in told
        for action in parser._actions:
            if words and action.help and not isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
                assert all(option in told for option in action.option_strings)
                assert " ".join(action.help.replace("`", "").split()) in told, action.dest
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES"):
        assert re.search(f"^{heading}$", text, re.MULTILINE)
    assert f"rebellion {__version__}" in text


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_man_shows_it(page):
    assert "a metrics agent that stays standing" in shown(page, "man", "--warnings", "-l")


def test_what_troff_would_take_for_a_request_is_text():
    parser = argparse.ArgumentParser(prog="rebellion", description="It stands.", add_help=False)
    inner = parser.add_subparsers().add_parser("x", description='.hidden says "no" \\ and -- so on', add_help=False)
    inner.set_defaults(run=print)
    inner.add_argument("--a-b", help="'quoted' 100 %% of %(dest)s")
    written = manual_page(parser, "1.0").splitlines()
    assert "rebellion \\- it stands" in written
    assert '.SS "rebellion x [\\-\\-a\\-b A_B]"' in written
    assert "\\&.hidden says \\(dqno\\(dq \\e and \\-\\- so on." in written
    assert "\\fB\\-\\-a\\-b\\fR \\fIA_B\\fR" in written
    assert "\\&'quoted' 100 % of a_b" in written
