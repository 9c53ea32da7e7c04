"""Error recovery for programs: the agent's engine and its six strategies behind one function and one decorator."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, ParamSpec, TypeVar

from agent.clock import Clock, SystemClock
from agent.contracts import ErrorSeverity, Logger, RecoveryOutcome, RecoveryRequest, RecoveryStep
from agent.errors import BreakerOpen
from agent.resilience.action_methods import Methods
from agent.resilience.actions import DEFAULT_ACTION, ErrorContext, RecoveryAction, RecoveryStrategy
from agent.resilience.breaker import Breaker
from agent.resilience.calling import Caller, call_fallback, is_on_loop, refuse_to_wait, to_end
from agent.resilience.decorated import Place, recovering
from agent.resilience.handle_arguments import error_context
from agent.resilience.history import ErrorRecord
from agent.resilience.library_host import LibraryHost, LibraryLog, emit_to
from agent.resilience.policy import Policy, error_name
from agent.resilience.recovery import RecoveryEngine, RecoverySettings, RecoveryStats
from agent.resilience.retry_runner import block

__all__ = [
    "AutonomousErrorRecovery",
    "ErrorContext",
    "RecoveryAction",
    "RecoveryStrategy",
    "error_recovery",
    "with_error_recovery",
]

P = ParamSpec("P")
T = TypeVar("T")


class AutonomousErrorRecovery:
    """Recovers from errors as the registered actions say. Any thread, any event loop, or none.

    Args:
        clock: Source of time; None: the machine's.
        rng: Source of jitter; None: a generator of its own.
        log: Where events go; None: structlog where the program has configured it, else `logging`.
        sleep: Waits in a coroutine; None: `asyncio.sleep`.
        block: Waits on a thread that runs no event loop.
        settings: Escalation, crash loops and history; None: the defaults.

    Attributes:
        engine: The engine behind it.
        breakers: Component -> the breaker that the strategy CIRCUIT_BREAK made for it.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        log: Logger | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
        block: Callable[[float], None] = block,
        settings: RecoverySettings | None = None,
    ) -> None:
        clock, rng, log = clock or SystemClock(), rng or random.Random(), log or LibraryLog()
        self._methods = Methods(partial(LibraryHost, clock=clock, rng=rng, log=log), log)
        self.engine = RecoveryEngine(
            (), self._methods.defaults(), clock=clock, rng=rng, on_event=partial(emit_to, log), settings=settings
        )
        self._actions: dict[tuple[str, str], RecoveryAction] = {}
        self.breakers: dict[str, Breaker] = {}
        self._on_loop = Caller(sleep)
        self._on_thread = Caller(_as_coroutine(block), has_own_loop=True)
        self._on_busy_thread = Caller(refuse_to_wait)
        self.register_strategy("*", "*", DEFAULT_ACTION)

    def register_strategy(
        self, component: str, error_type: type[Exception] | str, recovery_action: RecoveryAction
    ) -> None:
        """Say what is done about these errors of this component; replaces what was said for the same two.

        Args:
            component: A name, a glob such as `db:*`, or "*".
            error_type: An exception class, the name of one, or "*"; what is raised is matched by its nearest base.
            recovery_action: What is done.

        Raises:
            ValueError: The action lacks what its strategy needs.
        """
        recovery_action.check()
        error = error_name(error_type)
        strategies = self._methods.strategies(recovery_action, self.engine, f"{component}/{error}")
        self._actions[component, error] = recovery_action
        self.engine.add_policy(Policy(component, error, strategies=strategies))

    async def handle_error(self, /, *args: Any, **kwargs: Any) -> Any:
        """Recover from an error.

        Two forms: `handle_error(error, component, operation, severity, metadata, function, *args, **kwargs)`, in which
        `severity` and what follows may be left out or given by name (`original_function=` for the function); or all of these
        by name, `error=` first of all: then every positional argument belongs to the function.

        Returns:
            What the function, or its fallback, returned in the end. Without a function: the fallback's result, or None.

        Raises:
            TypeError: There is no error, component or operation.
            BaseException: Where there is a function and nothing helped: what it raised last.
        """
        context = error_context(args, kwargs)
        outcome = await self.recover(context)
        if outcome.step is RecoveryStep.RESOLVED:
            return outcome.value
        if context.original_function is not None:
            raise outcome.error or context.error
        return None

    def get_error_stats(self) -> dict[str, Any]:
        """What went wrong so far, in plain values; `stats()` of the engine has more."""
        stats: RecoveryStats = self.engine.stats()
        return {
            "total_errors": stats.handled,
            "recovered_errors": stats.resolved,
            "recovery_ratio": stats.resolved / stats.handled if stats.handled else 0.0,
            "by_component": dict(stats.by_component),
            "by_type": dict(stats.by_type),
            "by_severity": dict(stats.by_severity),
            "strategies": {name: counts.runs for name, counts in stats.strategies.items()},
            "escalated": dict(stats.escalated),
            "disabled": dict(stats.disabled),
            "recent_errors": [_plain(record) for record in stats.errors],
        }

    def decorate(self, function: Callable[P, T], place: Place, deadline_s: float | None = None) -> Callable[P, T]:
        """The function with recovery round it; see `with_error_recovery`."""
        return recovering(self, function, place, deadline_s)

    async def recover(self, context: ErrorContext, breaker: Breaker | None = None) -> RecoveryOutcome:
        """Recover from an error, in a coroutine.

        Args:
            context: What went wrong.
            breaker: What the call goes through; None: the component's own, if it has one.
        """
        return await self._recover(context, self._on_loop, breaker)

    def recover_now(self, context: ErrorContext, breaker: Breaker | None = None) -> RecoveryOutcome:
        """Recover from an error, in a plain function. On an event loop's thread nothing is done that has to wait."""
        caller = self._on_busy_thread if is_on_loop() else self._on_thread
        return to_end(self._recover(context, caller, breaker))

    async def _recover(self, context: ErrorContext, caller: Caller, breaker: Breaker | None) -> RecoveryOutcome:
        component, error = context.component, context.error
        policy = self.engine.policy_for(component, context.operation, error)
        action = self._actions.get((policy.component, policy.error), DEFAULT_ACTION)
        breaker = breaker or self._breaker(component, action)
        return await self.engine.handle(
            RecoveryRequest(
                component=component,
                operation=context.operation,
                error=error,
                severity=context.severity,
                call=_call(context, caller, breaker),
                fallback=_fallback(context, caller, action),
                reset=partial(caller.call, action.reset_function) if action.reset_function is not None else None,
                trip=partial(breaker.trip, "recovery") if breaker is not None else None,
                metadata=context.metadata,
                sleep=caller.sleep,
            )
        )

    def _breaker(self, component: str, action: RecoveryAction) -> Breaker | None:
        """The component's breaker; the first error that is to open it makes it."""
        breaker = self.breakers.get(component)
        if breaker is None and action.strategy is RecoveryStrategy.CIRCUIT_BREAK:
            from agent.resilience.websocket_breaker import get_circuit_breaker

            breaker = self.breakers[component] = get_circuit_breaker(component).breaker
            if action.fallback_function is not None and (component, _BREAKER_OPEN) not in self._actions:
                substitute = RecoveryAction(RecoveryStrategy.FALLBACK, fallback_function=action.fallback_function)
                self.register_strategy(component, _BREAKER_OPEN, substitute)
        return breaker


