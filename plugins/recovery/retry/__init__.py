"""Recovery strategy `retry`: makes the failed call again, a little later each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from agent.api import PluginContext, Register, hookimpl

if TYPE_CHECKING:
    from plugins.recovery.retry.method import Retry

__all__ = ["Config"]

Seconds = Annotated[float, Meta(ge=0)]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[recovery.retry]`"""

    max_attempts: Annotated[int, Meta(ge=1)] = 3  # the call that failed included
    first_wait_s: Seconds = 0.1
    backoff_factor: Annotated[float, Meta(ge=1)] = 2.0
    max_wait_s: Seconds = 20.0
    jitter_ratio: Annotated[float, Meta(ge=0, le=1)] = 1.0  # 1 = anything from 0 to the wait
    max_hint_s: Seconds = 60.0  # longest wait that the other end may ask for; 0 = not heeded
    deadline_s: Seconds = 0.0  # all attempts and waits together; 0 = no limit
    budget_tokens: Annotated[float, Meta(ge=0)] = 500.0  # of each component; 0 = no budget
    retry_cost: Annotated[float, Meta(gt=0)] = 14.0  # tokens
    hinted_retry_cost: Annotated[float, Meta(gt=0)] = 5.0  # tokens, when the other end said when to come again
    success_refund: Annotated[float, Meta(ge=0)] = 1.0  # tokens


def _make(config: Config, context: PluginContext) -> Retry:
    from plugins.recovery.retry.method import Retry

    return Retry(config, context)


@hookimpl
def rebellion_register_recovery_strategies(register: Register) -> None:
    register("retry", _make, config=Config)
