"""What a guarded call costs beside a bare one: ours, the least one would write by hand, and the pip-installed others.

    python benchmarks/resilience_bench.py

Makes a throw-away environment, installs the others there, and measures all in one process, in turns; each figure is the best of
all rounds, so that what else the machine does counts as little as possible. Added cost = guarded call minus bare call.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any

from limit3 import Limit3
from peer_environment import run_beside_peers, versions

from agent.clock import SystemClock
from agent.resilience.breaker import Breaker, BreakerSettings

ROUNDS = 60
CALLS = 1000
GOALS = {"async": 1.5, "sync": 2.0, "refusal": 2.0, "bytes": 2048}


async def target(value: int) -> int:
    return value


def sync_target(value: int) -> int:
    return value


def refuse(_function: Callable[..., Any], *_args: Any, **_kwargs: Any) -> None:
    raise ConnectionError("open")


async def refuse_async(_function: Callable[..., Any], *_args: Any, **_kwargs: Any) -> None:
    raise ConnectionError("open")


async def time_async(call: Callable[..., Awaitable[Any]], *args: Any) -> float:
    started_s = perf_counter()
    for _ in range(CALLS):
        await call(*args)
    return (perf_counter() - started_s) / CALLS * 1e9


async def time_sync(call: Callable[..., Any], *args: Any) -> float:
    started_s = perf_counter()
    for _ in range(CALLS):
        call(*args)
    return (perf_counter() - started_s) / CALLS * 1e9


async def time_async_refusal(call: Callable[..., Awaitable[Any]], refused: type[Exception]) -> float:
    started_s = perf_counter()
    for _ in range(CALLS):
        try:  # noqa: SIM105 - what is measured is raise and catch, not contextlib
            await call(target, 1)
        except refused:
            pass
    return (perf_counter() - started_s) / CALLS * 1e9


async def time_sync_refusal(call: Callable[..., Any], refused: type[Exception]) -> float:
    started_s = perf_counter()
    for _ in range(CALLS):
        try:  # noqa: SIM105 - as above
            call(sync_target, 1)
        except refused:
            pass
    return (perf_counter() - started_s) / CALLS * 1e9


Run = Callable[[], Awaitable[float]]


async def best_of(runs: dict[str, Run]) -> dict[str, float]:
    """Best time of each, all taking turns."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(ROUNDS):
        for name, run in runs.items():
            best[name] = min(best[name], await run())
    return best


def new(**settings: Any) -> Breaker:
    return Breaker("b", BreakerSettings(**settings), clock=SystemClock(), rng=random.Random())


async def opened(breaker: Any, errors: int) -> Any:
    async def fails() -> None:
        raise OSError

    for _ in range(errors):
        with contextlib.suppress(Exception):
            await breaker.call(fails)
    return breaker


def opened_sync(breaker: Any, errors: int) -> Any:
    def fails() -> None:
        raise OSError

    for _ in range(errors):
        with contextlib.suppress(Exception):
            breaker.call_sync(fails)
    return breaker


async def closed_async(peers: list[type[Any]]) -> None:
    runs: dict[str, Run] = {
        "bare": partial(time_async, target, 1),
        "limit3": partial(time_async, Limit3().execute, target, 1),
        "rebellion execute()": partial(time_async, new().execute, target, 1),
        "rebellion execute(), window in time": partial(time_async, new(window_s=60.0).execute, target, 1),
        "rebellion @decorator": partial(time_async, new()(target), 1),
    }
    for peer in peers:
        runs[peer.name] = partial(time_async, peer().call, target, 1)
    show("closed, async (thread-safe; goal 1.5x, 2.5x if only then thread-safe)", await best_of(runs), GOALS["async"])


async def closed_sync(peers: list[type[Any]]) -> None:
    runs: dict[str, Run] = {
        "bare": partial(time_sync, sync_target, 1),
        "limit3": partial(time_sync, Limit3().call, sync_target, 1),
        "rebellion call()": partial(time_sync, new().call, sync_target, 1),
        "rebellion @decorator": partial(time_sync, new()(sync_target), 1),
    }
    for peer in peers:
        if hasattr(peer(), "call_sync"):
            runs[peer.name] = partial(time_sync, peer().call_sync, sync_target, 1)
    show("closed, sync (thread-safe; goal 2x)", await best_of(runs), GOALS["sync"])


def show(title: str, best: dict[str, float], goal: float) -> None:
    bare = best.pop("bare")
    unit = best["limit3"] - bare
    print(f"\n### {title}\n\nbare call {bare:.0f} ns\n\n| | added ns | of limit3 | goal |\n|---|---:|---:|---|")
    for name, spent in sorted(best.items(), key=lambda item: item[1]):
        ratio = (spent - bare) / unit
        print(f"| {name} | {spent - bare:.0f} | {ratio:.2f}x | {verdict(name, ratio, goal)} |")


def verdict(name: str, figure: float, goal: float) -> str:
    if not name.startswith("rebellion"):
        return ""
    return "met" if figure <= goal else f"missed by {100 * (figure / goal - 1):.0f} %"


async def refusals(peers: list[type[Any]]) -> None:
    waiting = new(open_s=3600.0, max_open_s=3600.0)
    waiting.trip()
    runs: dict[str, Run] = {
        "raise + catch, async": partial(time_async_refusal, refuse_async, ConnectionError),
        "raise + catch, sync": partial(time_sync_refusal, refuse, ConnectionError),
        "rebellion, async": partial(time_async_refusal, waiting.execute, ConnectionError),
        "rebellion, sync": partial(time_sync_refusal, waiting.call, ConnectionError),
    }
    for peer in peers:
        closed = await opened(peer(3600.0), 3)
        runs[f"{peer.name}, async"] = partial(time_async_refusal, closed.call, peer.refused)
        if hasattr(closed, "call_sync"):
            closed = opened_sync(peer(3600.0), 3)
            runs[f"{peer.name}, sync"] = partial(time_sync_refusal, closed.call_sync, peer.refused)
    best = await best_of(runs)
    print("\n### refusal (goal 2x of a function of the same signature that raises)\n")
    print("| | ns | of raise + catch | goal |\n|---|---:|---:|---|")
    for name, spent in sorted(best.items(), key=lambda item: item[1]):
        ratio = spent / best[f"raise + catch, {name.rsplit(', ', 1)[1]}"]
        print(f"| {name} | {spent:.0f} | {ratio:.2f}x | {verdict(name, ratio, GOALS['refusal'])} |")


def memory(count: int = 1000) -> None:
    settings, clock, rng = BreakerSettings(), SystemClock(), random.Random()
    names = [f"target-{number}" for number in range(count)]
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    breakers = [Breaker(name, settings, clock=clock, rng=rng) for name in names]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    each = (after - before) / len(breakers)
    is_met = verdict("rebellion", each, GOALS["bytes"])
    print(f"\n### memory\n\n{each:.0f} bytes a breaker, window of 100 calls (goal 2048: {is_met})")


async def measure() -> None:
    from breaker_peers import ALL, Ours

    peers = [kind for kind in ALL if kind is not Ours]
    print(versions())
    await closed_async(peers)
    await closed_sync(peers)
    await refusals(peers)
    memory()


if __name__ == "__main__":
    if "--beside-peers" not in sys.argv:
        sys.exit(run_beside_peers("resilience_bench.py"))
    asyncio.run(measure())