_BREAKER_OPEN = error_name(BreakerOpen)


def _call(context: ErrorContext, caller: Caller, breaker: Breaker | None) -> Callable[[], Awaitable[Any]] | None:
    """The failed call over again, through the breaker, which counts each attempt."""
    if context.original_function is None:
        return None
    again = partial(caller.call, context.original_function, *context.args, **context.kwargs)
    return again if breaker is None else partial(breaker.execute, again)


def _fallback(context: ErrorContext, caller: Caller, action: RecoveryAction) -> Callable[[], Awaitable[Any]] | None:
    if action.fallback_function is None:
        return None
    return partial(call_fallback, caller, action.fallback_function, context)


def _as_coroutine(block: Callable[[float], None]) -> Callable[[float], Awaitable[None]]:
    async def sleep(seconds: float) -> None:
        block(seconds)

    return sleep


def _plain(record: ErrorRecord) -> dict[str, Any]:
    return {**asdict(record), "severity": record.severity.value}


error_recovery = AutonomousErrorRecovery()
"""The process's own; what `with_error_recovery` uses."""


def with_error_recovery(
    component: str,
    operation: str | None = None,
    severity: ErrorSeverity = ErrorSeverity.MEDIUM,
    *,
    metadata: Mapping[str, Any] | None = None,
    deadline_s: float | None = None,
    breaker: Breaker | None = None,
    recovery: AutonomousErrorRecovery | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function or coroutine function: its errors are recovered from as the registered actions say.

    A plain function that fails on an event loop's thread is not retried after a wait, for that would block the loop; what
    needs no waiting, a fallback for instance, is done.

    Args:
        component: Who fails; what actions are registered for.
        operation: At what; None: the function's name.
        severity: How bad an error is here.
        metadata: Facts that strategies are given.
        deadline_s: Seconds, >= 0, for the call and its retries together, for coroutine functions. A fallback comes after that
            time, if need be. None: no limit.
        breaker: Each attempt goes through it; None: no breaker, until the strategy CIRCUIT_BREAK makes one.
        recovery: Whose actions count; None: `error_recovery`.

    Raises:
        TypeError: What is decorated is no function, or a generator function.
        BaseException: From the decorated function: what it raised last, when nothing helped.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        name = operation or str(getattr(function, "__name__", type(function).__name__))
        place = Place(component, name, severity, metadata or {}, breaker)
        return (recovery or error_recovery).decorate(function, place, deadline_s)

    return decorate
