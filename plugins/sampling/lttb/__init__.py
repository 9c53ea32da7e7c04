"""Sampling strategy `lttb`: for pictures."""

from __future__ import annotations

from agent.api import PluginContext, Register, Sampler, hookimpl

__all__ = ["make", "rebellion_register_sampling_strategies"]


def make(_config: None, _context: PluginContext) -> Sampler:
    """Build the strategy."""
    from plugins.sampling.lttb.sampler import Lttb

    return Lttb()


@hookimpl
def rebellion_register_sampling_strategies(register: Register) -> None:
    register("lttb", make)
