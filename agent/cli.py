"""The command `rebellion`. Commands import what they need when they run, so that `--help` and `config check` stay light."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import NoReturn, cast

from agent import __version__
from agent.errors import ConfigError, LoadError, RebellionError

__all__ = ["main"]

OK = 0
FAILURE = 1
USAGE = 2
BAD_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h; the units do not restart after it."""

Subparsers = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


class Parser(argparse.ArgumentParser):
    """argparse that complains in one line, with a suggestion."""

    def error(self, message: str) -> NoReturn:
        """Say what was wrong with the command line, and exit with 2."""
        wrong = re.search(r"invalid choice: '?([^' ]*)'? \(choose from (.*)\)", message)
        if wrong:
            close = get_close_matches(wrong[1], re.findall(r"[\w-]+", wrong[2]), n=1)
            message += f"; did you mean {close[0]!r}?" if close else ""
        self.exit(USAGE, f"rebellion: {message} ({self.prog} --help says more)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Errors are one line each on standard error, never a traceback.

    Args:
        argv: Words after `rebellion`; None = those of the process.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        args = _parser(words).parse_args(words)
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return 130
    except (RebellionError, OSError, ExceptionGroup) as error:
        return _report(error)
    return code


def _report(error: Exception) -> int:
    """Print what went wrong; the exit code that it means. What is no error of use is a defect and keeps its traceback."""
    leaves = list(_leaves(error))
    if not all(isinstance(leaf, RebellionError | OSError) for leaf in leaves):
        raise error
    for leaf in leaves:
        problems = leaf.problems if isinstance(leaf, ConfigError) else [leaf]
        for problem in problems:
            print("rebellion:", " ".join(str(problem).split()), file=sys.stderr)
    is_configuration = any(isinstance(leaf, ConfigError | LoadError) for leaf in leaves)
    return BAD_CONFIGURATION if is_configuration else FAILURE


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _parser(words: Sequence[str]) -> Parser:
    parser = Parser(prog="rebellion", description="A metrics agent that stays standing.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"rebellion {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add(commands, "agent", _agent, "collect and ship this host's metrics until SIGTERM", has_config=True)
    hub = _add(commands, "hub", _hub, "receive, keep and show the metrics of agents until SIGTERM", has_config=True)
    of_hub = hub.add_subparsers(title="commands", metavar="COMMAND")
    _add_backup_command(of_hub)
    _add_token_commands(of_hub)
    demo = _add(commands, "demo", _demo, "a hub and an agent on this host, live, until Ctrl-C")
    demo.add_argument("--port", type=int, default=0, help="port of the hub's page; 0 = 8765, or any when that is taken")
    collect = _add(commands, "collect", _collect, "print one tick of what would be sent", has_config=True)
    collect.add_argument("--json", action="store_true", help="one JSON object a series instead of a table")
    _add_replay_command(commands)
    _add_status_command(commands)
    _add_top_command(commands)
    _add_config_commands(commands)
    _add_plugins_commands(commands)
    _add_spool_commands(commands)
    _add_completion_command(commands)
    _add(commands, "man", _man, "print the manual page: rebellion man | man -l -")
    _add(commands, "version", _version, "print the version")
    first = next((word for word in words if not word.startswith("-")), "")
    if first not in commands.choices and (first or {"-h", "--help"} & set(words)):
        _add_commands_of_plugins(commands)
    return parser


def _add(
    commands: Subparsers[Parser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
    *,
    has_config: bool = False,
    config_default: str | None = None,
) -> Parser:
    """Add a command. `config_default` is SUPPRESS below a command that takes --config itself, so as not to forget it."""
    command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
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


def _add_status_command(commands: Subparsers[Parser]) -> None:
    from agent.commands import status as work

    text = "say whether the agent on this host is well; exit code 0 well, 1 degraded, 3 not running, 4 failing"
    status = _add(commands, "status", work.show_status, text, has_config=True)
    _add_port_options(status)
    status.add_argument("--json", action="store_true", help="print all that the agent's port tells, with the verdict")
    status.add_argument(
        "--min-score",
        type=float,
        default=work.MIN_SCORE,
        help="host health, 0..100, below which it is degraded; default 40",
    )
    status.add_argument(
        "--max-dropped-ratio",
        type=float,
        default=work.MAX_DROPPED_RATIO,
        help="share of a sink's points since the start that may have been dropped; default 0.01",
    )


def _add_replay_command(commands: Subparsers[Parser]) -> None:
    from agent.commands import replay as work

    text = "run a history from a CSV file through transformer and detector, and say what they see"
    replay = _add(commands, "replay", work.replay_file, text, has_config=True)
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
    top = _add(commands, "top", work.show_top, text, has_config=True)
    _add_port_options(top)
    top.add_argument("--interval", type=_seconds, default=1.0, metavar="SECONDS", help="ask so often; default 1")
    top.add_argument("--once", action="store_true", help="print one frame and end, as into a pipe")


def _seconds(text: str) -> float:
    """A length of time of the command line, > 0."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds > 0 (got {text!r})")
    return seconds


def _add_port_options(command: Parser) -> None:
    command.add_argument("--url", default="", help="where the agent's port is, instead of status.listen")
    command.add_argument("--timeout", type=_seconds, default=5.0, metavar="SECONDS", help="wait no longer; default 5")


def _add_config_commands(commands: Subparsers[Parser]) -> None:
    from agent.commands import config as work

    group = commands.add_parser("config", help="check or show the configuration", description="check or show it")
    inner = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, run, text in (
        ("check", work.check_config, "list every problem of the configuration"),
        ("show", work.show_config, "print what is in force and where it comes from; secrets are masked"),
        ("schema", work.print_schema, "print the JSON Schema of the file, the sections of plugins included"),
    ):
        command = _add(inner, name, run, text, has_config=True)
        command.add_argument(
            "program", nargs="?", choices=["agent", "hub"], default="agent", help="agent (default) or hub"
        )
    text = "print what differs: from the defaults; of FILE, from what is in force; of two files, between them"
    diff = _add(inner, "diff", work.diff_config, text, has_config=True)
    diff.add_argument("file", nargs="?", metavar="FILE", help="what it would change")
    diff.add_argument("other", nargs="?", metavar="OTHER", help="what this one has otherwise than FILE")
    diff.add_argument("--hub", action="store_true", help="they are the hub's")


def _add_plugins_commands(commands: Subparsers[Parser]) -> None:
    from agent.commands import plugins as work

    group = commands.add_parser(
        "plugins", help="list, explain or begin plugins", description="list, explain or begin plugins"
    )
    inner = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add(inner, "list", work.list_plugins, "every plugin that may be configured", has_config=True)
    show = _add(inner, "show", work.show_plugin, "what a plugin is and what its section may hold", has_config=True)
    show.add_argument("name", help="cpu, or collectors.cpu")
    _add_new_plugin_command(inner)


def _add_new_plugin_command(commands: Subparsers[Parser]) -> None:
    from agent.commands import new_plugin as work

    text = "write a distribution with a plugin that works and passes its kind's conformance suite"
    new = _add(commands, "new", work.new_plugin, text)
    kinds = [*work.KINDS, *(kind for kind in work.KINDS.values() if kind not in work.KINDS)]
    new.add_argument("kind", metavar="KIND", choices=kinds, help=", ".join(work.KINDS))
    new.add_argument("name", metavar="NAME", type=work.plugin_name, help="what it is called: lower_snake_case")
    new.add_argument("--dir", default=".", help="where its folder is made; default here")


def _add_spool_commands(commands: Subparsers[Parser]) -> None:
    from agent.commands import spool as work

    group = commands.add_parser("spool", help="look into or empty what waits on disk", description="what waits on disk")
    inner = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, run, text in (
        ("status", work.show_spool, "print how much lies there"),
        ("verify", work.verify_spool, "read everything and say how much is damaged"),
        ("drain", work.drain_spool, "send it and end; the agent must not be running"),
        ("export", work.export_spool, "print every record as JSON, one a line"),
    ):
        command = _add(inner, name, run, text, has_config=True)
        command.add_argument("--sink", default="", help="only this sink's")
        if name == "drain":
            command.add_argument("--seconds", type=float, default=60.0, help="give up after so many; default 60")


def _add_backup_command(commands: Subparsers[Parser]) -> None:
    from agent.commands.hub_backup import back_up_store

    text = "copy the store as it is at this moment, also while the hub runs"
    backup = _add(commands, "backup", back_up_store, text, has_config=True, config_default=argparse.SUPPRESS)
    backup.add_argument("destination", metavar="DEST", help="the folder to make; it must not exist yet")


def _add_token_commands(commands: Subparsers[Parser]) -> None:
    from agent.commands import token as work

    group = commands.add_parser("token", help="give agents their tokens", description="give agents their tokens")
    inner = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, run, text in (
        ("create", work.create_token, "make a token for an agent and print it, this once"),
        ("list", work.list_tokens, "print whose tokens are in force; the tokens themselves are not kept"),
        ("revoke", work.revoke_tokens, "remove an agent's tokens; it is disconnected within a second"),
    ):
        command = _add(inner, name, run, text, has_config=True, config_default=argparse.SUPPRESS)
        if name != "list":
            command.add_argument("agent", metavar="AGENT", help="the agent's name, as its agent.name says it")
        if name == "revoke":
            command.add_argument("--id", default="", help="only the token of this id; `list` prints them")


def _add_completion_command(commands: Subparsers[Parser]) -> None:
    from agent.commands.completion import SHELLS

    text = "print what completes this command's words in a shell"
    completion = _add(commands, "completion", _completion, text)
    completion.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def _add_commands_of_plugins(commands: Subparsers[Parser]) -> None:
    """Commands of the plugins that the usual configuration names; one that fails is named and costs only itself."""
    from agent.config.load import load_plugins

    try:
        manager, problems = load_plugins(None, os.environ)
    except RebellionError as error:
        _report(error)
        return
    errors = manager.add_commands(cast("Subparsers[argparse.ArgumentParser]", commands))
    for problem in (*problems, *errors):
        print(f"rebellion: {problem}", file=sys.stderr)


def _agent(args: argparse.Namespace) -> int:
    from agent.config.load import LoadedConfig, load_agent_config

    loaded = load_agent_config(args.config, os.environ)
    from agent.lean_start import start_lean

    start_lean(os.environ)
    from agent.app import run_agent
    from agent.logs import configure_logs

    def read_again() -> LoadedConfig:
        again = load_agent_config(args.config, os.environ)
        configure_logs(again.config.log, os.environ)
        return again

    configure_logs(loaded.config.log, os.environ)
    return run_agent(loaded, read_again)


def _hub(args: argparse.Namespace) -> int:
    from agent.config.load_hub import load_hub_config

    loaded = load_hub_config(args.config, os.environ)
    from agent.lean_start import start_lean

    start_lean(os.environ)
    from agent.hub_app import run_hub
    from agent.logs import configure_logs

    configure_logs(loaded.config.log, os.environ)
    return run_hub(loaded)


def _demo(args: argparse.Namespace) -> int:
    from agent.demo import run_demo

    return run_demo(args.port)


def _collect(args: argparse.Namespace) -> int:
    from agent.config.load import load_agent_config
    from agent.config.schema import LogSection

    loaded = load_agent_config(args.config, os.environ)
    from agent.logs import configure_logs
    from agent.one_tick import collect_once

    configure_logs(LogSection(level="warning", format=loaded.config.log.format), os.environ)
    return collect_once(loaded, as_json=args.json)


def _completion(args: argparse.Namespace) -> int:
    from agent.commands.completion import completion_script

    print(completion_script(_parser([]), args.shell), end="")
    return OK


def _man(_: argparse.Namespace) -> int:
    from agent.commands.manual import manual_page

    print(manual_page(_parser([]), __version__), end="")
    return OK


def _version(_: argparse.Namespace) -> int:
    print(f"rebellion {__version__}")
    return OK


if __name__ == "__main__":
    sys.exit(main())
