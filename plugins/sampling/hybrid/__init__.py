"""Sampling strategy `hybrid`, the default."""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent.api import PluginContext, Register, Sampler, hookimpl

__all__ = ["Config", "make", "rebellion_register_sampling_strategies"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sampling.hybrid]`"""

    newest_ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1


def make(config: Config, _context: PluginContext) -> Sampler:
    """Build the strategy."""
    from plugins.sampling.hybrid.sampler import Hybrid

    return Hybrid(config.newest_ratio)


@hookimpl
def rebellion_register_sampling_strategies(register: Register) -> None:
    register("hybrid", make, Config)
