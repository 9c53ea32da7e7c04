"""`rebellion top` in a real terminal, against real agents."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest
from small_agent import FILE_SINK, NO_HUB, agent
from terminal import Terminal

NOBODY = "http://127.0.0.1:9/"
COLOUR = re.compile(rb"\x1b\[[0-9;]*(3[0-7]|38;[0-9;]+|4[0-7]|48;[0-9;]+)m")


def once(*words: str, code: str = "pass", **environ: str) -> subprocess.CompletedProcess[bytes]:
    program = f"import sys; {code}; from agent.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "top", *words]
    return subprocess.run(command, capture_output=True, env={**os.environ, **environ})


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Port of an agent whose only sink is down."""
    with agent(tmp_path_factory.mktemp("agent"), NO_HUB) as running:
        yield running.wait_for("status.listening")["address"]
        assert running.end() == 0


def test_it_shows_the_agent_follows_the_size_and_leaves_the_terminal_as_it_was(address):
    with Terminal("top", "--url", address, "--interval", "0.1") as terminal:
        for part in (
            "web1 ",
            "host ",
            r"points/s \d",
            "websocket +● ",
            "PRESSURE",
            "anomalies",
            "load +● CLOSED",
            "q quits",
        ):
            terminal.wait_for(part)
        terminal.wait_for("sink:websocket is OPEN")
        assert max(map(len, terminal.text.splitlines())) <= 80
        assert terminal.output.startswith(b"\x1b[?1049h")
        assert terminal.mode() != terminal.mode_before
        terminal.resize(160, 50)
        terminal.forget()
        terminal.wait_for("COLLECTOR .{60,} TIME ")
        terminal.type(b"x\x1b[Aq")
        assert terminal.wait() == 0
        assert terminal.output.endswith(b"\x1b[?1049l")
        assert b"\x1b[?25h" in terminal.output
        assert terminal.mode() == terminal.mode_before


@pytest.mark.parametrize("end", [b"\x03", b"\x04", signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_every_way_out_is_clean(address, end):
    with Terminal("top", "--url", address) as terminal:
        terminal.wait_for("websocket")
        if isinstance(end, bytes):
            terminal.type(end)
        else:
            terminal.process.send_signal(end)
        assert terminal.wait() == 0
        assert terminal.output.endswith(b"\x1b[?1049l")
        assert b"Traceback" not in terminal.output
        assert terminal.mode() == terminal.mode_before


@pytest.mark.parametrize("no_colour", [False, True])
def test_colours_are_for_terminals_that_want_them(address, no_colour):
    with Terminal("top", "--url", address, **({"NO_COLOR": "1"} if no_colour else {})) as terminal:
        terminal.wait_for("q quits")
        assert bool(COLOUR.search(terminal.output)) is not no_colour
        terminal.type(b"q")
        assert terminal.wait() == 0


def test_an_agent_that_is_not_there_is_waited_for_and_one_that_goes_away_is_told(tmp_path):
    with Terminal("top", "--url", NOBODY, "--interval", "0.1") as terminal:
        terminal.wait_for("no agent answers at .*(\n.*)*asking again")
        terminal.type(b"q")
        assert terminal.wait() == 0
    with agent(tmp_path, FILE_SINK) as running:
        url = running.wait_for("status.listening")["address"]
        with Terminal("top", "--url", url, "--interval", "0.1") as terminal:
            terminal.wait_for("load +● CLOSED")
            assert running.end() == 0
            terminal.wait_for("not live: no agent answers")
            terminal.wait_for("file +● CLOSED")
            terminal.type(b"q")
            assert terminal.wait() == 0


@pytest.mark.parametrize("words", [["--once"], []])
def test_into_a_pipe_it_is_one_frame_of_plain_text(address, words):
    said = once("--url", address, *words, COLUMNS="100", PYTHONUTF8="1", FORCE_COLOR="")
    assert (said.returncode, said.stderr) == (0, b"")
    lines = said.stdout.decode().splitlines()
    assert lines[0].startswith("web1 ● ")
    assert {"SINK", "PRESSURE", "COLLECTOR", "TIME"} <= {line.split(" ")[0] for line in lines}
    assert max(map(len, lines)) <= 100
    assert b"\x1b" not in said.stdout


def test_a_terminal_without_unicode_gets_none(address):
    said = once("--url", address, "--once", PYTHONIOENCODING="ascii")
    assert said.returncode == 0, said.stderr
    assert said.stdout.decode("ascii").startswith("web1 * ")


def test_one_frame_of_nobody_is_3_and_one_line():
    said = once("--once", "--url", NOBODY)
    assert said.returncode == 3
    assert re.fullmatch(rb"rebellion: no agent answers at .*systemctl status rebellion-agent\n", said.stderr)


def test_without_the_extra_it_says_how_to_install_it():
    said = once("--url", NOBODY, code="sys.modules['rich'] = None; sys.modules['rich.console'] = None")
    assert said.returncode == 1
    assert said.stderr == b"rebellion: top needs the package rich: pip install 'rebellion-agent[tui]'\n"


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "inf"])
def test_a_time_that_is_none_is_refused(seconds):
    said = once(f"--interval={seconds}")
    assert said.returncode == 2
    assert f"must be a number of seconds > 0 (got {seconds!r})".encode() in said.stderr
