"""Collector `network`: what each interface carries, and what TCP and UDP make of it."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.api import CollectorContext, Register, hookimpl

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.network]`"""

    skip: tuple[str, ...] = ("veth", "cali", "ifb", "dummy", "sit", "ip6tnl", "tunl")
    proc_dir: str = "/proc"


def make(config: Config, context: CollectorContext) -> Any:
    """The collector."""
    from plugins.collectors.network.collector import Network

    return Network(config, context)


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("network", make, config=Config)
