"""Circuit breaker: stops calling what keeps failing, and finds out when it is back."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from inspect import isawaitable
from math import inf
from types import CoroutineType, TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast, overload

from agent.clock import Clock
from agent.resilience.breaker_events import BreakerEvent, Deliver, Listener, deliver_now, deliver_soon
from agent.resilience.breaker_settings import BreakerSettings, CircuitState
from agent.resilience.breaker_state import BreakerSnapshot, Totals
from agent.resilience.circuit import Flights
from agent.resilience.controlled_circuit import ControlledCircuit
from agent.resilience.permit import Permit
from agent.resilience.verdict import Verdict

__all__ = [
    "Breaker",
    "BreakerEvent",
    "BreakerSettings",
    "BreakerSnapshot",
    "CircuitState",
    "Listener",
    "Permit",
    "Totals",
    "deliver_now",
    "deliver_soon",
]

P = ParamSpec("P")
T = TypeVar("T")

_entered: ContextVar[tuple[tuple[Breaker, Permit], ...]] = ContextVar("breakers_entered", default=())
"""The `with breaker:` blocks that the current task or thread is in, outermost first."""


class Breaker(ControlledCircuit):
    """Circuit breaker for one target. Sans-I/O: it neither sleeps nor keeps a task; time comes from the clock it is given.

    Safe for threads and tasks alike; no lock is held while the guarded call runs.

    Args:
        name: What events, errors and metrics call the target.
        settings: See `BreakerSettings`; None: all defaults.
        clock: Source of monotonic seconds.
        rng: Source of the jitter.
        deliver: Where listeners run: `deliver_soon` (after the guarded call), `deliver_now` (before it returns), or your own.
    """

    __slots__ = ()

    def __init__(
        self,
        name: str,
        settings: BreakerSettings | None = None,
        *,
        clock: Clock,
        rng: random.Random,
        deliver: Deliver = deliver_soon,
    ) -> None:
        super().__init__(name, settings or BreakerSettings(), clock=clock, rng=rng, deliver=deliver)

    def __repr__(self) -> str:
        return f"<Breaker {self.name!r} {self.state.name}>"

    def acquire(self) -> Permit:
        """Ask to make one call.

        Returns:
            A permit, to be settled when the call is over; itself a context manager.

        Raises:
            BreakerOpen: The call must not be made; `retry_in_s` says when to ask again.
        """
        flights, key, started_s = self._start()
        if flights is None:
            raise self._refusal(started_s)
        return Permit(self, flights, key, started_s)

    @overload
    async def execute(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def execute(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    async def execute(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call `function`, await what it returns if that can be awaited, and give back the result.

        Raises:
            BreakerOpen: The call was refused; `function` was not called.
            BaseException: Whatever `function` raised, the same object.
        """
        flights, key, started_s = self._start()
        if flights is None:
            raise self._refusal(started_s)
        try:
            result = function(*args, **kwargs)
            if type(result) is CoroutineType or isawaitable(result):
                result = await result
        except BaseException as error:
            self._end_badly(flights, key, started_s, error)
            raise
        self._end_well(flights, key, started_s, result)
        return result

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a plain function and give back its result.

        Raises:
            BreakerOpen: The call was refused; `function` was not called.
            TypeError: `function` is a coroutine function; `execute` is for these.
            BaseException: Whatever `function` raised, the same object.
        """
        flights, key, started_s = self._start()
        if flights is None:
            raise self._refusal(started_s)
        try:
            result: Any = function(*args, **kwargs)
        except BaseException as error:
            self._end_badly(flights, key, started_s, error)
            raise
        if type(result) is CoroutineType:
            result.close()
            self._end(flights, key, started_s, Verdict.CANCELLED)
            raise TypeError(
                f"breaker {self.name!r}: call() takes a plain function (got a coroutine); await execute() instead"
            )
        self._end_well(flights, key, started_s, result)
        return cast("T", result)

    def __call__(self, function: Callable[P, T], /) -> Callable[P, T]:
        """Decorate a function, coroutine function, generator function or asynchronous generator function, of whatever signature.

        All calls of a decorated method share this breaker, whichever the object.
        """
        from agent.resilience.guard import guarded

        return guarded(self, function)

    def __enter__(self) -> Self:
        """Guard a block. It must be left in the task or thread that entered it; where it may not be, use `acquire()`."""
        _entered.set((*_entered.get(), (self, self.acquire())))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave().__exit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave().__exit__(kind, error, trace)

    def _leave(self) -> Permit:
        entered = _entered.get()
        for place in reversed(range(len(entered))):
            if entered[place][0] is self:
                _entered.set(entered[:place] + entered[place + 1 :])
                return entered[place][1]
        raise RuntimeError(
            f"breaker {self.name!r}: the block was entered in another task or thread; use `with breaker.acquire():` there"
        )

    def _start_stream(self) -> Permit:
        """Admit a call whose duration says nothing about the target, because its consumer sets the pace."""
        flights, key, started_s = self._start()
        if flights is None:
            raise self._refusal(started_s)
        if flights is self._flights and self._check_s > -inf:
            flights[key] = inf
        return Permit(self, flights, key, inf)

    def _end_well(self, flights: Flights, key: int, started_s: float, result: object) -> None:
        """Count a call that returned. Quiet and not yet late, it cannot have been slow: nothing in flight is until `_check_s`."""
        now_s = self._read_s()
        if flights is self._quiet_flights and now_s < self._check_s:
            del flights[key]
            self._count_pass()
        else:
            self._judge_result(flights, key, started_s, result)

    def _judge_result(self, flights: Flights, key: int, started_s: float, result: object) -> None:
        verdict = self._judge.of_result(result)
        failure = f"result {_short(result)}" if verdict is Verdict.FAILED else ""
        self._end(flights, key, started_s, verdict, failure[:500])

    def _end_badly(
        self, flights: Flights, key: int, started_s: float, error: BaseException, open_s: float | None = None
    ) -> None:
        verdict = self._judge.of_error(error)
        if verdict is not Verdict.FAILED:
            self._end(flights, key, started_s, verdict)
            return
        failure = f"{type(error).__name__}: {_short(error, str)}"
        self._end(flights, key, started_s, verdict, failure[:500], open_s=open_s)


def _short(thing: object, text_of: Callable[[object], str] = repr) -> str:
    """Text of a stranger's object, whose own method may raise."""
    try:
        return text_of(thing)
    except Exception:  # noqa: BLE001 - see above
        return f"<{type(thing).__name__} without a text>"
