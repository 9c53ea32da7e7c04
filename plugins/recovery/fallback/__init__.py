"""Recovery strategy `fallback`: makes the substitute call instead of the failed one."""

from __future__ import annotations

from agent.api import PluginContext, RecoveryOutcome, RecoveryRequest, RecoveryStep, Register, hookimpl

__all__ = ["Fallback"]

_NONE = RecoveryOutcome(RecoveryStep.NEXT, note="there is no substitute")


class Fallback:
    """Calls the substitute once. What that raises comes out, with the original error as its cause."""

    def __init__(self, config: None, context: PluginContext) -> None:
        del config, context

    async def recover(self, request: RecoveryRequest) -> RecoveryOutcome:
        if request.fallback is None:
            return _NONE
        try:
            value = await request.fallback()
        except Exception as error:  # noqa: BLE001 - the caller gets it, whatever it is
            if error is not request.error:
                error.__cause__ = request.error
            return RecoveryOutcome(RecoveryStep.NEXT, note="the substitute failed as well", error=error)
        return RecoveryOutcome(RecoveryStep.RESOLVED, value, "substitute")


@hookimpl
def rebellion_register_recovery_strategies(register: Register) -> None:
    register("fallback", Fallback)
