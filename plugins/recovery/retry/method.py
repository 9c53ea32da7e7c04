"""The strategy itself."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from typing import TYPE_CHECKING

from agent.api import (
    Attempts,
    PluginContext,
    RecoveryOutcome,
    RecoveryRequest,
    RecoveryStep,
    RetrySettings,
    TokenBudget,
    deadline,
    remaining_s,
)

if TYPE_CHECKING:
    from plugins.recovery.retry import Config

__all__ = ["Retry"]

MAX_BUDGETS = 1000

_NO_CALL = RecoveryOutcome(RecoveryStep.NEXT, note="nothing to call: the component tries again by itself")


class Retry:
    """Waits and calls again, within attempts, deadline and budget. Without a call it leaves the retry to the component."""

    def __init__(self, config: Config, context: PluginContext) -> None:
        self._config = config
        self._clock = context.clock
        self._rng = context.rng
        self._settings = RetrySettings(
            max_attempts=config.max_attempts,
            first_wait_s=config.first_wait_s,
            backoff_factor=config.backoff_factor,
            max_wait_s=config.max_wait_s,
            jitter_ratio=config.jitter_ratio,
            max_hint_s=config.max_hint_s,
            deadline_s=config.deadline_s or None,
        )
        self._budgets: OrderedDict[str, TokenBudget] = OrderedDict()

    async def recover(self, request: RecoveryRequest) -> RecoveryOutcome:
        if request.call is None:
            return _NO_CALL
        last = request.error
        with deadline(self._settings.deadline_s, cuts=False), self._attempts(request.component) as attempts:
            while (wait_s := attempts.failed(last, self._clock.monotonic_s())) is not None:
                await _wait(wait_s, request, attempts)
                try:
                    value = await request.call()
                except Exception as error:  # noqa: BLE001 - the settings decide
                    last = error
                else:
                    attempts.succeeded()
                    return RecoveryOutcome(RecoveryStep.RESOLVED, value, f"attempt {attempts.made + 1}")
        return RecoveryOutcome(RecoveryStep.NEXT, note=f"stopped by {attempts.stopped_by}", error=attempts.final(last))

    def succeeded(self, component: str) -> None:
        """A call of this component went well: its budget gets a little back."""
        budget = self._budgets.get(component)
        if budget is not None:
            budget.succeeded()

    def _attempts(self, component: str) -> Attempts:
        now_s = self._clock.monotonic_s()
        outer_s = remaining_s()
        until_s = math.inf if outer_s is None else now_s + outer_s
        return Attempts(self._settings, self._rng, now_s, budget=self._budget(component), until_s=until_s)

    def _budget(self, component: str) -> TokenBudget | None:
        config = self._config
        if not config.budget_tokens:
            return None
        budget = self._budgets.get(component)
        if budget is None:
            budget = self._budgets[component] = TokenBudget(
                config.budget_tokens,
                cost=config.retry_cost,
                hinted_cost=config.hinted_retry_cost,
                refund=config.success_refund,
            )
            if len(self._budgets) > MAX_BUDGETS:
                self._budgets.popitem(last=False)
        return budget


async def _wait(seconds: float, request: RecoveryRequest, attempts: Attempts) -> None:
    try:
        await (request.sleep or asyncio.sleep)(seconds)
    except Exception:
        attempts.give_back()
        raise
