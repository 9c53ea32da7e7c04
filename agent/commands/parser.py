"""The parts that every command's arguments are made of: the parser, and values that are checked while it reads."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import NoReturn

from agent.addresses import check_http_url

__all__ = ["Formatter", "Parser", "Subparsers", "add_command", "add_group", "http_url", "port", "seconds"]

USAGE = 2
HELP_COLUMN = 28

Subparsers = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


class Parser(argparse.ArgumentParser):
    """argparse that complains in one line, with a suggestion."""

    def error(self, message: str) -> NoReturn:
        """Say what was wrong with the command line, and exit with 2."""
        from difflib import get_close_matches

        wrong = re.search(r"invalid choice: '?([^' ]*)'? \(choose from (.*)\)", message)
        if wrong:
            close = get_close_matches(wrong[1], re.findall(r"[\w-]+", wrong[2]), n=1)
            message += f"; did you mean {close[0]!r}?" if close else ""
        self.exit(USAGE, f"rebellion: {message} ({self.prog} --help says more)\n")


class Formatter(argparse.HelpFormatter):
    """How help is laid out: names of up to 24 letters beside what they mean, with room for the indent that argparse forgets."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=HELP_COLUMN)

    def add_argument(self, action: argparse.Action) -> None:
        """Take an argument in, and the width that it needs."""
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - see `Subparsers`
            self._action_max_length += self._indent_increment


def add_command(
    commands: Subparsers[Parser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
    *,
    has_config: bool = False,
    config_default: str | None = None,
) -> Parser:
    """Add a command. `config_default` is SUPPRESS below a command that takes --config itself, so as not to forget it."""
    command = _added(commands, name, text)
    command.set_defaults(run=run)
    if has_config:
        command.add_argument(
            "--config",
            action="append",
            default=config_default,
            metavar="PATH",
            help="file (with its NAME.d/*.toml) or folder to read instead of the usual ones; may be repeated",
        )
    return command


def add_group(commands: Subparsers[Parser], name: str, text: str) -> Subparsers[Parser]:
    """Add a word that only has commands below it."""
    group = _added(commands, name, text)
    return group.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _added(commands: Subparsers[Parser], name: str, text: str) -> Parser:
    sentence = f"{text[0].upper()}{text[1:]}."
    return commands.add_parser(name, help=text, description=sentence, allow_abbrev=False, formatter_class=Formatter)


def seconds(text: str) -> float:
    """A length of time, > 0.

    Raises:
        ArgumentTypeError: It is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds > 0 (got {text!r})")
    return value


def port(text: str) -> int:
    """A port of TCP, 0..65535.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a port, 0..65535 (got {text!r})")
    return int(text)


def http_url(text: str) -> str:
    """An address that can be asked.

    Raises:
        ArgumentTypeError: It is none.
    """
    try:
        return check_http_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("url ")) from None
