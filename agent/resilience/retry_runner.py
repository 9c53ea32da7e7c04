"""Calls a function until it succeeds or `RetrySettings` say stop."""

from __future__ import annotations

import asyncio
import functools
import math
import random
import threading
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, cast

from agent.clock import Clock
from agent.resilience.budget import Budget
from agent.resilience.calls import awaits
from agent.resilience.deadline import deadline, remaining_s
from agent.resilience.retry import Attempts, RetrySettings

__all__ = ["Retry", "block"]

P = ParamSpec("P")
T = TypeVar("T")


def block(seconds: float) -> None:
    """Wait on this thread."""
    threading.Event().wait(seconds)


class Retry:
    """Retries calls. Each call has its own attempts; only the budget is shared. Any thread, any event loop.

    Args:
        settings: See `RetrySettings`; None: the defaults.
        clock: Source of monotonic seconds.
        rng: Source of the jitter.
        budget: Shared by all calls through this object; None: no limit.
        sleep: Waits in a coroutine.
        block: Waits on a thread.
    """

    def __init__(
        self,
        settings: RetrySettings | None = None,
        *,
        clock: Clock,
        rng: random.Random,
        budget: Budget | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        block: Callable[[float], None] = block,
    ) -> None:
        self.settings = settings or RetrySettings()
        self.budget = budget
        self._clock = clock
        self._rng = rng
        self._sleep = sleep
        self._block = block

    async def run(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Await `function(*args, **kwargs)`, again while that may help.

        Raises:
            TimeoutError: The deadline cut off an attempt; its cause is what the attempt before raised.
            RetriesExhausted: If the settings ask for it.
            BaseException: What the last attempt raised.
        """
        limit = deadline(self.settings.deadline_s)
        last: Exception | None = None
        try:
            with self._attempts(remaining_s()) as attempts, limit:
                while True:
                    try:
                        result = await function(*args, **kwargs)
                    except Exception as error:  # noqa: BLE001 - the settings decide
                        last = error
                    else:
                        attempts.succeeded()
                        return result
                    wait_s = attempts.failed(last, self._clock.monotonic_s())
                    if wait_s is None:
                        raise attempts.final(last)
                    await self._sleep(wait_s)
        except TimeoutError as error:
            if limit.is_expired and last is not None:
                raise error from last
            raise
        finally:
            del last

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a plain function, again while that may help. The deadline ends waits and attempts, but cuts none off.

        Raises:
            RetriesExhausted: If the settings ask for it.
            BaseException: What the last attempt raised.
        """
        with self._attempts(None) as attempts:
            while True:
                try:
                    result = function(*args, **kwargs)
                except Exception as error:
                    wait_s = attempts.failed(error, self._clock.monotonic_s())
                    if wait_s is None:
                        final = attempts.final(error)
                        if final is error:
                            raise
                        raise final from error
                else:
                    attempts.succeeded()
                    return result
                self._block(wait_s)

    def __call__(self, function: Callable[P, T], /) -> Callable[P, T]:
        """Decorate a function or coroutine function; name, signature and kind stay.

        Raises:
            TypeError: It is a generator function: what it has given out cannot be taken back.
        """
        if awaits(function, "Retry"):

            async def retried(*args: Any, **kwargs: Any) -> Any:
                return await self.run(cast("Callable[..., Awaitable[Any]]", function), *args, **kwargs)

            return cast("Callable[P, T]", functools.update_wrapper(retried, function))

        def called(*args: Any, **kwargs: Any) -> Any:
            return self.call(function, *args, **kwargs)

        return cast("Callable[P, T]", functools.update_wrapper(called, function))

    def _attempts(self, outer_s: float | None) -> Attempts:
        now_s = self._clock.monotonic_s()
        until_s = math.inf if outer_s is None else now_s + outer_s
        return Attempts(self.settings, self._rng, now_s, budget=self.budget, until_s=until_s)
