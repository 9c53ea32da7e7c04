"""Many agents in one process, over real sockets, for hub_bench.py.

    hub_load.py send ADDRESS AGENTS SERIES SECONDS
    hub_load.py idle ADDRESS AGENTS CERTIFICATE [FIRST]     say hello and nothing more, until killed

Each agent sends one batch a second at its own moment of the second, by the protocol's own session, and notes when it is
acknowledged. Prints `ready` when all are connected, and at the end one JSON object.

An acknowledgement is timed from the moment its batch was due, not from when it was sent: a hub that holds senders back does
not look better for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import time
from collections.abc import Iterator

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from agent.protocol.agent_session import AgentSession
from agent.protocol.codec import Codec, Encoding
from agent.protocol.messages import BatchMessage, SeriesDefinition

CONNECTING_AT_ONCE = 50
GRACE_S = 15.0


class Values:
    """What series of a host look like, one call a tick: a fifth each of levels with two digits, counters, constants, bytes
    that move now and then, and noise."""

    def __init__(self, series: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._kind = np.arange(series) % 5
        self._values = self._rng.uniform(10, 90, series).round(2)
        self._values[self._kind == 3] = self._rng.integers(2**20, 2**34, series)[self._kind == 3]

    def tick(self) -> np.ndarray:
        """The next values, float64."""
        kind, noise = self._kind, self._rng.standard_normal(len(self._kind))
        level, counter, moved, drawn = kind == 0, kind == 1, (kind == 3) & (noise > 1), kind == 4
        self._values[level] = (self._values[level] + noise[level]).round(2)
        self._values[counter] += np.abs(noise[counter] * 100).round()
        self._values[moved] += (noise[moved] * 4096).round()
        self._values[drawn] = noise[drawn]
        return self._values


class Agent:
    """One agent: connects, then sends and hears until told."""

    def __init__(self, number: int, series: int) -> None:
        self.due_of: dict[int, float] = {}
        self.acks_s: list[float] = []
        self.late_s: list[float] = []
        self.nacks = 0
        self._ids = np.arange(series, dtype="<u4").tobytes()
        self._values = Values(series, number)
        self._definitions = [
            SeriesDefinition(id=one, name="bench_value", labels={"n": str(one)}) for one in range(series)
        ]
        self._room = asyncio.Event()
        self.session = AgentSession(
            Codec(Encoding.MSGPACK), agent=f"bench{number:05d}", epoch="e1", agent_version="bench", labels={}
        )

    async def open(self, address: str, trusted: ssl.SSLContext | None = None) -> ClientConnection:
        """Connect, greet and define."""
        names = [Encoding.MSGPACK.subprotocol]
        self.link = await connect(
            address, subprotocols=names, compression=None, proxy=None, ssl=trusted, ping_interval=None, open_timeout=60
        )
        await self.link.send(self.session.hello(1))
        self.session.receive(await self.link.recv())
        for frame in self.session.define(self._definitions):
            await self.link.send(frame)
        return self.link

    async def send(self, first_s: float, ticks: int) -> None:
        """Send one batch a second, as soon after its moment as the hub's window lets."""
        seq = self.session.sent_seq
        for tick in range(ticks):
            due_s = first_s + tick
            await asyncio.sleep(due_s - time.monotonic())
            while not self.session.has_room:
                self._room.clear()
                await self._room.wait()
            seq += 1
            batch = BatchMessage(seq=seq, time_ns=time.time_ns(), ids=self._ids, values=self._values.tick().tobytes())
            self.due_of[seq] = due_s
            frame = self.session.send(batch)
            self.late_s.append(time.monotonic() - due_s)
            await self.link.send(frame)

    async def hear(self) -> None:
        """Take what the hub answers until the connection ends."""
        heard = self.session.acked_seq
        async for frame in self.link:
            self.session.receive(frame)
            now_s = time.monotonic()
            if self.session.nack is not None:
                self.nacks += 1
            for seq in range(heard + 1, self.session.acked_seq + 1):
                self.acks_s.append(now_s - self.due_of.pop(seq))
            heard = self.session.acked_seq
            self._room.set()


async def watched(agents: list[Agent], seconds: int) -> list[int]:
    """How many records were not acknowledged yet, once a second."""
    waiting = []
    for _ in range(seconds):
        await asyncio.sleep(1)
        waiting.append(sum(len(agent.due_of) for agent in agents))
    return waiting


async def opened(agents: list[Agent], address: str, trusted: ssl.SSLContext | None = None) -> None:
    """Connect all of them, a few at a time."""
    turn = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def open_one(agent: Agent) -> None:
        async with turn:
            await agent.open(address, trusted)

    async with asyncio.TaskGroup() as opening:
        for agent in agents:
            opening.create_task(open_one(agent))


async def run(address: str, count: int, series: int, seconds: int) -> dict[str, float | list[int]]:
    """Send for so long, and wait a while for what is not acknowledged then."""
    agents = [Agent(number, series) for number in range(count)]
    await opened(agents, address)
    print("ready", flush=True)
    started_s, started_cpu_s = time.monotonic() + 0.5, time.process_time()
    async with asyncio.TaskGroup() as tasks:
        hearing = [tasks.create_task(agent.hear()) for agent in agents]
        sending = [
            tasks.create_task(agent.send(started_s + number / count, seconds)) for number, agent in enumerate(agents)
        ]
        waiting = await watched(agents, seconds)
        acked_in_time = sum(agent.session.acked_seq for agent in agents)
        spent_s = time.process_time() - started_cpu_s
        for _ in range(round(GRACE_S / 0.1)):
            if all(task.done() for task in sending) and not any(agent.due_of for agent in agents):
                break
            await asyncio.sleep(0.1)
        elapsed_s = time.monotonic() - started_s
        for task in (*hearing, *sending):
            task.cancel()
    for agent in agents:
        agent.link.transport.abort()
    return {
        "offered_points": count * seconds * series,
        "acked_points": sum(agent.session.acked_seq for agent in agents) * series,
        "acked_in_time_points": acked_in_time * series,
        "elapsed_s": elapsed_s,
        "cpu_share": spent_s / seconds,
        "nacks": sum(agent.nacks for agent in agents),
        "waiting": waiting,
        **dict(percentiles("ack", agents_values(agents, "acks_s"))),
        **dict(percentiles("send_late", agents_values(agents, "late_s"))),
    }


def agents_values(agents: list[Agent], name: str) -> np.ndarray:
    """That list of all of them, as one array."""
    return np.concatenate([np.array(getattr(agent, name)) for agent in agents])


def percentiles(name: str, values: np.ndarray) -> Iterator[tuple[str, float]]:
    """Named for JSON, seconds."""
    for percent in (50, 99, 100):
        yield f"{name}_p{percent}_s", float(np.percentile(values, percent)) if len(values) else float("nan")


async def stay(address: str, count: str, certificate: str, first: str = "0") -> None:
    """Open connections that say nothing after `hello`."""
    trusted = ssl.create_default_context(cafile=certificate) if certificate else None
    agents = [Agent(int(first) + number, 0) for number in range(int(count))]
    await opened(agents, address, trusted)
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Do what the words say."""
    if "REBELLION_BENCH_CORE" in os.environ:
        os.sched_setaffinity(0, {int(os.environ["REBELLION_BENCH_CORE"])})
    what, address, *words = sys.argv[1:]
    if what == "send":
        print(json.dumps(asyncio.run(run(address, *map(int, words)))))
    else:
        asyncio.run(stay(address, *words))


if __name__ == "__main__":
    main()
