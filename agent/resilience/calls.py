"""What kind of thing is called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["awaits"]


def awaits(function: Callable[..., Any], decorator: str) -> bool:
    """Whether calling it gives a coroutine; sees through partials and to the `__call__` of an object.

    Args:
        function: What is to be called.
        decorator: Who asks, for the message.

    Raises:
        TypeError: It cannot be called, or is a generator function: what that has given out cannot be taken back.
    """
    if not callable(function):
        raise TypeError(f"{decorator} goes round a function (got {function!r:.80})")
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    if not (inspect.isroutine(inner) or isinstance(inner, type)):
        inner = type(inner).__call__
    if inspect.isasyncgenfunction(inner) or inspect.isgeneratorfunction(inner):
        raise TypeError(f"{decorator} cannot call a generator again: {function!r:.80} has given out items by then")
    return inspect.iscoroutinefunction(inner)
