"""Sampling strategy `aggregate`: one number for many."""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.api import PluginContext, Register, Sampler, hookimpl

__all__ = ["Config", "make", "rebellion_register_sampling_strategies"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sampling.aggregate]`"""

    function: Literal["mean", "min", "max", "last"] = "mean"


def make(config: Config, _context: PluginContext) -> Sampler:
    """Build the strategy."""
    from plugins.sampling.aggregate.sampler import Aggregate

    return Aggregate(config.function)


@hookimpl
def rebellion_register_sampling_strategies(register: Register) -> None:
    register("aggregate", make, Config)
