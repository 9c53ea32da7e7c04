"""Restarts of components: one at a time however many ask for it, and not for ever."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.clock import Clock
from agent.errors import RebellionError

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["CrashLoop", "RestartFailed", "RestartSettings", "Restarts"]

_restarting: ContextVar[frozenset[str]] = ContextVar("restarting", default=frozenset())
"""Components whose restart runs in this task: a failure inside it must not wait for it."""


class CrashLoop(RebellionError):
    """The component was restarted too often; it is disabled until it has been well for a while, or is reinstated."""


class RestartFailed(RebellionError):
    """The restart that this caller waited for, but did not run, went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartSettings:
    """How many restarts are too many.

    Attributes:
        max_restarts: Restarts of one component within `window_s`, >= 1; asking for one more disables it.
        window_s: Seconds, > 0.
        max_components: Components remembered, >= 1; the one restarted longest ago makes room.
    """

    max_restarts: int = 5
    window_s: float = 300.0
    max_components: int = 1000

    def __post_init__(self) -> None:
        for name in ("max_restarts", "max_components"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1 (got {getattr(self, name)})")
        if not self.window_s > 0:
            raise ValueError(f"window_s must be > 0 (got {self.window_s})")


class Restarts:
    """Runs restarts. Any thread, any event loop, or none.

    Args:
        settings: See `RestartSettings`.
        clock: Monotonic time of the restarts.
        on_restart: Told of a component whose restart has succeeded.
        on_disable: Told of a component, once, when it becomes disabled, and why.

    Attributes:
        total: Restarts begun.
    """

    def __init__(
        self,
        settings: RestartSettings,
        *,
        clock: Clock,
        on_restart: Callable[[str], None],
        on_disable: Callable[[str, str], None],
    ) -> None:
        self.total = 0
        self._settings = settings
        self._clock = clock
        self._on_restart = on_restart
        self._on_disable = on_disable
        self._lock = threading.Lock()
        self._begun_s: dict[str, deque[float]] = {}
        self._flights: dict[str, Future[str | None]] = {}
        self._disabled: dict[str, str] = {}

    def disabled(self) -> Mapping[str, str]:
        """Component -> why, of those that crash in a loop."""
        return dict(self._disabled)

    def why_disabled(self, component: str) -> str | None:
        return self._disabled.get(component)

    def is_running_here(self, component: str) -> bool:
        """True inside the component's own restart."""
        return component in _restarting.get()

    def forget(self, component: str) -> None:
        """Enable the component and count its restarts from 0."""
        with self._lock:
            self._disabled.pop(component, None)
            self._begun_s.pop(component, None)

    async def run(self, component: str, restart: Callable[[], Awaitable[None]]) -> None:
        """Restart the component; callers that come while it goes on wait for it instead of doing it again.

        Raises:
            CrashLoop: It was restarted too often.
            RestartFailed: The restart went wrong in another caller's hands; in one's own, its own error comes out.
        """
        while True:
            flight, is_mine = self._join(component)
            if is_mine:
                return await self._fly(component, restart, flight)
            failure = await _landed(flight)
            if failure == "":
                return None
            if failure is not None:
                raise RestartFailed(f"restart of {component!r} failed: {failure}")

    def _join(self, component: str) -> tuple[Future[str | None], bool]:
        from concurrent.futures import Future

        with self._lock:
            flight = self._flights.get(component)
            if flight is not None:
                return flight, False
            known = self._disabled.get(component)
            reason = known or self._count(component)
            if reason is None:
                flight = self._flights[component] = Future()
                return flight, True
            self._disabled[component] = reason
        if known is None:
            self._on_disable(component, reason)
        raise CrashLoop(f"{component!r} is disabled: {reason}")

    def _count(self, component: str) -> str | None:
        """Count a restart that begins now; the reason when it may not."""
        begun_s = self._begun_s.pop(component, None)
        if begun_s is None:
            begun_s = deque(maxlen=self._settings.max_restarts)
            if len(self._begun_s) >= self._settings.max_components:
                del self._begun_s[next(iter(self._begun_s))]
        self._begun_s[component] = begun_s
        now_s, window_s = self._clock.monotonic_s(), self._settings.window_s
        if len(begun_s) == self._settings.max_restarts and now_s - begun_s[0] <= window_s:
            return f"{len(begun_s)} restarts within {window_s:g} s did not help"
        begun_s.append(now_s)
        self.total += 1
        return None

    async def _fly(self, component: str, restart: Callable[[], Awaitable[None]], flight: Future[str | None]) -> None:
        verdict: str | None = None
        token = _restarting.set(_restarting.get() | {component})
        try:
            await restart()
            verdict = ""
        except Exception as error:
            verdict = type(error).__name__
            raise
        finally:
            _restarting.reset(token)
            with self._lock:
                del self._flights[component]
            flight.set_result(verdict)
        self._on_restart(component)


async def _landed(flight: Future[str | None]) -> str | None:
    """How another caller's restart ended: "" well, text: it raised that, None: it was given up half-way."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return flight.result()
    return await asyncio.shield(asyncio.wrap_future(flight))
