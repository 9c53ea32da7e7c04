"""The commands of `rebellion hub token`: giving agents their tokens and taking them away."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.clock import SystemClock
from agent.errors import RebellionError

if TYPE_CHECKING:
    from agent.hub.tokens import TokenFile

__all__ = ["create_token", "list_tokens", "revoke_tokens"]


def create_token(args: argparse.Namespace) -> int:
    """Print a new token for an agent."""
    now = datetime.fromtimestamp(SystemClock.wall_ns() // 10**9, UTC)
    _say(_file(args).create(args.agent, f"{now:%Y-%m-%dT%H:%M:%SZ}"))
    return 0


def list_tokens(args: argparse.Namespace) -> int:
    """Print agent, id and time of making of each token."""
    for entry in _file(args).read():
        _say(f"{entry.agent}  {entry.id}  {entry.created or 'unknown'}{'' if entry.is_hashed else '  in clear'}")
    return 0


def revoke_tokens(args: argparse.Namespace) -> int:
    """Remove an agent's tokens.

    Raises:
        RebellionError: It has none, or none of that id.
    """
    file = _file(args)
    count = file.revoke(args.agent, args.id)
    if not count:
        which = f"no token {args.id!r}" if args.id else "no token"
        raise RebellionError(f"{file.path}: agent {args.agent!r} has {which}; `rebellion hub token list` shows them")
    _say(f"{count} revoked")
    return 0


def _file(args: argparse.Namespace) -> TokenFile:
    from agent.config.load_hub import agent_tokens_path
    from agent.hub.tokens import TokenFile

    return TokenFile(agent_tokens_path(args.config, os.environ))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
