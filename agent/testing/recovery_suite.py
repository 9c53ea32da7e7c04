"""What every recovery strategy must do, checked in one call from a plugin's own tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.contracts import RecoveryMethod, RecoveryOutcome, RecoveryRequest, RecoveryStep
from agent.testing.context import FakePluginContext
from agent.testing.requirement import require

__all__ = ["RecoveryReport", "check_recovery"]

PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What a strategy made of each case while it was checked.

    Attributes:
        outcomes: By case: `nothing` (no means at all), `works` and `fails` (a call that does), `fallback` (a call that fails, a
            substitute that works), `reset` (nothing to call, a component that can be rebuilt).
    """

    outcomes: Mapping[str, RecoveryOutcome]


async def check_recovery(
    factory: Callable[[Any, Any], RecoveryMethod], config: Any = None, *, context: FakePluginContext | None = None
) -> RecoveryReport:
    """Give a strategy errors to recover from and hold it to its contract; without an event loop: `asyncio.run(...)`.

    Checked: it is a `RecoveryMethod`; with whatever means, it gives a `RecoveryOutcome` and does not raise; it says RESOLVED
    of a call only when the call or its substitute has given something, and hands that on; it waits by the request's own
    `sleep`; cancellation passes through it; many errors at once are fine; `succeeded` of a component that it never heard of
    harms nothing.

    Args:
        factory: As registered: `factory(config, context)`.
        config: The plugin's own struct.
        context: None makes one with a fake clock, which the waits move.

    Raises:
        AssertionError: Naming what was wrong.
    """
    context = context or FakePluginContext()
    try:
        method = factory(config, context)
        require(isinstance(method, RecoveryMethod), f"the factory gives a strategy (got {method!r:.80})")
        outcomes = {name: await _try(name, factory(config, context), context) for name in _CASES}
        await _check_cancellation(factory(config, context), context)
        await _check_many(factory(config, context), context)
        succeeded: Callable[[str], None] | None = getattr(method, "succeeded", None)
        if succeeded is not None:
            succeeded("collector:never_seen")
    finally:
        context.close()
    return RecoveryReport(outcomes)


class _Means:
    """What can be called, and what it gave."""

    def __init__(self) -> None:
        self.given: list[object] = []

    async def works(self) -> object:
        self.given.append(object())
        return self.given[-1]

    async def fails(self) -> object:
        raise ConnectionError("still down")

    async def reset(self) -> None:
        """Rebuilds nothing, and that works."""


_CASES: dict[str, Callable[[_Means], dict[str, Any]]] = {
    "nothing": lambda _: {},
    "works": lambda means: {"call": means.works},
    "fails": lambda means: {"call": means.fails},
    "fallback": lambda means: {"call": means.fails, "fallback": means.works},
    "reset": lambda means: {"reset": means.reset},
}


async def _try(case: str, method: RecoveryMethod, context: FakePluginContext) -> RecoveryOutcome:
    means = _Means()
    request = _request(context, **_CASES[case](means))
    outcome = await _recover(case, method, request)
    if outcome.step is RecoveryStep.RESOLVED and request.call is not None:
        is_given = any(outcome.value is one for one in means.given)
        require(is_given, f"{case}: RESOLVED hands on what the call or its substitute gave (got {outcome.value!r:.80})")
    return outcome


async def _recover(case: str, method: RecoveryMethod, request: RecoveryRequest) -> RecoveryOutcome:
    try:
        async with asyncio.timeout(PATIENCE_S):
            outcome: object = await method.recover(request)
    except TimeoutError:
        raise AssertionError(
            f"{case}: it waits by the request's sleep, and ends (not within {PATIENCE_S:g} s)"
        ) from None
    except Exception as error:
        raise AssertionError(
            f"{case}: what it cannot do it says by NEXT and does not raise (got {error!r:.200})"
        ) from error
    if not isinstance(outcome, RecoveryOutcome):
        raise AssertionError(f"{case}: it gives a RecoveryOutcome (got {outcome!r:.80})")  # noqa: TRY004 - a suite asserts
    return outcome


def _request(context: FakePluginContext, component: str = "sink:hub", **means: Any) -> RecoveryRequest:
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)
        context.clock.advance(seconds)

    return RecoveryRequest(
        component, "deliver", ConnectionError("refused"), fingerprint=component, sleep=sleep, **means
    )


async def _check_cancellation(method: RecoveryMethod, context: FakePluginContext) -> None:
    """Cancelled while the call hangs; a strategy that does not call is over before."""
    begun = asyncio.Event()

    async def hangs() -> None:
        begun.set()
        await asyncio.Event().wait()

    request = _request(context, call=hangs, fallback=hangs, reset=hangs)
    recovering = asyncio.ensure_future(method.recover(request))
    begins = asyncio.ensure_future(begun.wait())
    await asyncio.wait({recovering, begins}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    begins.cancel()
    if recovering.done():
        return
    recovering.cancel()
    await asyncio.wait({recovering}, timeout=PATIENCE_S)
    require(recovering.cancelled(), "cancellation passes through it")


async def _check_many(method: RecoveryMethod, context: FakePluginContext) -> None:
    """Fifty components at once, each with a call that works."""

    async def one(number: int) -> None:
        means = _Means()
        outcome = await _recover("many", method, _request(context, f"collector:{number}", call=means.works))
        is_own = outcome.step is not RecoveryStep.RESOLVED or any(outcome.value is given for given in means.given)
        require(is_own, "many: each is given the result of its own call")

    calls: list[Awaitable[None]] = [one(number) for number in range(50)]
    await asyncio.gather(*calls)
