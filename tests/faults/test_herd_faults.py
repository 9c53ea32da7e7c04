"""When a fleet's agents come back: the real pacing of 1,000 of them, on a clock of our own, and over real sockets."""

import asyncio
import os
import random
import resource
import signal
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from fault_fleet import Fleet, Member, Processors, peak_to_mean, tick
from fault_stage import Verdict, free_port
from hub_support import HubProcess
from websockets.exceptions import ConnectionClosedError

from agent.resilience.breaker import CircuitState
from agent.testing.clock import FakeClock
from agent.testing.time_travel import run_with_time_travel
from plugins.sinks.websocket import connection

AGENTS = 1000
NOWHERE = "ws://127.0.0.1:1"


class Hub:
    """What a hub is to a connecting agent: there or not."""

    def __init__(self, clock):
        self.clock, self.is_there, self.life, self.connected_s = clock, True, 0, []

    async def connect(self, *_, **__):
        if not self.is_there:
            raise ConnectionRefusedError
        self.connected_s.append(self.clock.monotonic_s())
        return Socket(self)


class Socket:
    def __init__(self, hub):
        self.hub, self.life, self.transport = hub, hub.life, self

    async def recv(self):
        await asyncio.Event().wait()

    async def send(self, _):
        if self.life != self.hub.life:
            raise ConnectionClosedError(None, None)

    def abort(self):
        pass


async def outage(hub, clock, rng, away_s):
    """Every agent makes a batch a second, at a moment of its own; the hub goes at 1.5 s and comes back."""
    senders = [Member(NOWHERE, rng.getrandbits(48), clock, protocol="plain").sender for _ in range(AGENTS)]

    async def collect(sender):
        await asyncio.sleep(rng.uniform(0, 1))
        while True:
            sender.put(tick(clock, 1, 1.0))
            await asyncio.sleep(1.0)

    tasks = [asyncio.ensure_future(work) for one in senders for work in (one.run(), collect(one))]
    await asyncio.sleep(1.5)
    hub.is_there, hub.life, hub.connected_s = False, 1, []
    await asyncio.sleep(away_s)
    states = Counter(one.breaker.state for one in senders)
    hub.is_there, back_s = True, clock.monotonic_s()
    while len(hub.connected_s) < AGENTS and clock.monotonic_s() < back_s + 60:
        await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return back_s, states


def case(away_s, seed):
    marks = [pytest.mark.long] if seed > 1 or away_s != 5 else []
    return pytest.param(away_s, seed, marks=marks)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("away_s", "seed"), [case(away_s, seed) for seed in range(1, 6) for away_s in (1, 5, 23.7)])
def test_fleet_comes_back_spread_out(monkeypatch, report, seed, away_s):
    clock, rng = FakeClock(), random.Random(seed)
    hub = Hub(clock)
    monkeypatch.setattr(connection, "_ConnectHere", hub.connect)
    back_s, states = run_with_time_travel(outage(hub, clock, rng, away_s), clock)
    back = [moment - back_s for moment in hub.connected_s]
    verdict = Verdict(f"pacing of 1,000 agents, hub away {away_s:g} s", seed)
    ratio = peak_to_mean(back)
    verdict.notes = {"all back after": f"{max(back):.1f} s", "peak/mean connects per 0.1 s": f"{ratio:.2f}"}
    report(verdict)
    assert set(states) <= {CircuitState.OPEN, CircuitState.HALF_OPEN}, "whoever cannot deliver says so"
    assert len(back) == AGENTS
    assert max(back) < 60
    assert ratio < 3


async def killed_and_back(fleet, folder, port, verdict, *, live_s):
    """The hub is killed and comes back 5 s later; `live_s` after the last agent is back all are told to finish."""
    async with AsyncExitStack() as stack:
        hub = stack.enter_context(HubProcess(folder, port))
        async with asyncio.TaskGroup() as tasks:
            fleet.run(tasks)
            await fleet.all_open()
            hub.send_signal(signal.SIGKILL)
            hub.wait()
            fleet.forget()
            await asyncio.sleep(5.0)
            hub = await asyncio.to_thread(stack.enter_context, HubProcess(folder, port))
            back_s, before = fleet.clock.monotonic_s(), [Processors.of(pid) for pid in (hub.pid, os.getpid())]
            await fleet.all_open()
            for name, pid, was in zip(("hub", "agents"), (hub.pid, os.getpid()), before, strict=True):
                verdict.notes[f"CPU of the {name} until then"] = Processors.of(pid).since(was)
            await asyncio.sleep(live_s)
            fleet.finish()
        return back_s, await fleet.stored(hub.page)


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("count", "live_s"), [(50, 2.0), pytest.param(AGENTS, 10.0, marks=pytest.mark.long)])
async def test_fleet_over_real_sockets(tmp_path, report, monkeypatch, count, live_s):
    """How long it took is printed, not judged: that depends on what else this machine does. The pacing is judged above."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    verdict, port = Verdict(f"{count:,} agents after a hub restart, real sockets", 1), free_port()
    fleet = Fleet(f"ws://127.0.0.1:{port}", count)
    monkeypatch.setattr(connection, "_ConnectHere", fleet.connect)
    back_s, stored = await killed_and_back(fleet, tmp_path, port, verdict, live_s=live_s)
    verdict.made = sum(map(len, fleet.made))
    verdict.duplicated = sum(len(values) - len(set(values)) for values in stored)
    verdict.lost = sum(len(set(made) - set(have)) for made, have in zip(fleet.made, stored, strict=True))
    verdict.notes |= {
        "all back after": f"{max(fleet.opened_s.values()) - back_s:.1f} s (mark 60)",
        "connects": len(fleet.connects_s),
        "peak/mean connects per 0.1 s": f"{peak_to_mean(fleet.connects_s):.2f} (mark 3)",
        "live acks": len(fleet.acks_s),
        "ack p99": f"{sorted(fleet.acks_s)[int(0.99 * len(fleet.acks_s))]:.2f} s (mark 1)",
    }
    report(verdict).assert_whole()
