"""Colours where they are wanted."""

from __future__ import annotations

import io

import pytest

from agent.colour import painter


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_colours():
    assert painter(Terminal(), {"TERM": "xterm"})("x", "red") == "\x1b[31mx\x1b[0m"
    assert painter(Terminal(), {"NO_COLOR": ""})("x", "bold") == "\x1b[1mx\x1b[0m"


@pytest.mark.parametrize(
    ("stream", "environ"), [(io.StringIO(), {}), (Terminal(), {"NO_COLOR": "1"}), (Terminal(), {"TERM": "dumb"})]
)
def test_nobody_else_does(stream, environ):
    assert painter(stream, environ)("x", "red") == "x"
