"""A hub as a process that writes down what it stored: python fault_hub.py STATE_DIR PORT DIE_AFTER.

Its output is its address, and then a line for each answer of the store: wall seconds, epoch's number, sequence number, `stored`
or `duplicate`, first value (null: no batch), as a JSON list between log lines. The line is written between the commit and its
acknowledgement. DIE_AFTER > 0 kills the process by SIGKILL at that moment, so many records on.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any

import structlog

from agent.clock import SystemClock
from agent.config.schema import HubSection
from agent.hub.inbox import Inbox
from agent.hub.server import Hub
from agent.protocol.codec import unpack_floats


def keep_journal(die_after: int) -> None:
    """Have every answer of the store written down before it is given."""
    whole = Inbox._stored
    left = [die_after]

    def stored(self: Inbox, write: Any, result: Any) -> None:
        value = unpack_floats(write.values)[0] if hasattr(write, "values") else None
        line = [time.time(), write.epoch_id, write.seq, result.name.lower(), value]
        os.write(sys.stdout.fileno(), json.dumps(line).encode() + b"\n")
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        whole(self, write, result)

    Inbox._stored = stored


async def main(state_dir: str, port: str, die_after: str) -> None:
    keep_journal(int(die_after))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    config = HubSection(listen=f"127.0.0.1:{port}", state_dir=state_dir)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    await Hub(config, clock=SystemClock(), log=structlog.get_logger()).run(stop, lambda page: print(page, flush=True))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
