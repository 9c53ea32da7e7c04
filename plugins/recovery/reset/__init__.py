"""Recovery strategy `reset`: rebuilds the component, and makes the failed call again where there is one."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from agent.api import PluginContext, RecoveryOutcome, RecoveryRequest, RecoveryStep, Register, hookimpl

__all__ = ["Config", "Reset"]

_NONE = RecoveryOutcome(RecoveryStep.NEXT, note="it cannot be rebuilt")
_REBUILT = RecoveryOutcome(RecoveryStep.RESOLVED, note="rebuilt")


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[recovery.reset]`"""

    deadline_s: Annotated[float, Meta(gt=0)] = 30.0  # one rebuilding


class Reset:
    """Rebuilds, then calls once more. The engine sees to it that simultaneous requests share one rebuilding."""

    def __init__(self, config: Config, context: PluginContext) -> None:
        del context
        self._config = config

    async def recover(self, request: RecoveryRequest) -> RecoveryOutcome:
        from agent.api import deadline

        if request.reset is None:
            return _NONE
        with deadline(self._config.deadline_s):
            await request.reset()
        if request.call is None:
            return _REBUILT
        try:
            value = await request.call()
        except Exception as error:  # noqa: BLE001 - it is the call's own error and goes on as such
            return RecoveryOutcome(RecoveryStep.NEXT, note="rebuilt, and it fails again", error=error)
        return RecoveryOutcome(RecoveryStep.RESOLVED, value, "rebuilt")


@hookimpl
def rebellion_register_recovery_strategies(register: Register) -> None:
    register("reset", Reset, config=Config)
