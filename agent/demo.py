"""`rebellion demo`: a hub and an agent on this host's loopback, live, until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT, Process
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

__all__ = ["run_demo"]

PREFERRED_PORT = 8765
RESTART_S = 5.0
STOP_S = 15.0
ASK_S = 0.9


@dataclass(slots=True)
class Demo:
    """Two child processes and what is known of them.

    Attributes:
        folder: Configuration and state of both; gone when the demo ends.
        port: Where the hub listens.
    """

    folder: Path
    port: int
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    agent_ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def run(self) -> int:
        """Run both until `stop` is set or the agent ends by itself; the agent's exit code."""
        self._configure()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_hub(), name="hub")
            group.create_task(self._print(), name="print")
            code = await self._run_agent()
            self.stop.set()
            self.agent_ended.set()
        return code

    def _configure(self) -> None:
        (self.folder / "hub.toml").write_text(
            f'[hub]\nlisten = "127.0.0.1:{self.port}"\nstate_dir = {json.dumps(str(self.folder / "hub"))}\n'
            '[log]\nformat = "json"\n'
        )
        (self.folder / "agent.toml").write_text(
            f"[agent]\nstate_dir = {json.dumps(str(self.folder / 'agent'))}\n"
            f'[sinks.websocket]\nurl = "ws://127.0.0.1:{self.port}/"\n[log]\nformat = "json"\n'
        )

    async def _start(self, command: str) -> Process:
        script = Path(sys.executable).with_name("rebellion")
        program = [str(script)] if script.exists() else ["-m", "agent.cli"]
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *program,
            command,
            "--config",
            str(self.folder / f"{command}.toml"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,  # Ctrl-C reaches only this process, which then stops the agent first and the hub last
        )

    async def _run_agent(self) -> int:
        await self._hub_listens()
        agent = await self._start("agent")
        say(f"agent  pid {agent.pid}")
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(_show_log("agent", agent))
            stopping = group.create_task(self._stop_when_asked(agent))
            code = await agent.wait()
            await showing
            stopping.cancel()
        if not self.stop.is_set():
            say(f"agent  ended by itself with exit code {code}")
        return code

    async def _stop_when_asked(self, process: Process) -> None:
        await self.stop.wait()
        await _end(process)

    async def _keep_hub(self) -> None:
        """Run the hub and start it again when it dies, as systemd would."""
        while not self.stop.is_set():
            hub = await self._start("hub")
            say(f"hub    pid {hub.pid}, page {self.address}")
            async with asyncio.TaskGroup() as group:
                group.create_task(_show_log("hub", hub))
                ending = group.create_task(self._stop_after_agent(hub))
                code = await hub.wait()
                ending.cancel()
            if not self.stop.is_set():
                say(f"hub    gone (exit code {code}); the agent keeps everything; hub starts again in {RESTART_S:g} s")
                await self._wait_for_a_free_port()

    async def _wait_for_a_free_port(self) -> None:
        """Pause, and then for as long as a hub that somebody started by hand listens there."""
        while not self.stop.is_set():
            await _either(self.stop, RESTART_S)
            if _is_free(self.port):
                return

    async def _stop_after_agent(self, hub: Process) -> None:
        """The hub outlives the agent, so that the agent can drain into it."""
        await self.agent_ended.wait()
        await _end(hub)

    async def _hub_listens(self) -> None:
        while _is_free(self.port) and not await _either(self.stop, 0.02):
            continue

    async def _print(self) -> None:
        """A line a second from the moment the hub first listens: before that its silence is no news."""
        await self._hub_listens()
        while not await _either(self.stop, 1.0):
            say(await asyncio.to_thread(self._flow))

    def _flow(self) -> str:
        try:
            with urlopen(f"{self.address}api/v1/agents", timeout=ASK_S) as answer:  # noqa: S310 - loopback, our own
                agents = json.load(answer)["agents"]
        except (URLError, OSError, ValueError) as error:
            return f"flow   hub does not answer ({error})"
        return "flow   " + ("; ".join(map(_flow_of, agents)) or "no agent yet")


def _flow_of(agent: dict[str, Any]) -> str:
    state = "connected" if agent["connected"] else "away"
    return (
        f"{agent['name']} {state}: {agent['series_count']} series, {agent['points_total']:,} points in "
        f"{agent['batches_total']:,} batches, acked up to {agent['last_seq']}, {agent['duplicates_total']} duplicates dropped"
    )


async def _show_log(who: str, process: Process) -> None:
    assert process.stdout is not None  # noqa: S101 - started with a pipe
    async for line in process.stdout:
        text = line.decode(errors="replace").rstrip()
        try:
            entry = json.loads(text)
        except ValueError:
            say(f"{who:<6} {text}")
            continue
        if isinstance(entry, dict):
            say(f"{who:<6} {_event_text(entry)}")


def _event_text(entry: dict[str, Any]) -> str:
    skipped = {"event", "level", "timestamp", "logger"}
    facts = "  ".join(f"{key}={value}" for key, value in entry.items() if key not in skipped)
    return f"{entry.get('event', '')}  {facts}"


async def _end(process: Process) -> None:
    """SIGTERM, and SIGKILL when that is not enough."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()


async def _either(stop: asyncio.Event, seconds: float) -> bool:
    """True as soon as `stop` is set, False after so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            return await stop.wait()
    except TimeoutError:
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _choose_port() -> int:
    if _is_free(PREFERRED_PORT):
        return PREFERRED_PORT
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def say(line: str) -> None:
    """Print one line, at once, with the time of day."""
    sys.stdout.write(f"{datetime.now(UTC).astimezone():%H:%M:%S}  {line}\n")
    sys.stdout.flush()


def run_demo(port: int = 0) -> int:
    """Run the demo until SIGINT or SIGTERM; the exit code.

    Args:
        port: Where the hub listens; 0 = 8765 when free, else any free port.
    """
    with tempfile.TemporaryDirectory(prefix="rebellion-demo-") as folder:
        return asyncio.run(_run(Demo(Path(folder), port or _choose_port())))


async def _run(demo: Demo) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, demo.stop.set)
    code = await demo.run()
    say("demo   ended, everything of it removed")
    return code if os.name == "posix" and code >= 0 else 1
