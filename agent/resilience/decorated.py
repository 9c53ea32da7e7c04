"""Recovery round a function of one's own."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from agent.contracts import ErrorSeverity, RecoveryOutcome, RecoveryStep
from agent.resilience.actions import ErrorContext
from agent.resilience.breaker import Breaker
from agent.resilience.calls import awaits
from agent.resilience.deadline import deadline
from agent.resilience.recovery import RecoveryEngine

__all__ = ["Place", "recovering"]

P = ParamSpec("P")
T = TypeVar("T")
CoroutineFunction = Callable[..., Awaitable[Any]]


class Recovers(Protocol):
    """What knows how to recover."""

    engine: RecoveryEngine
    breakers: dict[str, Breaker]

    async def recover(self, context: ErrorContext, breaker: Breaker | None = ...) -> RecoveryOutcome: ...
    def recover_now(self, context: ErrorContext, breaker: Breaker | None = ...) -> RecoveryOutcome: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a function stands.

    Attributes:
        component, operation: Who fails at what.
        severity: How bad that is.
        metadata: Facts that strategies are given.
        breaker: Each attempt goes through it; None: through the component's own, if it has one.
    """

    component: str
    operation: str
    severity: ErrorSeverity
    metadata: Mapping[str, Any]
    breaker: Breaker | None

    def context(
        self, error: Exception, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> ErrorContext:
        """The error of one call."""
        return ErrorContext(error, self.component, self.operation, self.severity, self.metadata, function, args, kwargs)


def recovering(
    recovery: Recovers, function: Callable[P, T], place: Place, deadline_s: float | None = None
) -> Callable[P, T]:
    """The same function, with recovery round it. Without a failure it costs little more than a `try`.

    Raises:
        TypeError: It is no function, or a generator function; or a deadline is asked for and it is no coroutine function.
        ValueError: The deadline is out of its range.
    """
    wrapped: Callable[..., Any]
    if not awaits(function, "with_error_recovery"):
        if deadline_s is not None:
            raise TypeError(
                f"deadline_s is for coroutine functions: a plain one cannot be cut off (got {function!r:.80})"
            )
        wrapped = _plain(recovery, function, place)
    else:
        coroutine_function = cast("CoroutineFunction", function)
        if deadline_s is None:
            wrapped = _coroutine(recovery, coroutine_function, place)
        else:
            wrapped = _limited(recovery, coroutine_function, place, deadline_s)
    return cast("Callable[P, T]", functools.update_wrapper(wrapped, function))


def _coroutine(recovery: Recovers, function: CoroutineFunction, place: Place) -> CoroutineFunction:
    component, own, breakers, engine = place.component, place.breaker, recovery.breakers, recovery.engine
    troubled = engine.troubled

    async def recovered(*args: Any, **kwargs: Any) -> Any:
        breaker = own or breakers.get(component)
        try:
            if breaker is None:
                result = await function(*args, **kwargs)
            else:
                result = await breaker.execute(function, *args, **kwargs)
        except Exception as error:
            outcome = await recovery.recover(place.context(error, function, args, kwargs), own)
            if _is_value(outcome, error):
                return outcome.value
            raise
        if component in troubled:
            engine.succeeded(component)
        return result

    return recovered


def _limited(recovery: Recovers, function: CoroutineFunction, place: Place, deadline_s: float) -> CoroutineFunction:
    """As `_coroutine`. The time is limited inside the breaker, so that an attempt cut off is a failure there."""
    component, own, breakers, engine = place.component, place.breaker, recovery.breakers, recovery.engine
    troubled = engine.troubled
    deadline(deadline_s)

    @functools.wraps(function)
    async def again(*args: Any, **kwargs: Any) -> Any:
        with deadline(None):
            return await function(*args, **kwargs)

    async def recovered(*args: Any, **kwargs: Any) -> Any:
        breaker = own or breakers.get(component)
        limit = deadline(deadline_s)
        try:
            if breaker is None:
                with limit:
                    result = await function(*args, **kwargs)
            else:
                result = await breaker.execute(_within, limit, function, args, kwargs)
        except Exception as error:
            with limit.rest():
                outcome = await recovery.recover(place.context(error, again, args, kwargs), own)
            if _is_value(outcome, error):
                return outcome.value
            raise
        if component in troubled:
            engine.succeeded(component)
        return result

    return recovered


async def _within(
    limit: deadline, function: CoroutineFunction, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    with limit:
        return await function(*args, **kwargs)


def _plain(recovery: Recovers, function: Callable[..., Any], place: Place) -> Callable[..., Any]:
    component, own, breakers, engine = place.component, place.breaker, recovery.breakers, recovery.engine
    troubled = engine.troubled

    def recovered(*args: Any, **kwargs: Any) -> Any:
        breaker = own or breakers.get(component)
        try:
            result = function(*args, **kwargs) if breaker is None else breaker.call(function, *args, **kwargs)
        except Exception as error:
            outcome = recovery.recover_now(place.context(error, function, args, kwargs), own)
            if _is_value(outcome, error):
                return outcome.value
            raise
        if component in troubled:
            engine.succeeded(component)
        return result

    return recovered


def _is_value(outcome: RecoveryOutcome, error: Exception) -> bool:
    """Whether the outcome is a value. False: `error` stands; a later error than that is raised from here."""
    if outcome.step is RecoveryStep.RESOLVED:
        return True
    if outcome.error is not None and outcome.error is not error:
        raise outcome.error
    return False
