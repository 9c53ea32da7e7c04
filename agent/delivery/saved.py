"""Live records that waited long enough to be written to disk, and stay in memory: they still go before any backlog."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from agent.model import Record
from agent.resilience.buffer import record_bytes

__all__ = ["Saved"]

MAX_COUNT = 64
MAX_BYTES = 524_288
"""About a group; what waits beyond that is backlog."""


class Saved:
    """Records with their ids in the spool, oldest first."""

    def __init__(self) -> None:
        self._records: deque[tuple[Record, int]] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._records)

    @property
    def free_count(self) -> int:
        """Records that it still takes; 0 when its bytes are used up."""
        return MAX_COUNT - len(self._records) if self._bytes < MAX_BYTES else 0

    @property
    def free_bytes(self) -> int:
        return MAX_BYTES - self._bytes

    def add(self, records: Sequence[Record], ids: Sequence[int]) -> None:
        """Put them behind the others."""
        self._records.extend(zip(records, ids, strict=True))
        self._bytes += sum(map(record_bytes, records))

    def take(self, max_count: int, max_bytes: int) -> tuple[list[Record], tuple[int, ...]]:
        """The oldest and their ids; one record is given whatever its size."""
        taken: list[tuple[Record, int]] = []
        free_bytes = max_bytes
        while self._records and len(taken) < max_count:
            free_bytes -= record_bytes(self._records[0][0])
            if taken and free_bytes < 0:
                break
            taken.append(self._records.popleft())
        self._bytes -= sum(record_bytes(record) for record, _ in taken)
        return [record for record, _ in taken], tuple(number for _, number in taken)
