"""One collect on a worker thread, with its deadline and without a task of its own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable

from agent.collection.recorder import TickRecorder
from agent.collection.threads import Job, WorkerThreads
from agent.errors import CollectError, ContractError

__all__ = ["PlainCall", "overdue", "unexpected"]


class PlainCall:
    """A plain `collect` under way. Waking a task for each collector and tick would cost more than many a collect does.

    Args:
        owner: Name of the collector.
        recorder: What takes its samples.
        deadline_s: Seconds it may take, > 0.
        on_done: Called once, on the event loop, with this call and with what went wrong or None; not from within `start`.
    """

    __slots__ = ("_deadline_s", "_on_done", "_owner", "_timer", "recorder")

    def __init__(
        self,
        owner: str,
        recorder: TickRecorder,
        deadline_s: float,
        on_done: Callable[[PlainCall, Exception | None], None],
    ) -> None:
        self.recorder = recorder
        self._owner = owner
        self._deadline_s = deadline_s
        self._on_done: Callable[[PlainCall, Exception | None], None] | None = on_done
        self._timer: asyncio.TimerHandle | None = None

    def start(self, workers: WorkerThreads, collect: Callable[[TickRecorder], object]) -> Job[object]:
        """Queue it; the job goes on when the deadline has passed.

        Raises:
            WorkersExhausted: There is no thread for it.
        """
        job = workers.start(self._ended, collect, self.recorder)
        self._timer = job.loop.call_later(self._deadline_s, self._expired)
        return job

    def give_up(self) -> None:
        """Tell nobody how it ends."""
        self._on_done = None
        if self._timer is not None:
            self._timer.cancel()

    def _ended(self, job: Job[object]) -> None:
        error = job.error
        if error is None and job.result is not None:
            error = unexpected(self._owner, job.result)
        self._tell(error)

    def _expired(self) -> None:
        self._tell(overdue(self._owner, self._deadline_s))

    def _tell(self, error: Exception | None) -> None:
        on_done = self._on_done
        self.give_up()
        if on_done is not None:
            on_done(self, error)


def overdue(owner: str, deadline_s: float) -> CollectError:
    """What is told of a collect that did not end in time."""
    return CollectError(f"collector {owner!r} gave no answer in {deadline_s:g} s")


def unexpected(owner: str, returned: object) -> ContractError:
    """What is told of a collect that returned something; a coroutine that nobody will await is closed."""
    if inspect.iscoroutine(returned):
        returned.close()
    return ContractError(owner, "collector", f"collect() returns None (got {returned!r:.80})")
