"""A hub in this process or in one of its own, and what a sink is given, for tests over real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

import numpy as np
import structlog
from websockets.asyncio.client import connect

from agent.clock import SystemClock
from agent.config.schema import HubSection
from agent.hub.server import Hub
from agent.model import Batch, Level, Series
from plugins.sinks.websocket import Config, websocket

__all__ = ["HubProcess", "RunningHub", "SinkStage", "batch", "fetch", "hello", "open_agent"]

SERIES = {number: Series("test_value", (("n", str(number)),), "bytes") for number in range(1, 6)}


def batch(value: float, *, time_s: float | None = None, ids: tuple[int, ...] = (1, 2)) -> Batch:
    """One tick whose points all have this value."""
    time_ns = SystemClock.wall_ns() if time_s is None else round(time_s * 1e9)
    return Batch(time_ns, 0.0, np.array(ids, np.uint32), np.full(len(ids), value))


class SinkStage:
    """`SinkContext` that remembers what the sink reported."""

    def __init__(self, agent: str = "web1", epoch: str = "e1") -> None:
        self.name = "websocket"
        self.agent = agent
        self.epoch = epoch
        self.labels = {"dc": "north"}
        self.clock = SystemClock()
        self.rng = random.Random(7)
        self.log = structlog.get_logger()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[int] = []

    def definition(self, series_id: int) -> Series:
        self.asked.append(series_id)
        return SERIES[series_id]

    def emit(self, kind: str, level: Level = Level.INFO, /, **detail: Any) -> None:
        self.events.append((kind, detail))

    async def run_blocking(self, function: Any, /, *args: Any) -> Any:
        return await asyncio.to_thread(function, *args)

    def sink(self, url: str, **keys: Any) -> Any:
        """The sink under test; reconnects come quickly unless told otherwise."""
        keys = {"reconnect_s": 0.001, "reconnect_max_s": 0.01, **keys}
        return websocket(Config(url=url, **keys), self)


class RunningHub:
    """A hub in this event loop; use it as an async context manager."""

    def __init__(self, state_dir: Path, **keys: Any) -> None:
        self.config = HubSection(**{"listen": "127.0.0.1:0", "state_dir": str(state_dir), **keys})
        self.stop = asyncio.Event()
        self.page = ""

    @property
    def url(self) -> str:
        """Where sinks connect to."""
        return self.page.replace("http", "ws", 1)

    async def __aenter__(self) -> Self:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        hub = Hub(self.config, clock=SystemClock(), log=structlog.get_logger())
        self._task = asyncio.create_task(hub.run(self.stop, ready.set_result))
        await asyncio.wait([self._task, ready], return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()
        self.page = ready.result()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        await self._task

    async def get(self, target: str, **headers: str) -> tuple[int, Any]:
        """Status and decoded JSON of a query."""
        status, _, body = await fetch(self.page + target, **headers)
        return status, json.loads(body)

    async def agents(self) -> dict[str, Any]:
        """What the hub says of its agents, by name."""
        return {agent["name"]: agent for agent in (await self.get("api/v1/agents"))[1]["agents"]}

    async def values(self, agent: str = "web1", series: str = "test_value%7Bn=%221%22%7D") -> list[float]:
        """All stored values of one series."""
        _, found = await self.get(f"api/v1/query?agent={agent}&series={series}&from=1")
        return found["values"]


async def fetch(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (lower case) and body of a GET, as a plain HTTP client sees them."""
    request = urllib.request.Request(url, headers=headers)

    def ask() -> tuple[int, dict[str, str], bytes]:
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, {k.lower(): v for k, v in refusal.headers.items()}, refusal.read()

    return await asyncio.to_thread(ask)


def hello(agent: str = "raw1", epoch: str = "e1") -> str:
    """A `hello` in JSON."""
    return json.dumps({"type": "hello", "version": 1, "agent": agent, "epoch": epoch, "next_seq": 1})


def open_agent(url: str, encoding: str = "json", **keys: Any) -> connect:
    """A bare connection to the hub's door for agents."""
    keys = {"subprotocols": [f"rebellion.v1.{encoding}"], "compression": None, "proxy": None, **keys}
    return connect(f"{url}api/v1/ingest", **keys)


class HubProcess:
    """A hub in a process of its own, to be killed and stopped; use it as a context manager.

    Args:
        state_dir: Its folder.
        port: 0 = any free one; `port` says which.
        die_after_commits: Kill the process by SIGKILL right after that many transactions, before anything is acknowledged.
    """

    def __init__(self, state_dir: Path, port: int = 0, *, die_after_commits: int = 0) -> None:
        script = Path(__file__).with_name("hub_process.py")
        command = [sys.executable, str(script), str(state_dir), str(port), str(die_after_commits)]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        assert self._child.stdout is not None
        self.page = self._child.stdout.readline().strip()
        self.port = int(self.page.rstrip("/").rpartition(":")[2])
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.wait()
        assert self._child.stdout is not None
        self._child.stdout.close()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def url(self) -> str:
        return self.page.replace("http", "ws", 1)

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self._child.pid, number)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self._child.wait(20)
