"""What recovery plugins are given where there is no agent: in a program that uses the library."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from agent.clock import Clock
from agent.contracts import Logger
from agent.model import Level, Scalar

__all__ = ["LibraryHost", "LibraryLog"]

T = TypeVar("T")


class LibraryLog:
    """Logs through structlog where the program has configured that, else through `logging`, under the name `rebellion`."""

    def debug(self, event: str, **facts: Any) -> None:
        _log("debug", event, facts)

    def info(self, event: str, **facts: Any) -> None:
        _log("info", event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        _log("warning", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        _log("error", event, facts)


def _log(level: str, event: str, facts: dict[str, Any]) -> None:
    structlog = sys.modules.get("structlog")
    if structlog is not None and structlog.is_configured():
        getattr(structlog.get_logger("rebellion"), level)(event, **facts)
        return
    text = " ".join(f"{key}={value!r}" for key, value in facts.items())
    logging.getLogger("rebellion").log(getattr(logging, level.upper()), "%s %s", event, text)


class LibraryHost:
    """`PluginContext` of a program that uses the library."""

    def __init__(self, name: str, *, clock: Clock, rng: random.Random, log: Logger) -> None:
        self.name = name
        self.clock = clock
        self.rng = rng
        self.log = log

    @property
    def state_dir(self) -> Path:
        """There is none.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(f"{self.name!r}: a program that uses the library has no state folder")

    def emit(self, kind: str, level: Level = Level.INFO, /, **detail: Scalar) -> None:
        """Events go to the log."""
        emit_to(self.log, kind, self.name, level, **detail)

    async def run_blocking(self, function: Callable[..., T], /, *args: Any) -> T:
        return await asyncio.to_thread(function, *args)


def emit_to(log: Logger, kind: str, component: str, level: Level = Level.INFO, /, **detail: Scalar) -> None:
    """Log an event under the level that it has."""
    getattr(log, level.value)(kind, component=component, **detail)
