"""Runs the hub as a process: signals, readiness, watchdog, exit code."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import msgspec
import structlog

from agent.clock import SystemClock
from agent.errors import ConfigError
from agent.hub.server import Hub
from agent.hub.store import StoreError
from agent.systemd import notify, watchdog_s

if TYPE_CHECKING:
    from agent.config.loaded import LoadedHubConfig
    from agent.config.schema import HubSection

__all__ = ["run_hub"]

EXIT_FAILED = 1
EXIT_BAD_CONFIGURATION = 78


def run_hub(loaded: LoadedHubConfig) -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0, 1 (port in use, damaged store) or 78 (configuration).

    Args:
        loaded: The checked configuration.
    """
    section = msgspec.structs.replace(loaded.config.hub, state_dir=str(loaded.state_dir))
    try:
        asyncio.run(_serve(section))
    except ConfigError as error:
        sys.stderr.write("".join(f"rebellion: {problem}\n" for problem in error.problems))
        return EXIT_BAD_CONFIGURATION
    except (OSError, StoreError) as error:
        sys.stderr.write(f"rebellion: hub: {error}\n")
        return EXIT_FAILED
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
    notify(f"READY=1\nSTATUS=listening on {address}")


async def _feed_watchdog() -> None:
    """Fed by the loop itself, so a stuck loop is restarted."""
    period_s = watchdog_s()
    while period_s is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(period_s / 3)
