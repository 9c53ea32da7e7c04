"""What recovery costs while nothing fails: ours, what one would write by hand, asyncio's own time limit, and others' retries.

    python benchmarks/recovery_bench.py

Makes a throw-away environment, installs the others there, and measures all in one process, in turns; each figure is the best of
all rounds. Added cost = wrapped call minus bare call.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter

from limit3 import Limit3
from peer_environment import run_beside_peers, versions

from agent.clock import SystemClock
from agent.resilience.autonomous import with_error_recovery
from agent.resilience.breaker import Breaker, BreakerSettings
from agent.resilience.deadline import deadline
from agent.resilience.retry_runner import Retry

ROUNDS = 100
CALLS = 1000
LIMIT_S = 5.0
RECOVERY_GOAL = 2.5
DEADLINE_GOAL = 0.5

Call = Callable[[int], Awaitable[int]]


async def target(value: int) -> int:
    return value


def by_hand() -> Call:
    """Limit3 inside a loop that tries three times."""
    limit3 = Limit3()

    async def call(value: int) -> int:
        for attempt in range(3):
            try:
                result: int = await limit3.execute(target, value)
            except Exception:
                if attempt == 2:
                    raise
                await asyncio.sleep(0.1 * 2**attempt)
            else:
                return result
        raise AssertionError

    return call


def breaker() -> Breaker:
    return Breaker("bench", BreakerSettings(), clock=SystemClock(), rng=random.Random())


async def asyncio_timeout(value: int) -> int:
    async with asyncio.timeout(LIMIT_S):
        return await target(value)


async def own_deadline(value: int) -> int:
    with deadline(LIMIT_S):
        return await target(value)


def others() -> dict[str, Call]:
    import stamina
    import tenacity

    wait = tenacity.wait_random_exponential(multiplier=0.1, max=20)
    return {
        "stamina.retry": stamina.retry(on=Exception, attempts=3, timeout=None)(target),
        "tenacity.retry": tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=wait)(target),
    }


async def time_of(call: Call) -> float:
    started_s = perf_counter()
    for _ in range(CALLS):
        await call(1)
    spent_s = perf_counter() - started_s
    await asyncio.sleep(
        0
    )  # the loop throws cancelled timers away; without a turn `asyncio.timeout` would grow ever dearer
    return spent_s / CALLS * 1e9


async def added(calls: dict[str, Call]) -> dict[str, float]:
    """Added cost of each, nanoseconds a call; they take turns, so that all meet the same machine."""
    best = dict.fromkeys(["bare", *calls], float("inf"))
    for _ in range(ROUNDS):
        for name, call in {"bare": target, **calls}.items():
            best[name] = min(best[name], await time_of(call))
    return {name: best[name] - best["bare"] for name in calls}


def show(title: str, costs: dict[str, float], against: str, goals: dict[str, float]) -> None:
    print(f"\n{title}")
    for name, cost_ns in costs.items():
        ratio = cost_ns / costs[against]
        goal = goals.get(name)
        verdict = "" if goal is None else f"  goal <= {goal:g}: {'met' if ratio <= goal else 'MISSED'}"
        print(f"  {name:44} {cost_ns:8.0f} ns  {ratio:6.2f} x{verdict}")


async def measure(peers: dict[str, Call]) -> None:
    retry = Retry(clock=SystemClock(), rng=random.Random())
    alone = "with_error_recovery"
    guarded = "with_error_recovery(breaker=...)"
    costs = await added(
        {
            "limit3 + a try loop": by_hand(),
            alone: with_error_recovery("bench")(target),
            guarded: with_error_recovery("bench", breaker=breaker())(target),
            "Retry": retry(target),
            **peers,
        }
    )
    goals = {alone: RECOVERY_GOAL, guarded: RECOVERY_GOAL}
    show("nothing fails, beside the least one would write by hand", costs, "limit3 + a try loop", goals)

    limited = "with_error_recovery(deadline_s=...)"
    costs = await added(
        {
            "asyncio.timeout": asyncio_timeout,
            "deadline": own_deadline,
            limited: with_error_recovery("bench", deadline_s=LIMIT_S)(target),
        }
    )
    show(
        "a time limit, beside asyncio's", costs, "asyncio.timeout", {"deadline": DEADLINE_GOAL, limited: DEADLINE_GOAL}
    )


def main(arguments: list[str]) -> int:
    if "--alone" in arguments:
        asyncio.run(measure({}))
    elif "--beside-peers" in arguments:
        print(versions())
        asyncio.run(measure(others()))
    else:
        return run_beside_peers("recovery_bench.py")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
