"""When a fleet's agents try again: the real pacing of 1,000 senders, breakers and connectors, on a clock of our own."""

import asyncio
import random
from collections import Counter

import numpy as np
import pytest
from fault_stage import Verdict
from websockets.exceptions import ConnectionClosedError

from agent.config.schema import SinkBreakerSection
from agent.contracts import Kept, RecoveryOutcome, RecoveryStep
from agent.delivery.sender import Sender, SenderSettings
from agent.model import Batch, Series
from agent.resilience.breaker import Breaker, BreakerSettings, CircuitState
from agent.resilience.buffer import BatchBuffer, BufferSettings
from agent.testing.clock import FakeClock
from agent.testing.time_travel import run_with_time_travel
from plugins.sinks.websocket import Config, connection, websocket

AGENTS = 1000


class Recovery:
    async def handle(self, request):
        return RecoveryOutcome(RecoveryStep.NEXT)

    def succeeded(self, component):
        pass


class KeepNothing:
    def keep(self, block, budget):
        return Kept(np.empty(0, np.int64), np.empty(0))


class Quiet:
    def warning(self, event, **facts):
        pass


class Member:
    """`SinkContext` of one agent."""

    def __init__(self, name, clock, rng):
        self.name, self.agent, self.epoch, self.labels = "websocket", name, "e1", {}
        self.clock, self.rng, self.log = clock, rng, Quiet()

    def definition(self, series_id):
        return Series("load_1m")

    def emit(self, *_, **__):
        pass


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


def member_sender(hub, clock, rng, number):
    section = SinkBreakerSection()
    breaker = BreakerSettings(
        consecutive_failures=section.consecutive_failures,
        failure_ratio=section.failure_ratio,
        min_calls=section.min_calls,
        window_calls=section.window_calls,
        slow_call_s=None,
        open_s=section.open_s,
        backoff_factor=section.backoff_factor,
        max_open_s=section.max_open_s,
        jitter_ratio=section.jitter_ratio,
        probes=section.probes,
    )
    name = f"web{number}"
    return Sender(
        name,
        websocket(Config(url="ws://127.0.0.1:1", protocol="plain"), Member(name, clock, rng)),
        BatchBuffer(name, BufferSettings(), KeepNothing(), clock=clock),
        breaker=Breaker(name, breaker, clock=clock, rng=rng),
        recovery=Recovery(),
        settings=SenderSettings(),
        clock=clock,
        rng=rng,
        emit=lambda *_, **__: None,
    )


async def outage(hub, clock, rng, away_s):
    """Every agent makes a batch a second, at a moment of its own; the hub goes at 1.5 s and comes back."""
    senders = [member_sender(hub, clock, random.Random(rng.random()), number) for number in range(AGENTS)]

    async def collect(sender):
        await asyncio.sleep(rng.uniform(0, 1))
        while True:
            sender.put(Batch(clock.wall_ns(), clock.monotonic_s(), np.ones(1, np.uint32), np.ones(1)))
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


AWAY_S = (1.0, 5.0, 23.7)


def case(away_s, seed):
    marks = [pytest.mark.long] if seed > 1 or away_s != 5 else []
    return pytest.param(away_s, seed, marks=marks)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("away_s", "seed"), [case(away_s, seed) for seed in range(1, 6) for away_s in AWAY_S])
def test_fleet_comes_back_spread_out(monkeypatch, report, seed, away_s):
    clock, rng = FakeClock(), random.Random(seed)
    hub = Hub(clock)
    monkeypatch.setattr(connection, "_ConnectHere", hub.connect)
    back_s, states = run_with_time_travel(outage(hub, clock, rng, away_s), clock)
    back = [moment - back_s for moment in hub.connected_s]
    slots = Counter(int(moment / 0.1) for moment in back)
    mean = len(back) / (max(slots) + 1)
    verdict = Verdict(f"pacing of 1,000 agents, hub away {away_s:g} s", seed)
    ratio = max(slots.values()) / mean
    verdict.notes = {"all back after": f"{max(back):.1f} s", "peak/mean connects per 0.1 s": f"{ratio:.2f}"}
    report(verdict)
    assert set(states) <= {CircuitState.OPEN, CircuitState.HALF_OPEN}, "whoever cannot deliver says so"
    assert len(back) == AGENTS
    assert max(back) < 60
    assert ratio < 3
