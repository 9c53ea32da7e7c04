"""The commands of `rebellion config`: they look and run nothing."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.config.in_force import Section

__all__ = ["check_config", "diff_config", "print_schema", "show_config"]

_COLOUR = {"": "bold", "-": "red", "+": "green"}


def check_config(args: argparse.Namespace) -> int:
    """Say that the configuration is right, and what it comes to; a wrong one raises ConfigError."""
    if args.program == "hub":
        from agent.config.load_hub import load_hub_config

        hub = load_hub_config(args.config, os.environ)
        _say(f"hub: ok, listens on {hub.config.hub.listen}; read {_names(hub.sources)}")
        return 0
    from agent.config.load import load_agent_config

    agent = load_agent_config(args.config, os.environ)
    sinks = ", ".join(sink.name for sink in agent.sinks) or "none: nothing would be delivered"
    _say(f"agent: ok, {len(agent.collectors)} collectors, sinks: {sinks}; read {_names(agent.sources)}")
    return 0


def show_config(args: argparse.Namespace) -> int:
    """Print the configuration in force."""
    from agent.config.report import show_agent, show_hub

    if args.program == "hub":
        from agent.config.load_hub import load_hub_config

        sys.stdout.write(show_hub(load_hub_config(args.config, os.environ)))
    else:
        from agent.config.load import load_agent_config

        sys.stdout.write(show_agent(load_agent_config(args.config, os.environ)))
    return 0


def diff_config(args: argparse.Namespace) -> int:
    """Print what differs: from the defaults; of a file, from what is in force; of two files, between them."""
    from agent.colour import painter
    from agent.config.difference import between, from_defaults

    sections = _hub_sections if args.hub else _agent_sections
    if args.other:
        lines = between(sections([args.file]), sections([args.other]))
    elif args.file:
        lines = between(sections(args.config), sections([args.file]))
    else:
        lines = from_defaults(sections(args.config))
    paint, differs = painter(sys.stdout, os.environ), False
    for line in lines:
        differs = True
        text = f"{line.sign:<2}{line.text}"
        _say(paint(f"{text:<48} # {line.source}" if line.source else text, _COLOUR[line.sign]))
    if not differs:
        _say("# nothing differs")
    return 0


def print_schema(args: argparse.Namespace) -> int:
    """Print the JSON Schema of agent.toml or hub.toml."""
    from agent.config.load import load_plugins
    from agent.config.report import agent_schema, hub_schema

    if args.program == "hub":
        schema = hub_schema()
    else:
        manager, problems = load_plugins(args.config, os.environ)
        if problems:
            raise ConfigError(problems)
        schema = agent_schema(manager)
    _say(json.dumps(schema, indent=2))
    return 0


def _agent_sections(paths: Sequence[str] | None) -> list[Section]:
    from agent.config.in_force import agent_sections
    from agent.config.load import load_agent_config

    return list(agent_sections(load_agent_config(paths, os.environ)))


def _hub_sections(paths: Sequence[str] | None) -> list[Section]:
    from agent.config.in_force import hub_sections
    from agent.config.load_hub import load_hub_config

    return list(hub_sections(load_hub_config(paths, os.environ)))


def _names(sources: tuple[object, ...]) -> str:
    return ", ".join(map(str, sources)) or "no file (everything is a default)"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
