"""Sampling strategy `reservoir`: a fair draw from everything produced."""

from __future__ import annotations

from agent.api import PluginContext, Register, Sampler, hookimpl

__all__ = ["make", "rebellion_register_sampling_strategies"]


def make(_config: None, context: PluginContext) -> Sampler:
    """Build the strategy."""
    from plugins.sampling.reservoir.sampler import Reservoir

    return Reservoir(context.rng)


@hookimpl
def rebellion_register_sampling_strategies(register: Register) -> None:
    register("reservoir", make)
