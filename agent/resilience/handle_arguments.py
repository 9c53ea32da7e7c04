"""Reads the arguments of `handle_error`, which come in two forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.contracts import ErrorSeverity
from agent.resilience.actions import ErrorContext

__all__ = ["error_context"]

_NAMES = ("error", "component", "operation", "severity", "metadata", "function")
_NEEDED = _NAMES[:3]


def error_context(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ErrorContext:
    """What the arguments of `handle_error` mean.

    Raises:
        TypeError: Something is missing or of the wrong kind.
        BaseException: The error given is no `Exception`, such as a cancellation: nothing recovers from that.
    """
    if len(args) == 1 and isinstance(args[0], ErrorContext) and not kwargs:
        return args[0]
    given, rest, named = _sorted(args, dict(kwargs))
    missing = [name for name in _NEEDED if name not in given]
    if missing:
        raise TypeError(f"handle_error() needs {', '.join(missing)}")
    error, function = given["error"], given.get("function")
    if not isinstance(error, Exception):
        if isinstance(error, BaseException):
            raise error
        raise TypeError(f"handle_error() needs an exception as its error (got {error!r:.80})")
    if function is not None and not callable(function):
        raise TypeError(f"handle_error() needs a function to call again, or None (got {function!r:.80})")
    return ErrorContext(
        error,
        str(given["component"]),
        str(given["operation"]),
        ErrorSeverity(given.get("severity", ErrorSeverity.MEDIUM)),
        given.get("metadata") or {},
        function,
        rest,
        named,
    )


def _sorted(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[dict[str, Any], tuple[Any, ...], dict[str, Any]]:
    """Our own arguments by name, and the function's, positional and named."""
    named_function = "original_function" if "original_function" in kwargs else "function"
    given = {name: kwargs.pop(name) for name in (*_NAMES[:-1], named_function) if name in kwargs}
    if "error" not in given:
        for name in (*_NAMES[:-1], named_function):
            if not args or name in given:
                break
            given[name], args = args[0], args[1:]
    if named_function in given:
        given["function"] = given.pop(named_function)
    return given, args, kwargs
