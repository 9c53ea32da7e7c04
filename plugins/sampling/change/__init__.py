"""Sampling strategy `change`: what shows the course best."""

from __future__ import annotations

from agent.api import PluginContext, Register, Sampler, hookimpl

__all__ = ["make", "rebellion_register_sampling_strategies"]


def make(_config: None, _context: PluginContext) -> Sampler:
    """Build the strategy."""
    from plugins.sampling.change.sampler import Change

    return Change()


@hookimpl
def rebellion_register_sampling_strategies(register: Register) -> None:
    register("change", make)
