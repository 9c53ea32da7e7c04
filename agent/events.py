"""How what happened gets to everybody who wants to know: the log, the observers, the sinks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from agent.clock import Clock
from agent.contracts import Logger, Observer
from agent.model import Event, Level, Scalar

__all__ = ["EventBus", "ObserverThread"]

_LOG_METHOD = {Level.INFO: "info", Level.WARNING: "warning", Level.ERROR: "error"}


class EventBus:
    """Gives each event to the log and to every subscriber, in order. Call it from the event loop's thread.

    Args:
        clock: For the events' wall-clock label.
        log: Where each event is logged once.
    """

    def __init__(self, clock: Clock, log: Logger) -> None:
        self._clock = clock
        self._log = log
        self._subscribers: list[Observer] = []
        self.count = 0

    def subscribe(self, subscriber: Observer) -> Callable[[], None]:
        """Call `subscriber` with each event from now on; the function returned ends that. It must not raise."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def emit(self, kind: str, component: str, level: Level = Level.INFO, /, **detail: Scalar) -> None:
        """Report that something happened to a component."""
        event = Event(self._clock.wall_ns(), kind, component, level, detail)
        self.count += 1
        getattr(self._log, _LOG_METHOD[level])(kind, component=component, **detail)
        for subscriber in tuple(self._subscribers):
            subscriber(event)


class ObserverThread:
    """Gives events to plugins' observers on a thread of their own, so that a slow or raising one harms nothing.

    Args:
        observers: What to call with each event.
        log: Where an observer that raised is named, once.
        max_queue_count: Events kept while observers are busy; beyond it the oldest is dropped and counted.
    """

    def __init__(self, observers: Sequence[Observer], log: Logger, max_queue_count: int = 1000) -> None:
        self._observers = tuple(observers)
        self._log = log
        self._max_queue_count = max_queue_count
        self._queue: deque[Event] = deque()
        self._changed = threading.Condition()
        self._is_stopping = False
        self._raised: set[Observer] = set()
        self.dropped_count = 0

    def start(self) -> None:
        """Start the thread, when there is anybody to call."""
        if self._observers:
            threading.Thread(target=self._work, name="observers", daemon=True).start()

    def put(self, event: Event) -> None:
        """Queue an event for the observers."""
        if not self._observers:
            return
        with self._changed:
            if len(self._queue) >= self._max_queue_count:
                self._queue.popleft()
                self.dropped_count += 1
            self._queue.append(event)
            self._changed.notify()

    def stop(self) -> None:
        """End after the events that wait now; does not wait for it."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()

    def _work(self) -> None:
        while (event := self._next()) is not None:
            for observer in self._observers:
                self._call(observer, event)

    def _next(self) -> Event | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_stopping)
            return self._queue.popleft() if self._queue else None

    def _call(self, observer: Observer, event: Event) -> None:
        try:
            observer(event)
        except Exception as error:  # noqa: BLE001 - an observer may do as it likes
            if observer not in self._raised:
                self._raised.add(observer)
                self._log.warning("observer.raised", observer=repr(observer), error=repr(error)[:300])
