"""What a user of the library says: what went wrong, and what is to be done about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from agent.contracts import ErrorSeverity

__all__ = ["DEFAULT_ACTION", "ErrorContext", "RecoveryAction", "RecoveryStrategy"]


class RecoveryStrategy(Enum):
    """The six ways out of an error; each is the plugin of that name."""

    RETRY = "retry"
    FALLBACK = "fallback"
    CIRCUIT_BREAK = "circuit_break"
    RESET = "reset"
    NOTIFY = "notify"
    LOG_ONLY = "log_only"


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """An error and where it comes from.

    Attributes:
        error: What was raised.
        component, operation: Who failed at what.
        severity: See `ErrorSeverity`.
        metadata: Facts of one's own.
        original_function: What failed, to be called again; None when there is nothing to call.
        args, kwargs: What it was called with.
    """

    error: Exception
    component: str
    operation: str
    severity: ErrorSeverity = ErrorSeverity.MEDIUM
    metadata: Mapping[str, Any] = field(default_factory=dict)
    original_function: Callable[..., Any] | None = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecoveryAction:
    """What is done about an error. Functions may be plain or coroutine functions.

    Attributes:
        strategy: Tried first. Then come the notification and the fallback, where they are given.
        max_retries: Further calls at most, >= 0.
        retry_delay: Wait before the first of them, seconds, >= 0, before jitter.
        exponential_backoff: True: each wait is twice the one before; False: all are equal.
        fallback_function: Makes the substitute; called with the error and the call's arguments, or with as much as it takes.
        reset_function: Rebuilds the component; called without arguments, once for all who need it at the same time.
        notify_channels: "log", an http(s) address, or "command:PROGRAM ARGUMENTS"; any other name goes to the log under it.

    Raises:
        ValueError: A figure is out of its range.
    """

    strategy: RecoveryStrategy
    max_retries: int = 3
    retry_delay: float = 0.1
    exponential_backoff: bool = True
    fallback_function: Callable[..., Any] | None = None
    reset_function: Callable[[], Any] | None = None
    notify_channels: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name in ("max_retries", "retry_delay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"RecoveryAction.{name} must be >= 0 (got {getattr(self, name)!r})")

    def check(self) -> None:
        """Make sure that the strategy has what it needs.

        Raises:
            ValueError: It has not.
        """
        needed = {RecoveryStrategy.FALLBACK: "fallback_function", RecoveryStrategy.RESET: "reset_function"}
        name = needed.get(self.strategy)
        if name is not None and getattr(self, name) is None:
            raise ValueError(f"the strategy {self.strategy.name} needs a {name} (got None)")


DEFAULT_ACTION = RecoveryAction(RecoveryStrategy.RETRY, max_retries=2)
"""What is done about an error that nothing is registered for."""
