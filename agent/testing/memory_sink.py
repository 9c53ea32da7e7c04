"""A sink that keeps what it is given, and fails as told."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from agent.model import Record

__all__ = ["MemorySink"]


class MemorySink:
    """`Sink` for tests.

    Args:
        failures: Raised by the next deliveries, one each, in order; None lets that delivery through.

    Attributes:
        delivered: (sequence number, record) of everything taken, in order.
        attempts: (first sequence number, number of records) of every call.
        close_count: How often `close` was called.
    """

    def __init__(self, failures: Iterable[Exception | None] = ()) -> None:
        self.failures = deque(failures)
        self.delivered: list[tuple[int, Record]] = []
        self.attempts: list[tuple[int, int]] = []
        self.close_count = 0

    async def deliver(self, records: Sequence[Record], first_seq: int) -> None:
        self.attempts.append((first_seq, len(records)))
        failure = self.failures.popleft() if self.failures else None
        if failure is not None:
            raise failure
        self.delivered += enumerate(records, first_seq)

    async def close(self) -> None:
        self.close_count += 1
