"""Sampling strategy `stratified`: every series, evenly."""

from __future__ import annotations

from agent.api import PluginContext, Register, Sampler, hookimpl

__all__ = ["make", "rebellion_register_sampling_strategies"]


def make(_config: None, context: PluginContext) -> Sampler:
    """Build the strategy."""
    from plugins.sampling.stratified.sampler import Stratified

    return Stratified(context.rng)


@hookimpl
def rebellion_register_sampling_strategies(register: Register) -> None:
    register("stratified", make)
