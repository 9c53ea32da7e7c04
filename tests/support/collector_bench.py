"""One running collector with everything round it."""

import asyncio
import random

from agent.collection.running import CollectorSettings, RunningCollector
from agent.collection.source import SeriesSource
from agent.collection.threads import WorkerThreads
from agent.contracts import RecoveryOutcome, RecoveryStep
from agent.numeric.rate import CounterRates
from agent.resilience.breaker import Breaker, BreakerSettings
from agent.testing.clock import FakeClock


class Recovery:
    """Notes what it is told and answers with one step."""

    def __init__(self):
        self.step = RecoveryStep.NEXT
        self.requests = []
        self.successes = 0

    async def handle(self, request):
        self.requests.append(request)
        if self.step is RecoveryStep.RESOLVED and request.reset is not None:
            await request.reset()
        return RecoveryOutcome(self.step)

    def succeeded(self, component):
        assert component == "collector:x"
        self.successes += 1


class Bench:
    """One running collector with everything round it."""

    def __init__(self, collector_type, max_series=10, deadline_s=0.05):
        self.clock = FakeClock()
        self.recovery = Recovery()
        self.workers = WorkerThreads(patience_s=0.001)
        self.source = SeriesSource("x", max_series)
        self.built = []
        self.reports = asyncio.Queue()
        settings = BreakerSettings(
            min_calls=3, window_calls=10, slow_call_s=None, open_s=1.0, jitter_ratio=0.0, probes=1
        )
        self.running = RunningCollector(
            "x",
            self.build_with(collector_type),
            CollectorSettings(1.0, deadline_s),
            self.source,
            CounterRates(),
            Breaker("collector:x", settings, clock=self.clock, rng=random.Random(1)),
            self.recovery,
            self.workers,
            self.clock,
        )

    def build_with(self, collector_type):
        def build():
            self.built.append(collector_type(self.source))
            return self.built[-1]

        return build

    async def tick(self):
        assert self.running.request(self.clock.monotonic_s())
        name, samples = await self.reports.get()
        assert name == "x"
        await asyncio.sleep(0)
        return {str(series): value for series, value in samples.items()}


class Plain:
    def __init__(self, source):
        self.series = source.series("a")
        self.closed = 0

    def collect(self, out):
        out.add(self.series, 1)

    def close(self):
        self.closed += 1
