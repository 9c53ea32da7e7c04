"""When a fleet's agents come back: the real pacing of 1,000 of them, on a clock of our own, and over real sockets."""

import asyncio
import json
import random
import resource
import signal
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from fault_fleet import Member, peak_to_mean, tick
from fault_stage import Verdict, free_port
from hub_support import HubProcess, fetch
from websockets.exceptions import ConnectionClosedError

from agent.clock import SystemClock
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


class Fleet:
    """1,000 real connections out of this process, which with one Python has a core's worth of agents at a batch every 2 s."""

    SERIES = 20
    INTERVAL_S = 2.0

    def __init__(self, url):
        self.clock = SystemClock()
        self.opened_s, self.took_s, self.is_ending = {}, [], False
        self.made = [[] for _ in range(AGENTS)]
        self.members = [self._member(url, number) for number in range(AGENTS)]

    def _member(self, url, number):
        member = Member(url, number, self.clock, protocol="rebellion", on_open=lambda: self._opened(number))
        whole = member.sink.deliver

        async def deliver(records, first_seq):
            await whole(records, first_seq)
            now_s = self.clock.monotonic_s()
            self.took_s += [now_s - one.monotonic_s for one in records if one.monotonic_s > self.opened_s[number]]

        member.sink.deliver = deliver
        return member

    def _opened(self, number):
        self.opened_s[number] = self.clock.monotonic_s()

    async def live(self, number):
        """Ticks of one agent, each with a value of its own; the first ones are spread over 5 s."""
        sender = self.members[number].sender
        await asyncio.sleep(5 * number / AGENTS)
        while not self.is_ending:
            self.made[number].append(float(len(self.made[number])))
            sender.put(tick(self.clock, self.SERIES, self.made[number][-1]))
            await asyncio.sleep(self.INTERVAL_S)
        sender.finish()

    async def all_open(self):
        """When each connection became of use, once all are."""
        while len(self.opened_s) < AGENTS:
            await asyncio.sleep(0.05)
        return list(self.opened_s.values())

    async def stored(self, page):
        """What the hub has of every agent."""
        values = []
        for number in range(AGENTS):
            query = f"api/v1/query?agent=web{number}&series=synthetic%7Bn=%220%22%7D&from=-600"
            values.append(json.loads((await fetch(page + query))[2])["values"])
        return values


async def restart(folder, verdict):
    """The hub is killed and comes back after 5 s; 10 s later every agent is told to finish."""
    port = free_port()
    fleet = Fleet(f"ws://127.0.0.1:{port}")
    async with AsyncExitStack() as stack:
        hub = stack.enter_context(HubProcess(folder, port))
        async with asyncio.TaskGroup() as tasks:
            for number, member in enumerate(fleet.members):
                tasks.create_task(member.sender.run())
                tasks.create_task(fleet.live(number))
            await fleet.all_open()
            fleet.opened_s.clear()
            fleet.took_s.clear()
            hub.send_signal(signal.SIGKILL)
            hub.wait()
            await asyncio.sleep(5.0)
            hub = await asyncio.to_thread(stack.enter_context, HubProcess(folder, port))
            back_s = fleet.clock.monotonic_s()
            opened_s = await fleet.all_open()
            await asyncio.sleep(10.0)
            fleet.is_ending = True
        stored = await fleet.stored(hub.page)
    verdict.made = sum(map(len, fleet.made))
    verdict.duplicated = sum(len(values) - len(set(values)) for values in stored)
    verdict.lost = sum(len(set(made) - set(have)) for made, have in zip(fleet.made, stored, strict=True))
    return [moment_s - back_s for moment_s in opened_s], sorted(fleet.took_s)


@pytest.mark.long
@pytest.mark.system
@pytest.mark.timeout(300)
async def test_fleet_over_real_sockets(tmp_path, report):
    """What it took is printed, not judged: that depends on what else this machine does. The pacing is judged above."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    verdict = Verdict("1,000 agents after a hub restart, real sockets", 1)
    back, took_s = await restart(tmp_path, verdict)
    ratio, p99_s = peak_to_mean(back), took_s[int(0.99 * len(took_s))]
    verdict.notes = {
        "all back after": f"{max(back):.1f} s",
        "peak/mean connects per 0.1 s": f"{ratio:.2f}",
        "live acks": len(took_s),
        "ack p99": f"{p99_s:.2f} s",
    }
    report(verdict).assert_whole()
