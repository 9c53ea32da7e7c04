"""Worker threads for blocking calls, of which any may hang for ever."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

__all__ = ["Job", "ThreadStats", "WorkerThreads", "WorkersExhausted"]

T = TypeVar("T")


class WorkersExhausted(RuntimeError):
    """Every worker thread is stuck and no more may be started."""


class Job(Generic[T]):
    """One blocking call.

    Attributes:
        loop: Where its outcome goes.
        done: Resolves on the event loop with the result; cancelling it stops the waiting, not the call.
        is_running: True from submission until the call has returned, also after `done` was cancelled.
    """

    __slots__ = ("_call", "_error", "_result", "done", "is_running", "loop")

    def __init__(self, call: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.done: asyncio.Future[T] = loop.create_future()
        self.is_running = True
        self._call = call
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Make the call on this thread and keep its outcome."""
        try:
            self._result = self._call()
        except BaseException as raised:  # noqa: BLE001 - a plugin's SystemExit must reach the loop, not end the worker
            self._error = raised
        self.is_running = False

    def settle(self) -> None:
        """Hand the outcome over; on the event loop, after `run`."""
        error = self._error
        if self.done.done():
            return
        if error is None:
            self.done.set_result(self._result)
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            self.done.set_exception(error)
        else:
            self.done.set_exception(RuntimeError(f"{type(error).__name__} raised in a worker thread: {error}"))


class ThreadStats:
    """How many threads there are, how many wait for work, how many jobs wait for a thread."""

    __slots__ = ("idle", "queued", "threads")

    def __init__(self, threads: int, idle: int, queued: int) -> None:
        self.threads = threads
        self.idle = idle
        self.queued = queued


class WorkerThreads:
    """Daemon threads for blocking calls, few while all is well, more while some are stuck.

    Jobs share `core_count` threads, so that healthy short calls cost no thread each. One is best: calls hold the interpreter's
    lock for most of their time, and two threads that hand it to and fro cost more than they save. When a job still waits after
    `patience_s`, somebody is slow: another thread starts, up to `max_count`. Threads beyond the core end when idle.
    Threads are daemons: one that never returns cannot keep the process alive.

    Waking the event loop costs more than a short call, so it is woken once for a run of calls: when no job waits any more, and
    every `patience_s` while one does.

    Args:
        core_count: Threads kept while idle, >= 1.
        max_count: Most threads at once, stuck ones included.
        patience_s: Seconds a job may wait before another thread is started.
    """

    def __init__(self, *, core_count: int = 1, max_count: int = 64, patience_s: float = 0.02) -> None:
        self._core_count = core_count
        self._max_count = max_count
        self._patience_s = patience_s
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._ended: deque[Job[Any]] = deque()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._started = 0
        self._is_stopping = False
        self._grow_timer: asyncio.TimerHandle | None = None

    def stats(self) -> ThreadStats:
        return ThreadStats(self._threads, self._idle, self._jobs.qsize())

    def submit(self, function: Callable[..., T], /, *args: Any) -> Job[T]:
        """Queue a call and return its job; call it from the event loop.

        Raises:
            WorkersExhausted: All `max_count` threads are busy and as many jobs wait already.
        """
        if self._threads >= self._max_count and self._jobs.qsize() >= self._max_count:
            raise WorkersExhausted(f"all {self._max_count} worker threads are stuck")
        loop = asyncio.get_running_loop()
        job = Job(lambda: function(*args), loop)
        self._jobs.put(job)
        if self._threads < self._core_count and self._jobs.qsize() > self._idle:
            self._start_thread()
        if self._grow_timer is None:
            self._grow_timer = loop.call_later(self._patience_s, self._grow, loop)
        return job

    async def run(self, function: Callable[..., T], /, *args: Any) -> T:
        """Make a blocking call on a worker thread. Cancelling stops the waiting at once."""
        return await self.submit(function, *args).done

    def stop(self) -> None:
        """Let idle threads end; stuck ones end with the process. Safe twice."""
        self._is_stopping = True
        if self._grow_timer is not None:
            self._grow_timer.cancel()
            self._grow_timer = None
        for _ in range(self._threads):
            self._jobs.put(None)

    def _grow(self, loop: asyncio.AbstractEventLoop) -> None:
        self._grow_timer = None
        has_waiting = not self._jobs.empty()
        self._settle_ended()
        if not has_waiting:
            return
        if self._threads < self._max_count:
            self._start_thread()
        self._grow_timer = loop.call_later(self._patience_s, self._grow, loop)

    def _start_thread(self) -> None:
        with self._lock:
            self._threads += 1
            self._started += 1
            name = f"worker-{self._started}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while (job := self._wait_for_job()) is not None:
            job.run()
            self._ended.append(job)
            if self._jobs.empty() or self._is_stopping:
                self._wake(job.loop)
        with self._lock:
            self._threads -= 1

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop may be closed by the time a stuck call returns
            loop.call_soon_threadsafe(self._settle_ended)

    def _settle_ended(self) -> None:
        while self._ended:
            self._ended.popleft().settle()

    def _wait_for_job(self) -> Job[Any] | None:
        with self._lock:
            if self._idle >= self._core_count:
                return None
            self._idle += 1
        try:
            return self._jobs.get()
        finally:
            with self._lock:
                self._idle -= 1
