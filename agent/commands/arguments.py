"""Every command with its arguments. Commands import what they need when they run, so that `--help` stays light."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import cast

from agent import __version__
from agent.commands import program
from agent.commands.complaint import complain
from agent.commands.parser import Formatter, Parser, Subparsers, add_command, add_group, http_url, port, seconds
from agent.errors import RebellionError

__all__ = ["build_parser"]


def build_parser(words: Sequence[str]) -> Parser:
    """The parser of the whole command.

    Args:
        words: What it will read; commands of plugins are added only when these ask for help or for a command unknown here.
    """
    parser = Parser(
        prog="rebellion",
        description="A metrics agent that stays standing.",
        epilog="rebellion COMMAND --help says more of each; so does man rebellion.",
        allow_abbrev=False,
        formatter_class=Formatter,
    )
    parser.add_argument("--version", action="version", version=f"rebellion {__version__}", help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_programs(commands)
    _add_replay_command(commands)
    _add_status_command(commands)
    _add_top_command(commands)
    _add_config_commands(commands)
    _add_plugins_commands(commands)
    _add_spool_commands(commands)
    _add_completion_command(commands)
    add_command(commands, "man", program.print_manual, "print the manual page, for man -l -")
    add_command(commands, "version", program.print_version, "print the version")
    first = next((word for word in words if not word.startswith("-")), "")
    if first not in commands.choices and (first or {"-h", "--help"} & set(words)):
        _add_commands_of_plugins(commands)
    return parser


def _add_programs(commands: Subparsers[Parser]) -> None:
    text = "collect and ship this host's metrics until SIGTERM"
    add_command(commands, "agent", program.run_agent_here, text, has_config=True)
    text = "receive, keep and show the metrics of agents until SIGTERM"
    hub = add_command(commands, "hub", program.run_hub_here, text, has_config=True)
    of_hub = hub.add_subparsers(title="commands", metavar="COMMAND")
    _add_backup_command(of_hub)
    _add_token_commands(of_hub)
    demo = add_command(commands, "demo", program.show_demo, "a hub and an agent on this host, live, until Ctrl-C")
    demo.add_argument(
        "--port", type=port, default=0, help="port of the hub's page; 0 = 8765, or any when that is taken"
    )
    text = "print one tick of what would be sent"
    collect = add_command(commands, "collect", program.collect_tick, text, has_config=True)
    collect.add_argument("--json", action="store_true", help="one JSON object a series instead of a table")


def _add_status_command(commands: Subparsers[Parser]) -> None:
    from agent.commands import status as work

    text = "say whether the agent on this host is well; exit code 0 well, 1 degraded, 3 not running, 4 failing"
    status = add_command(commands, "status", work.show_status, text, has_config=True)
    _add_port_options(status)
    status.add_argument("--json", action="store_true", help="print all that the agent's port tells, with the verdict")
    status.add_argument(
        "--min-score",
        type=float,
        default=work.MIN_SCORE,
        metavar="SCORE",
        help="host health, 0..100, below which it is degraded; default 40",
    )
    status.add_argument(
        "--max-dropped-ratio",
        type=float,
        default=work.MAX_DROPPED_RATIO,
        metavar="RATIO",
        help="share of a sink's points since the start that may have been dropped; default 0.01",
    )


def _add_replay_command(commands: Subparsers[Parser]) -> None:
    from agent.commands import replay as work

    text = "run a history from a CSV file through transformer and detector, and say what they see"
    replay = add_command(commands, "replay", work.replay_file, text, has_config=True)
    replay.add_argument("file", metavar="FILE", help="first column: time (Unix seconds or ISO 8601); others: values")
    replay.add_argument("--detector", default="", help="judge by this one instead of transformer.detector")
    replay.add_argument("--limit", type=float, default=None, help="say when each series will reach this value")
    replay.add_argument("--ahead", type=int, default=None, metavar="ROWS", help="forecast so many; default 12 to 288")
    replay.add_argument("--json", action="store_true", help="print one JSON object instead of a summary")
    replay.add_argument("--svg", default="", metavar="OUT.svg", help="draw values, forecast, scores and alerts")
    replay.add_argument("--scores", default="", metavar="OUT.csv", help="write score and alert of every row")


def _add_top_command(commands: Subparsers[Parser]) -> None:
    from agent.commands import top as work

    text = "show the agent on this host, live in the terminal, until q"
    top = add_command(commands, "top", work.show_top, text, has_config=True)
    _add_port_options(top)
    top.add_argument("--interval", type=seconds, default=1.0, metavar="SECONDS", help="ask so often; default 1")
    top.add_argument("--once", action="store_true", help="print one frame and end, as into a pipe")


def _add_port_options(command: Parser) -> None:
    command.add_argument("--url", type=http_url, help="where the agent's port is, instead of status.listen")
    command.add_argument("--timeout", type=seconds, default=5.0, metavar="SECONDS", help="wait no longer; default 5")


def _add_config_commands(commands: Subparsers[Parser]) -> None:
    from agent.commands import config as work

    inner = add_group(commands, "config", "check, show or compare the configuration")
    for name, run, text in (
        ("check", work.check_config, "list every problem of the configuration"),
        ("show", work.show_config, "print what is in force and where it comes from; secrets are masked"),
        ("schema", work.print_schema, "print the JSON Schema of the file, the sections of plugins included"),
    ):
        command = add_command(inner, name, run, text, has_config=True)
        command.add_argument(
            "program", nargs="?", choices=["agent", "hub"], default="agent", help="agent (default) or hub"
        )
    text = "print what differs: from the defaults; of FILE, from what is in force; of two files, between them"
    diff = add_command(inner, "diff", work.diff_config, text, has_config=True)
    diff.add_argument("file", nargs="?", metavar="FILE", help="what it would change")
    diff.add_argument("other", nargs="?", metavar="OTHER", help="what this one has otherwise than FILE")
    diff.add_argument("--hub", action="store_true", help="they are the hub's")


def _add_plugins_commands(commands: Subparsers[Parser]) -> None:
    from agent.commands import plugins as work

    inner = add_group(commands, "plugins", "list, explain or begin plugins")
    add_command(inner, "list", work.list_plugins, "every plugin that may be configured", has_config=True)
    show = add_command(
        inner, "show", work.show_plugin, "what a plugin is and what its section may hold", has_config=True
    )
    show.add_argument("name", metavar="NAME", help="cpu, or collectors.cpu")
    _add_new_plugin_command(inner)


def _add_new_plugin_command(commands: Subparsers[Parser]) -> None:
    from agent.commands import new_plugin as work

    text = "write a distribution with a plugin that works and tests that pass"
    new = add_command(commands, "new", work.new_plugin, text)
    kinds = [*work.KINDS, *(kind for kind in work.KINDS.values() if kind not in work.KINDS)]
    new.add_argument("kind", metavar="KIND", choices=kinds, help=", ".join(work.KINDS))
    new.add_argument("name", metavar="NAME", type=work.plugin_name, help="what it is called: lower_snake_case")
    new.add_argument("--dir", default=".", help="where its folder is made; default here")


def _add_spool_commands(commands: Subparsers[Parser]) -> None:
    from agent.commands import spool as work

    inner = add_group(commands, "spool", "look into or empty what waits on disk")
    for name, run, text in (
        ("status", work.show_spool, "print how much lies there"),
        ("verify", work.verify_spool, "read everything and say how much is damaged"),
        ("drain", work.drain_spool, "send it and end; the agent must not be running"),
        ("export", work.export_spool, "print every record as JSON, one a line"),
    ):
        command = add_command(inner, name, run, text, has_config=True)
        command.add_argument("--sink", default="", help="only this sink's")
        if name == "drain":
            command.add_argument(
                "--seconds", type=seconds, default=60.0, metavar="SECONDS", help="give up after so many; default 60"
            )


def _add_backup_command(commands: Subparsers[Parser]) -> None:
    from agent.commands.hub_backup import back_up_store

    text = "copy the store as it is at this moment, also while the hub runs"
    backup = add_command(commands, "backup", back_up_store, text, has_config=True, config_default=argparse.SUPPRESS)
    backup.add_argument("destination", metavar="DEST", help="the folder to make; it must not exist yet")


def _add_token_commands(commands: Subparsers[Parser]) -> None:
    from agent.commands import token as work

    inner = add_group(commands, "token", "give agents their tokens")
    for name, run, text in (
        ("create", work.create_token, "make a token for an agent and print it, this once"),
        ("list", work.list_tokens, "print whose tokens are in force; the tokens themselves are not kept"),
        ("revoke", work.revoke_tokens, "remove an agent's tokens; it is disconnected within a second"),
    ):
        command = add_command(inner, name, run, text, has_config=True, config_default=argparse.SUPPRESS)
        if name != "list":
            command.add_argument("agent", metavar="AGENT", help="the agent's name, as its agent.name says it")
        if name == "revoke":
            command.add_argument("--id", default="", help="only the token of this id; `list` prints them")


def _add_completion_command(commands: Subparsers[Parser]) -> None:
    from agent.commands.completion import SHELLS

    text = "print what completes this command's words in a shell"
    completion = add_command(commands, "completion", program.print_completion, text)
    completion.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def _add_commands_of_plugins(commands: Subparsers[Parser]) -> None:
    """Commands of the plugins that the usual configuration names; one that fails is named and costs only itself."""
    from agent.config.load import load_plugins

    try:
        manager, problems = load_plugins(None, os.environ)
    except RebellionError as error:
        complain(error)
        return
    errors = manager.add_commands(cast("Subparsers[argparse.ArgumentParser]", commands))
    for problem in (*problems, *errors):
        sys.stderr.write(f"rebellion: {problem}\n")
