"""Runs the hub as a process: signals, readiness, watchdog, exit code."""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import TYPE_CHECKING

import msgspec
import structlog

from agent.clock import SystemClock
from agent.hub.server import Hub
from agent.systemd import notify, watchdog_s

if TYPE_CHECKING:
    from agent.config.loaded import LoadedHubConfig
    from agent.config.schema import HubSection

__all__ = ["run_hub"]


def run_hub(loaded: LoadedHubConfig) -> int:
    """Serve until SIGTERM or SIGINT; the exit code.

    Args:
        loaded: The checked configuration.

    Raises:
        ConfigError: A token or certificate cannot be used.
        OSError: The port cannot be listened on, or the disk cannot be written.
        StoreError: The store is damaged or another hub's.
    """
    asyncio.run(_serve(msgspec.structs.replace(loaded.config.hub, state_dir=str(loaded.state_dir))))
    return 0


async def _serve(section: HubSection) -> None:
    hub = Hub(section, clock=SystemClock(), log=structlog.get_logger())
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    feeding = asyncio.create_task(_feed_watchdog(), name="watchdog")
    try:
        await hub.run(stop, _ready)
    finally:
        notify("STOPPING=1")
        feeding.cancel()


def _ready(address: str) -> None:
    """What stands in memory by now stays there; the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()
    notify(f"READY=1\nSTATUS=listening on {address}")


async def _feed_watchdog() -> None:
    """Fed by the loop itself, so a stuck loop is restarted."""
    period_s = watchdog_s()
    while period_s is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(period_s / 3)
