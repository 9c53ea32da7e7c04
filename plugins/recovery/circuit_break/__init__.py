"""Recovery strategy `circuit_break`: opens the component's breaker, so that nothing calls it for a while."""

from __future__ import annotations

from agent.api import BreakerOpen, PluginContext, RecoveryOutcome, RecoveryRequest, RecoveryStep, Register, hookimpl

__all__ = ["CircuitBreak"]

_NONE = RecoveryOutcome(RecoveryStep.NEXT, note="there is no breaker")
_OPEN = RecoveryOutcome(RecoveryStep.NEXT, note="the breaker is open already")
_OPENED = RecoveryOutcome(RecoveryStep.NEXT, note="breaker opened")


class CircuitBreak:
    """Opens the breaker; its probes find out when the component is back. The error goes on to whoever comes next."""

    def __init__(self, config: None, context: PluginContext) -> None:
        del config, context

    async def recover(self, request: RecoveryRequest) -> RecoveryOutcome:
        if request.trip is None:
            return _NONE
        if isinstance(request.error, BreakerOpen):
            return _OPEN
        request.trip()
        return _OPENED


@hookimpl
def rebellion_register_recovery_strategies(register: Register) -> None:
    register("circuit_break", CircuitBreak)
