"""Recovery strategy `log_only`: writes the error to the log and leaves it at that."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from agent.api import (
    PluginContext,
    RateLimiter,
    RecoveryOutcome,
    RecoveryRequest,
    RecoveryStep,
    Register,
    error_text,
    hookimpl,
)

__all__ = ["Config", "LogOnly"]

_LOGGED = RecoveryOutcome(RecoveryStep.NEXT, note="logged")
_COUNTED = RecoveryOutcome(RecoveryStep.NEXT, note="counted; an equal one was logged just now")


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[recovery.log_only]`"""

    level: Literal["debug", "info", "warning", "error"] = "warning"
    interval_s: Annotated[float, Meta(ge=0)] = 60.0  # between two log lines of equal errors; 0 = each is logged


class LogOnly:
    """Logs one of equal errors an interval, with the number of those held back."""

    def __init__(self, config: Config, context: PluginContext) -> None:
        self._clock = context.clock
        self._log = getattr(context.log, config.level)
        self._limiter = RateLimiter(config.interval_s)

    async def recover(self, request: RecoveryRequest) -> RecoveryOutcome:
        held_back = self._limiter.held_back(request.fingerprint, self._clock.monotonic_s())
        if held_back is None:
            return _COUNTED
        self._log(
            "component.failed",
            component=request.component,
            operation=request.operation,
            severity=request.severity.value,
            error=f"{type(request.error).__name__}: {error_text(request.error)}",
            failures=request.occurrences,
            equal_not_logged=held_back,
        )
        return _LOGGED


@hookimpl
def rebellion_register_recovery_strategies(register: Register) -> None:
    register("log_only", LogOnly, config=Config)
