"""What each built-in collector costs a tick on this host: CPU microseconds a collect, and how many series it records.

    python benchmarks/collectors_cost.py [--collects 300]

Runs every collector alone with its defaults, as the agent does: same recorder, same rates, blocking calls on threads. CPU time
of the whole process counts, kernel included, so the figure is what a tick takes from the agent's budget; waiting is free.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import time

from agent.builtin import BUILTIN, load_builtin
from agent.collection.recorder import TickRecorder
from agent.contracts import Reading
from agent.numeric.rate import CounterRates
from agent.testing.recorder import FakeCollectorContext

GOAL_US = 3000.0
WARM_UP = 5


def readings() -> list[Reading]:
    """As many of the agent's own readings as the default collectors and one sink make."""
    names = BUILTIN["collectors"]
    own = [Reading(f"agent_{number}_total", float(number)) for number in range(25)]
    return own + [
        Reading("agent_breaker_state", 0.0, {"target": name, "of": what}) for name in names for what in "abcd"
    ]


async def cost(name: str, collects: int) -> tuple[float, int]:
    """(CPU microseconds a collect, series in the last one)."""
    registration = load_builtin("collectors", name)
    context = FakeCollectorContext(name, readings=readings())
    collector = registration.factory(registration.config and registration.config(), context)
    rates = CounterRates()
    started_s = 0.0
    for number in range(WARM_UP + collects):
        if number == WARM_UP:
            started_s = time.process_time()
        context.clock.advance(1.0)
        recorder = TickRecorder(name, context.clock.monotonic_s(), rates, 10_000)
        pending = collector.collect(recorder)
        if inspect.isawaitable(pending):
            await pending
    spent_us = (time.process_time() - started_s) * 1e6 / collects
    close = getattr(collector, "close", None)
    closing = close() if close else None
    if inspect.isawaitable(closing):
        await closing
    context.close()
    return spent_us, len(recorder.samples)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collects", type=int, default=300, help="how often each collects")
    arguments = parser.parse_args()
    found = {name: asyncio.run(cost(name, arguments.collects)) for name in BUILTIN["collectors"]}
    for name, (spent_us, series) in sorted(found.items(), key=lambda item: -item[1][0]):
        print(f"{name:<18} {spent_us:8.0f} us {series:5d} series")
    total_us = sum(spent_us for spent_us, _ in found.values())
    print(
        f"{'all':<18} {total_us:8.0f} us {sum(series for _, series in found.values()):5d} series; goal: {GOAL_US:.0f} us"
    )


if __name__ == "__main__":
    main()
