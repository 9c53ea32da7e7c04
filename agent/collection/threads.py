"""Worker threads for blocking calls, of which any may hang for ever."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeVar, cast

__all__ = ["AwaitedJob", "Job", "ThreadStats", "WorkerThreads", "WorkersExhausted"]

T = TypeVar("T")


class WorkersExhausted(RuntimeError):
    """Every worker thread is stuck and no more may be started."""


class Job(Generic[T]):
    """One blocking call.

    Attributes:
        loop: Where its outcome goes.
        is_running: True from submission until the call has returned, also when nobody waits for it any more.
        result: What the call returned; None before that, and when it raised.
        error: What it raised; None when it did not.
    """

    __slots__ = ("_args", "_function", "error", "is_running", "loop", "result")

    def __init__(self, function: Callable[..., T], args: tuple[Any, ...], loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.is_running = True
        self.result: T | None = None
        self.error: Exception | None = None
        self._function = function
        self._args = args

    def run(self) -> None:
        """Make the call on this thread and keep its outcome."""
        try:
            self.result = self._function(*self._args)
        except BaseException as raised:  # noqa: BLE001 - a plugin's SystemExit must reach the loop, not end the worker
            self.error = _presentable(raised)
        self.is_running = False

    def settle(self) -> None:
        """Hand the outcome over; on the event loop, after `run`."""
        raise NotImplementedError


class AwaitedJob(Job[T]):
    """A blocking call that somebody may await.

    Attributes:
        done: Resolves on the event loop with the result; cancelling it stops the waiting, not the call.
    """

    __slots__ = ("done",)

    def __init__(self, function: Callable[..., T], args: tuple[Any, ...], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(function, args, loop)
        self.done: asyncio.Future[T] = loop.create_future()

    def settle(self) -> None:
        if self.done.done():
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(cast("T", self.result))


class ToldJob(Job[T]):
    """A blocking call whose end is told to somebody, on the event loop."""

    __slots__ = ("_on_end",)

    def __init__(
        self,
        function: Callable[..., T],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        on_end: Callable[[Job[T]], None],
    ) -> None:
        super().__init__(function, args, loop)
        self._on_end = on_end

    def settle(self) -> None:
        self._on_end(self)


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
        self._jobs: deque[Job[Any]] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._is_bell_due = False
        self._unsettled_count = 0
        self._ended: deque[Job[Any]] = deque()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._started = 0
        self._is_stopping = False
        self._grow_timer: asyncio.TimerHandle | None = None

    def stats(self) -> ThreadStats:
        return ThreadStats(self._threads, self._idle, len(self._jobs))

    def submit(self, function: Callable[..., T], /, *args: Any) -> AwaitedJob[T]:
        """Queue a call and return its job; call it from the event loop.

        Raises:
            WorkersExhausted: All `max_count` threads are busy and as many jobs wait already.
        """
        job = AwaitedJob(function, args, asyncio.get_running_loop())
        self._queue(job)
        return job

    def start(self, on_end: Callable[[Job[T]], None], function: Callable[..., T], /, *args: Any) -> Job[T]:
        """As `submit`, but calls `on_end` on the event loop when the call has ended, which spares the future and its task."""
        job = ToldJob(function, args, asyncio.get_running_loop(), on_end)
        self._queue(job)
        return job

    async def run(self, function: Callable[..., T], /, *args: Any) -> T:
        """Make a blocking call on a worker thread. Cancelling stops the waiting at once."""
        return await self.submit(function, *args).done

    def stop(self) -> None:
        """Let idle threads end; stuck ones end with the process. Safe twice."""
        self._is_stopping = True
        self._cancel_growing()
        for _ in range(self._threads):
            self._bell.put(None)

    def _queue(self, job: Job[Any]) -> None:
        """The bell rings when the loop has queued all it has to: a thread woken earlier fights for the interpreter's lock."""
        if self._threads >= self._max_count and len(self._jobs) >= self._max_count:
            raise WorkersExhausted(f"all {self._max_count} worker threads are stuck")
        self._jobs.append(job)
        self._unsettled_count += 1
        if self._threads < self._core_count and len(self._jobs) > self._idle:
            self._start_thread()
        if not self._is_bell_due:
            self._is_bell_due = True
            job.loop.call_soon(self._ring)
        if self._grow_timer is None:
            self._grow_timer = job.loop.call_later(self._patience_s, self._grow, job.loop)

    def _ring(self) -> None:
        self._is_bell_due = False
        if self._jobs:
            self._bell.put(None)

    def _grow(self, loop: asyncio.AbstractEventLoop) -> None:
        self._grow_timer = None
        has_waiting = bool(self._jobs)
        self._settle_ended()
        if not has_waiting:
            return
        if self._threads < self._max_count:
            self._start_thread()
        self._grow_timer = loop.call_later(self._patience_s, self._grow, loop)

    def _cancel_growing(self) -> None:
        if self._grow_timer is not None:
            self._grow_timer.cancel()
            self._grow_timer = None

    def _start_thread(self) -> None:
        with self._lock:
            self._threads += 1
            self._started += 1
            name = f"worker-{self._started}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            job.run()
            self._ended.append(job)
            if not self._jobs or self._is_stopping:
                self._wake(job.loop)
        with self._lock:
            self._threads -= 1

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop may be closed by the time a stuck call returns
            loop.call_soon_threadsafe(self._settle_ended)

    def _settle_ended(self) -> None:
        while self._ended:
            self._unsettled_count -= 1
            self._ended.popleft().settle()
        if not self._unsettled_count:
            self._cancel_growing()

    def _next_job(self) -> Job[Any] | None:
        """On a worker thread: the next job, once there is one; None when this thread is not needed any more."""
        while True:
            with suppress(IndexError):
                return self._jobs.popleft()
            if not self._may_wait():
                return None
            try:
                self._bell.get()
            finally:
                with self._lock:
                    self._idle -= 1

    def _may_wait(self) -> bool:
        with self._lock:
            if self._is_stopping or self._idle >= self._core_count:
                return False
            self._idle += 1
            return True


def _presentable(raised: BaseException) -> Exception:
    """What may be raised again on the event loop: a future takes no StopIteration, and nothing may end the loop."""
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    return RuntimeError(f"{type(raised).__name__} raised in a worker thread: {raised}")
