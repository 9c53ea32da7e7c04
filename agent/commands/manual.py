"""`rebellion man`: the manual page, written from the parser, so that it says what the command does."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from agent.commands.completion import every_parser

__all__ = ["manual_page"]

_DESCRIPTION = """
Reads this host once a second, looks at every series, and ships what it saw to a hub, which stores it and shows it live.
Whatever fails costs itself only, and nothing is lost without being counted.
"""
_EXIT_STATUS = (
    ("0", "All is well."),
    ("1", "It failed; one line on standard error says why. Of `status`: degraded."),
    ("2", "The command line is wrong."),
    ("3", "Of `status` and `top`: no agent answers."),
    ("4", "Of `status`: failing."),
    ("78", "The configuration is wrong; there is a line for each problem. A service does not restart after it."),
)
_ENVIRONMENT = (
    ("REBELLION_SECTION__KEY", "Sets a key of the configuration, over every file: REBELLION_AGENT__INTERVAL_S=5."),
    ("STATE_DIRECTORY", "Where what must outlive the process is kept; set by systemd."),
    ("CREDENTIALS_DIRECTORY", "Where a *_file key without a folder is looked for first; set by systemd."),
    ("XDG_CONFIG_HOME, XDG_STATE_HOME", "A user's own configuration and state, below `rebellion`."),
    ("NO_COLOR", "No colours, not even on a terminal."),
)
_FILES = (
    ("/etc/rebellion/agent.toml, /etc/rebellion/agent.d/*.toml", "The agent's configuration; later files win."),
    ("/etc/rebellion/hub.toml, /etc/rebellion/hub.d/*.toml", "The hub's."),
    ("/var/lib/rebellion", "State of the services: spools, breakers, the hub's store."),
)
_EXAMPLES = (
    ("rebellion demo", "A hub and an agent on this host, to look at."),
    ("rebellion collect", "What would be sent."),
    ("rebellion config check && systemctl reload rebellion-agent", "Take over a new configuration."),
    ("rebellion status || echo look", "For monitoring."),
)


def manual_page(parser: argparse.ArgumentParser, version: str) -> str:
    """Section 1, as troff with the man macros.

    Args:
        parser: Of the whole command.
        version: Of the program; stands in the page's foot.
    """
    about = (parser.description or "").rstrip(".")
    lines = [
        f'.TH REBELLION 1 "" "rebellion {_text(version)}" "Rebellion agent"',
        '.SH "NAME"',
        f"rebellion \\- {_text(about[:1].lower() + about[1:])}",
        '.SH "SYNOPSIS"',
        r"\fBrebellion\fR \fICOMMAND\fR [\fIARGUMENT\fR ...]",
        '.SH "DESCRIPTION"',
        _text(" ".join(_DESCRIPTION.split())),
        '.SH "COMMANDS"',
    ]
    for words, inner in every_parser(parser):
        if words and inner.get_default("run"):
            lines += _command(inner)
    for title, rows in (
        ("EXIT STATUS", _EXIT_STATUS),
        ("ENVIRONMENT", _ENVIRONMENT),
        ("FILES", _FILES),
        ("EXAMPLES", _EXAMPLES),
    ):
        lines += [f'.SH "{title}"', *(line for name, text in rows for line in _item(rf"\fB{_text(name)}\fR", text))]
    return "\n".join(lines) + "\n"


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    """One command: how it is called, what it does, its arguments."""
    yield f'.SS "{_text(_usage(parser))}"'
    text = parser.description or ""
    yield _text(text[:1].upper() + text[1:] + ("" if text.endswith(".") else "."))
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to look at a parser
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):  # noqa: SLF001
            continue
        yield from _item(_call(action), (action.help or "") % {**vars(action), "prog": parser.prog})


def _usage(parser: argparse.ArgumentParser) -> str:
    """`rebellion plugins new [--dir DIR] KIND NAME`"""
    usage = " ".join(parser.format_usage().split()).removeprefix("usage: ")
    return re.sub(r" \[-h\]| COMMAND \.\.\.| \{[^}]*\} \.\.\.", "", usage)


def _call(action: argparse.Action) -> str:
    """How an argument is written: options bold, what stands for a value in italics."""
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    value = rf"\fI{_text(value)}\fR"
    if not action.option_strings:
        return value
    names = ", ".join(rf"\fB{_text(name)}\fR" for name in action.option_strings)
    return names if action.nargs == 0 else f"{names} {value}"


def _item(head: str, text: str) -> Iterator[str]:
    yield ".TP"
    yield head
    yield _text(text)


def _text(text: str) -> str:
    r"""Text that troff takes literally: a dash is one that can be copied, a line does not begin with a request."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq").replace("`", "")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped
