"""The commands that run a program, or say what this one is. Each imports what it needs when it runs."""

from __future__ import annotations

import argparse
import os
import sys

from agent import __version__

__all__ = [
    "collect_tick",
    "print_completion",
    "print_manual",
    "print_version",
    "run_agent_here",
    "run_hub_here",
    "show_demo",
]


def run_agent_here(args: argparse.Namespace) -> int:
    """Collect and ship until SIGTERM."""
    from agent.lean_start import keep_heap_small, start_lean

    start_lean(os.environ)
    keep_heap_small(os.environ)
    from agent.config.load import LoadedConfig, load_agent_config

    loaded = load_agent_config(args.config, os.environ)
    from agent.app import run_agent
    from agent.logs import configure_logs

    def read_again() -> LoadedConfig:
        again = load_agent_config(args.config, os.environ)
        configure_logs(again.config.log, os.environ)
        return again

    configure_logs(loaded.config.log, os.environ)
    return run_agent(loaded, read_again)


def run_hub_here(args: argparse.Namespace) -> int:
    """Receive, keep and show until SIGTERM."""
    from agent.lean_start import start_lean

    start_lean(os.environ)
    from agent.config.load_hub import load_hub_config

    loaded = load_hub_config(args.config, os.environ)
    from agent.hub_app import run_hub
    from agent.logs import configure_logs

    configure_logs(loaded.config.log, os.environ)
    return run_hub(loaded)


def show_demo(args: argparse.Namespace) -> int:
    """A hub and an agent, live, until Ctrl-C."""
    from agent.demo import run_demo

    return run_demo(args.port)


def collect_tick(args: argparse.Namespace) -> int:
    """Print one tick of what would be sent."""
    from agent.config.load import load_agent_config
    from agent.config.schema import LogSection

    loaded = load_agent_config(args.config, os.environ)
    from agent.logs import configure_logs
    from agent.one_tick import collect_once

    configure_logs(LogSection(level="warning", format=loaded.config.log.format), os.environ)
    return collect_once(loaded, as_json=args.json)


def print_completion(args: argparse.Namespace) -> int:
    """Print what completes the command's words in a shell."""
    from agent.commands.arguments import build_parser
    from agent.commands.completion import completion_script

    sys.stdout.write(completion_script(build_parser([]), args.shell))
    return 0


def print_manual(_: argparse.Namespace) -> int:
    """Print the manual page."""
    from agent.commands.arguments import build_parser
    from agent.commands.manual import manual_page

    sys.stdout.write(manual_page(build_parser([]), __version__))
    return 0


def print_version(_: argparse.Namespace) -> int:
    """Print the version."""
    sys.stdout.write(f"rebellion {__version__}\n")
    return 0
