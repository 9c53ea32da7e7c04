"""Puts a breaker round a function of any kind, keeping its name, signature and kind."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from agent.resilience.breaker import Breaker

__all__ = ["guarded"]

P = ParamSpec("P")
T = TypeVar("T")
AnyFunction = Callable[..., Any]


def guarded(breaker: Breaker, function: Callable[P, T]) -> Callable[P, T]:
    """The same function behind the breaker. A generator counts as one call, from its first item to its end."""
    kind = _called_thing(function)
    if inspect.iscoroutinefunction(kind):
        made = _guarded_coroutine_function(breaker, function)
    elif inspect.isasyncgenfunction(kind):
        made = _guarded_async_generator(breaker, function)
    elif inspect.isgeneratorfunction(kind):
        made = _guarded_generator(breaker, function)
    else:
        made = _guarded_function(breaker, function)
    return cast("Callable[P, T]", functools.wraps(function)(made))


def _called_thing(function: AnyFunction) -> AnyFunction:
    """What really runs: under partials, and the `__call__` of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    return type(function).__call__


def _guarded_function(breaker: Breaker, function: AnyFunction) -> AnyFunction:
    def guard(*args: Any, **kwargs: Any) -> Any:
        flights, key, started_s = breaker._start()  # noqa: SLF001 - the breaker's other half
        if flights is None:
            raise breaker._refusal(started_s)  # noqa: SLF001 - as above
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            breaker._end_badly(flights, key, started_s, error)  # noqa: SLF001 - as above
            raise
        breaker._end_well(flights, key, started_s, result)  # noqa: SLF001 - as above
        return result

    return guard


def _guarded_coroutine_function(breaker: Breaker, function: AnyFunction) -> AnyFunction:
    async def guard(*args: Any, **kwargs: Any) -> Any:
        flights, key, started_s = breaker._start()  # noqa: SLF001 - the breaker's other half
        if flights is None:
            raise breaker._refusal(started_s)  # noqa: SLF001 - as above
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            breaker._end_badly(flights, key, started_s, error)  # noqa: SLF001 - as above
            raise
        breaker._end_well(flights, key, started_s, result)  # noqa: SLF001 - as above
        return result

    return guard


def _guarded_generator(breaker: Breaker, function: AnyFunction) -> AnyFunction:
    def guard(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with breaker._start_stream():  # noqa: SLF001 - the breaker's other half
            return (yield from function(*args, **kwargs))

    return guard


def _guarded_async_generator(breaker: Breaker, function: AnyFunction) -> AnyFunction:
    async def guard(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with breaker._start_stream():  # noqa: SLF001 - the breaker's other half
            inner: AsyncGenerator[Any, Any] = function(*args, **kwargs)
            step = anext(inner)
            while True:
                try:
                    item = await step
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in from outside: the inner one's to answer
                    step = inner.athrow(error)
                else:
                    step = inner.asend(sent)

    return guard
