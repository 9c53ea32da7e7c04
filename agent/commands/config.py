"""The commands of `rebellion config`: they look and run nothing."""

from __future__ import annotations

import argparse
import json
import os
import sys

from agent.errors import ConfigError

__all__ = ["check_config", "print_schema", "show_config"]


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


def _names(sources: tuple[object, ...]) -> str:
    return ", ".join(map(str, sources)) or "no file (everything is a default)"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
