"""How strategies call and wait, for callers with an event loop, without one, and for those that must not block theirs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from agent.errors import RebellionError
from agent.resilience.actions import ErrorContext

__all__ = ["Caller", "WouldBlock", "call_fallback", "is_on_loop", "refuse_to_wait", "to_end"]

T = TypeVar("T")

MAX_REFUSALS = 100


class WouldBlock(RebellionError):
    """A plain function, called on an event loop's thread, cannot wait: it would hold up everything else there."""

    def __init__(self) -> None:
        super().__init__(
            "waiting here would block the event loop; call the function through asyncio.to_thread, or make it async"
        )


class Caller:
    """How one kind of caller calls and waits.

    Args:
        sleep: Waits; None: by `asyncio.sleep`.
        has_own_loop: True: what must be awaited gets an event loop made for it, because this thread runs none.
    """

    def __init__(self, sleep: Callable[[float], Awaitable[None]] | None, *, has_own_loop: bool = False) -> None:
        self.sleep = sleep
        self._has_own_loop = has_own_loop

    async def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a plain function or a coroutine function and return what comes of it."""
        result = function(*args, **kwargs)
        if not inspect.isawaitable(result):
            return result
        return asyncio.run(_awaited(result)) if self._has_own_loop else await result


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def call_fallback(caller: Caller, fallback: Callable[..., Any], context: ErrorContext) -> Any:
    """Call a fallback with the error and the call's arguments, or with as much of that as it takes.

    One whose first parameter is called as the original's takes the place of the original: it gets the arguments alone.
    """
    signature, error, args, kwargs = _signature(fallback), context.error, context.args, context.kwargs
    first_name = _first_name(signature)
    forms: list[tuple[tuple[Any, ...], Mapping[str, Any]]] = [
        ((error, *args), kwargs),
        (args, kwargs),
        ((error,), {}),
        ((), {}),
    ]
    if first_name is not None and first_name == _first_name(_signature(context.original_function)):
        forms.insert(0, (args, kwargs))
    taken = next((form for form in forms if _takes(signature, *form)), forms[0])
    return await caller.call(fallback, *taken[0], **taken[1])


def _signature(function: Callable[..., Any] | None) -> inspect.Signature | None:
    if function is None:
        return None
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions have none
        return None


def _first_name(signature: inspect.Signature | None) -> str | None:
    first = next(iter(signature.parameters.values()), None) if signature is not None else None
    if first is None or first.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        return None
    return first.name


def _takes(signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    if signature is None:
        return True
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def is_on_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def refuse_to_wait(seconds: float) -> None:
    """Wait nowhere.

    Raises:
        WouldBlock: `seconds` is more than nothing.
    """
    if seconds > 0:
        raise WouldBlock


def to_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end here and now; where it would suspend, `WouldBlock` is raised in it.

    Raises:
        WouldBlock: It goes on trying to suspend.
        BaseException: What it raised.
    """
    try:
        coroutine.send(None)
        for _ in range(MAX_REFUSALS):
            coroutine.throw(WouldBlock())
    except StopIteration as ended:
        value: T = ended.value
        return value
    coroutine.close()
    raise WouldBlock
