"""The page against the real hub, fed by the real sink; the hub is killed and started again."""

import asyncio
import random
import signal
import time

import numpy as np
from hub_support import HubProcess, RunningHub, SinkStage

from agent.errors import RetryableDelivery
from agent.model import Batch, Event, Kind, Level, PointFlag, Series
from agent.resilience.breaker import Breaker, BreakerSettings, CircuitState
from agent.testing.clock import FakeClock

NAME = "web1"
CHART = "[data-testid=chart][data-name=cpu_used_ratio]"
TARGET = "sink:elsewhere"
ROW = f"[data-breaker='{TARGET}']"
SERIES = {
    1: Series("cpu_used_ratio", (), "ratio"),
    2: Series("agent_breaker_state", (("target", TARGET),)),
    3: Series("agent_buffer_fill_ratio", (("sink", "elsewhere"),), "ratio"),
    4: Series("agent_delivered_points_total", (("sink", "elsewhere"),), "", Kind.COUNTER),
}
VALUE = {CircuitState.CLOSED: 0.0, CircuitState.HALF_OPEN: 1.0, CircuitState.OPEN: 2.0}
KIND = {
    CircuitState.CLOSED: "breaker.closed",
    CircuitState.HALF_OPEN: "breaker.half_opened",
    CircuitState.OPEN: "breaker.opened",
}

IS_LIVE = "() => document.querySelector('[data-testid=connection]').dataset.state === 'live'"
HAS_STATE = "([selector, state]) => document.querySelector(selector)?.dataset.state === state"
POINTS_ARE = "([selector, count]) => Number(document.querySelector(selector)?.dataset.points) === count"


class Feed:
    """An agent's sink, delivering one tick after the other."""

    def __init__(self, url: str) -> None:
        stage = SinkStage(NAME)
        stage.definition = SERIES.__getitem__  # type: ignore[method-assign] # the series of this test
        self._sink = stage.sink(url)
        self._seq = 0
        self._time_s = int(time.time()) - 60.0

    async def tick(self, state: CircuitState, change: CircuitState | None = None) -> None:
        """One second of the host's life; with the event of a change when there was one."""
        self._time_s += 1
        values = np.array([random.Random(self._seq).random(), VALUE[state], 0.5, self._seq * 4.0])
        records = [Batch(round(self._time_s * 1e9), 0.0, np.array([1, 2, 3, 4], np.uint32), values)]
        if change is not None:
            at_ns = round((self._time_s - 0.5) * 1e9)
            records.insert(0, Event(at_ns, KIND[change], TARGET, Level.WARNING, {"to": change.name}))
        await self._deliver(records)
        self._seq += len(records)

    async def thinned(self, weight: float, bound: float) -> None:
        """A point that stands for so many seconds of the host's life."""
        self._time_s += weight
        value = np.array([random.Random(self._seq).random()])
        flags, weights = np.array([PointFlag.SHAPED.value], np.uint8), np.array([weight])
        at_ns, ids, bounds = round(self._time_s * 1e9), np.array([1], np.uint32), np.array([bound], np.float32)
        await self._deliver([Batch(at_ns, 0.0, ids, value, flags, weights, bounds)])
        self._seq += 1

    async def _deliver(self, records) -> None:
        """Until the hub has it, as a sender does."""
        async with asyncio.timeout(10):
            while True:
                try:
                    return await self._sink.deliver(records, self._seq + 1)
                except RetryableDelivery:
                    await asyncio.sleep(0.02)

    async def close(self) -> None:
        await self._sink.close()


async def open_chart(watched, points: int) -> None:
    await watched.wait_for("(s) => document.querySelector(s) !== null", CHART)
    await watched.page.locator(CHART).scroll_into_view_if_needed()
    await watched.wait_for(POINTS_ARE, [CHART, points])


async def test_charts_move_and_a_real_breaker_changes_its_state(tmp_path, open_page):
    clock = FakeClock()
    settings = BreakerSettings(consecutive_failures=3, open_s=1.0, jitter_ratio=0.0, probes=1)
    breaker = Breaker(TARGET, settings, clock=clock, rng=random.Random(1))
    async with RunningHub(tmp_path / "hub") as hub:
        feed = Feed(hub.url)
        for _ in range(10):
            await feed.tick(breaker.state)
        async with open_page(f"{hub.page}#/host/{NAME}") as watched:
            await watched.wait_for(HAS_STATE, [ROW, "CLOSED"])
            await open_chart(watched, 10)
            seen = [await watched.page.inner_text(f"{ROW} .chip")]

            async def tell() -> None:
                await feed.tick(breaker.state, breaker.state)
                await watched.wait_for(HAS_STATE, [ROW, breaker.state.name])
                seen.append(await watched.page.inner_text(f"{ROW} .chip"))

            for _ in range(3):
                breaker.acquire().fail(ConnectionRefusedError())
            await tell()
            clock.advance(1.0)
            probe = breaker.acquire()
            await tell()
            probe.succeed()
            await tell()
            await watched.wait_for(POINTS_ARE, [CHART, 13])
            assert seen == ["CLOSED", "OPEN", "HALF_OPEN", "CLOSED"]
            events = await watched.page.eval_on_selector_all(
                "[data-testid=event]", "all => all.map(e => e.dataset.kind)"
            )
            assert events == ["breaker.closed", "breaker.half_opened", "breaker.opened"]
            assert watched.complaints == []
            assert {url.split("/")[2] for url in watched.urls} == {hub.page.split("/")[2]}
        await feed.close()


async def test_a_killed_hub_is_missed_and_found_again_with_everything_it_had(tmp_path, open_page):
    with HubProcess(tmp_path / "hub") as first:
        feed = Feed(first.url)
        for _ in range(5):
            await feed.tick(CircuitState.CLOSED)
        async with open_page(f"{first.page}#/host/{NAME}") as watched:
            await open_chart(watched, 5)
            first.send_signal(signal.SIGKILL)
            first.wait()
            await watched.wait_for(
                "() => document.querySelector('[data-testid=banner]').textContent.includes('reconnecting in')"
            )
            with HubProcess(tmp_path / "hub", first.port):
                await feed.tick(CircuitState.CLOSED)
                await watched.wait_for(IS_LIVE, within_s=20)
                await watched.wait_for(POINTS_ARE, [CHART, 6])
                await feed.tick(CircuitState.CLOSED)
                await watched.wait_for(POINTS_ARE, [CHART, 7])
                assert await watched.page.is_hidden("[data-testid=banner]")
                await feed.close()


async def test_what_an_agent_thinned_out_is_told_under_its_chart(tmp_path, open_page):
    async with RunningHub(tmp_path / "hub") as hub:
        feed = Feed(hub.url)
        for _ in range(5):
            await feed.thinned(4.0, 0.25)
        async with open_page(f"{hub.page}#/host/{NAME}") as watched:
            await open_chart(watched, 5)
            assert await watched.page.inner_text(f"{CHART} .chart-kept") == (
                "5 of 20 points kept for the shape; the others at most 25 % off the line"
            )
        await feed.close()
