"""What a breaker tells its listeners, and the road it takes: in order, off the guarded call's path, bounded."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent.resilience.breaker_settings import CircuitState

__all__ = ["BreakerEvent", "Deliver", "EventRelay", "Listener", "deliver_now", "deliver_soon"]

MAX_WAITING_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class BreakerEvent:
    """A breaker changed its state.

    Attributes:
        breaker: Name of the breaker.
        old_state, new_state: From where to where.
        reason: Why, in words: `4 of 4 calls failed`.
        at_monotonic_s: When, on the breaker's clock.
        open_s: How long it will refuse calls, seconds; 0 unless the new state is OPEN.
    """

    breaker: str
    old_state: CircuitState
    new_state: CircuitState
    reason: str
    at_monotonic_s: float
    open_s: float = 0.0


Listener = Callable[[BreakerEvent], Awaitable[None] | None]
Deliver = Callable[[Callable[[], None]], None]
"""Runs what it is given, once, now or later, here or elsewhere."""

_running_listeners: set[asyncio.Future[None]] = set()


def deliver_now(run: Callable[[], None]) -> None:
    """Call listeners before the guarded call returns: for tests, and for listeners that are known to be quick."""
    run()


def deliver_soon(run: Callable[[], None]) -> None:
    """Call listeners after the guarded call: in the next turn of the running loop, else on a thread that ends with its work."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        threading.Thread(target=run, name="breaker-events", daemon=True).start()
    else:
        loop.call_soon(run)


class EventRelay:
    """Hands the events of one breaker to its listeners, one at a time, in the order of the transitions.

    Args:
        name: Name of the breaker, for the log.
        deliver: Where listeners run.

    Attributes:
        waiting: Events not yet handed over, at most `MAX_WAITING_EVENTS`; then the oldest gives way. None before any listener.
        dropped: How many gave way.
        listener_errors: How often a listener raised; it is logged and changes nothing.
    """

    __slots__ = ("_deliver", "_draining", "_listeners", "_name", "dropped", "listener_errors", "waiting")

    def __init__(self, name: str, deliver: Deliver) -> None:
        self._name = name
        self._deliver = deliver
        self._listeners: tuple[Listener, ...] = ()
        self._draining = threading.Lock()
        self.waiting: deque[BreakerEvent] | None = None
        self.dropped = 0
        self.listener_errors = 0

    def add(self, listener: Listener) -> None:
        """Call this listener from now on."""
        if self.waiting is None:
            self.waiting = deque(maxlen=MAX_WAITING_EVENTS)
        self._listeners += (listener,)

    def remove(self, listener: Listener) -> None:
        """Call it no more; an unknown one is no error."""
        self._listeners = tuple(known for known in self._listeners if known != listener)

    def put(self, event: BreakerEvent) -> None:
        """Queue an event, if anybody listens; calls nobody, so it may be done under a lock."""
        if self.waiting is None:
            return
        if len(self.waiting) == MAX_WAITING_EVENTS:
            self.dropped += 1
        self.waiting.append(event)

    def flush(self) -> None:
        """Have the queued events delivered. To be called without any lock held."""
        if self.waiting:
            self._deliver(self._drain)

    def _drain(self) -> None:
        """Whoever comes while another drains leaves the events to that one, which looks again before it goes."""
        while self.waiting and self._draining.acquire(blocking=False):
            try:
                while self.waiting:
                    self._hand_over(self.waiting.popleft())
            finally:
                self._draining.release()

    def _hand_over(self, event: BreakerEvent) -> None:
        for listener in self._listeners:
            try:
                answer = listener(event)
                if inspect.isawaitable(answer):
                    self._await(answer)
            except Exception as error:  # noqa: BLE001 - a listener's failure is its own
                self._complain(error)

    def _await(self, answer: Awaitable[None]) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(self._listen(answer))
        else:
            task = loop.create_task(self._listen(answer), name=f"breaker-listener:{self._name}")
            _running_listeners.add(task)
            task.add_done_callback(_running_listeners.discard)

    async def _listen(self, answer: Awaitable[None]) -> None:
        try:
            await answer
        except Exception as error:  # noqa: BLE001 - a listener's failure is its own
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        import structlog

        self.listener_errors += 1
        structlog.get_logger().warning("breaker.listener_failed", breaker=self._name, error=repr(error)[:500])
