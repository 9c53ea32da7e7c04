"""The right to make one call, and the duty to say how it ended."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from agent.resilience.verdict import Verdict

if TYPE_CHECKING:
    from agent.resilience.breaker import Breaker
    from agent.resilience.circuit import Flights

__all__ = ["Permit"]


class Permit:
    """What `Breaker.acquire` gives. Settle it once, by one of the three; whatever comes after the first does nothing.

    As a context manager (`with` or `async with`) it settles itself by how the block ends, in whichever task or thread that is.
    """

    __slots__ = ("_breaker", "_flights", "_key", "_started_s")

    def __init__(self, breaker: Breaker, flights: Flights, key: int, started_s: float) -> None:
        self._breaker = breaker
        self._flights: Flights | None = flights
        self._key = key
        self._started_s = started_s

    def succeed(self, result: object = None) -> None:
        """The call returned this. The settings' predicates on results may see it otherwise."""
        flights, self._flights = self._flights, None
        if flights is not None:
            self._breaker._end_well(flights, self._key, self._started_s, result)  # noqa: SLF001 - the breaker's other half

    def fail(self, error: BaseException, *, open_s: float | None = None) -> None:
        """The call raised this. The settings' predicates may see it otherwise; what is no `Exception` counts as cancelled.

        Args:
            open_s: None: the breaker decides as always. Else the target is known to be out of reach: a failure opens it at once,
                for so many seconds, >= 0, without jitter.
        """
        flights, self._flights = self._flights, None
        if flights is not None:
            self._breaker._end_badly(flights, self._key, self._started_s, error, open_s)  # noqa: SLF001 - as above

    def cancel(self) -> None:
        """The call was not made to the end; it counts neither way and its place is free at once."""
        flights, self._flights = self._flights, None
        if flights is not None:
            self._breaker._end(flights, self._key, self._started_s, Verdict.CANCELLED)  # noqa: SLF001 - as above

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.succeed()
        else:
            self.fail(error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
