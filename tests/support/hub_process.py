"""A hub as a process: python hub_process.py STATE_DIR PORT DIE_AFTER_COMMITS. Prints its address once it listens."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from agent.clock import SystemClock
from agent.config.schema import HubSection, LogSection
from agent.hub.server import Hub
from agent.hub.sqlite_store import SqliteStore
from agent.logs import configure_logs


def die_after_commits(count: int) -> None:
    """Kill this process between a commit and its acknowledgement."""
    whole = SqliteStore.transaction
    left = [count]

    @contextmanager
    def deadly(self: SqliteStore) -> Iterator[None]:
        with whole(self):
            yield
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    SqliteStore.transaction = deadly


async def main(state_dir: str, port: str, deadly_commits: str) -> None:
    if int(deadly_commits):
        die_after_commits(int(deadly_commits))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    config = HubSection(listen=f"127.0.0.1:{port}", state_dir=state_dir)
    configure_logs(LogSection(format="console"), os.environ)
    await Hub(config, clock=SystemClock(), log=structlog.get_logger()).run(stop, lambda page: print(page, flush=True))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
