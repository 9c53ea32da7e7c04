"""What breakers do when it matters: the same probes against ours and the pip-installed others, as a Markdown table.

    python benchmarks/behaviour.py

Makes a throw-away environment, installs the others there, and prints their versions. Waits are real and short. "yes" and "no"
are what was seen; "-" means that it has no such thing.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import structlog
from peer_environment import run_beside_peers, versions

WAIT_S = 0.05
Probe = Callable[[type[Any]], Awaitable[bool | None]]


class Down(Exception):
    """The target's own failure."""


async def works(value: object = None) -> object:
    return value


async def fails() -> None:
    raise Down


async def outcome(breaker: Any, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """What comes back: a result, or the exception, whatever it is."""
    try:
        return await breaker.call(function, *args)
    except Exception as error:
        return error


async def trip(breaker: Any) -> list[Any]:
    return [await outcome(breaker, fails) for _ in range(3)]


async def is_refusing(breaker: Any) -> bool:
    return isinstance(await outcome(breaker, works), breaker.refused)


async def tripped(kind: type[Any]) -> Any:
    breaker = kind(WAIT_S)
    await trip(breaker)
    return breaker


async def due(kind: type[Any]) -> Any:
    breaker = await tripped(kind)
    await asyncio.sleep(1.1 * WAIT_S)
    return breaker


async def original_error(kind: type[Any]) -> bool:
    return all(isinstance(error, Down) for error in await trip(kind()))


async def ratio(kind: type[Any]) -> bool:
    breaker = kind()
    seen = [await outcome(breaker, works if number % 3 == 0 else fails) for number in range(50)]
    return any(isinstance(result, breaker.refused) for result in seen)


async def slow_calls(kind: type[Any]) -> bool | None:
    if not hasattr(kind, "with_slow_calls"):
        return None
    breaker = kind.with_slow_calls(0.005)
    for _ in range(4):
        await outcome(breaker, asyncio.sleep, 0.01)
    return await is_refusing(breaker)


async def slow_in_flight(kind: type[Any]) -> bool | None:
    if not hasattr(kind, "with_slow_calls"):
        return None
    breaker = kind.with_slow_calls(0.01)
    hanging = [asyncio.ensure_future(outcome(breaker, asyncio.sleep, 5)) for _ in range(10)]
    await asyncio.sleep(0.03)
    refuses = await is_refusing(breaker)
    await end(hanging)
    return refuses


async def end(tasks: list[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def one_probe(kind: type[Any]) -> bool:
    breaker = await due(kind)
    running = 0

    async def target() -> None:
        nonlocal running
        running += 1
        await asyncio.sleep(0.01)

    await asyncio.gather(*(outcome(breaker, target) for _ in range(20)))
    return running == 1


async def failed_probe(kind: type[Any]) -> bool:
    breaker = await due(kind)
    await outcome(breaker, fails)
    return await is_refusing(breaker)


async def cancelled_calls(kind: type[Any]) -> bool:
    breaker = kind()
    tasks = [asyncio.ensure_future(breaker.call(asyncio.sleep, 5)) for _ in range(20)]
    await asyncio.sleep(0)
    await end(tasks)
    return not await is_refusing(breaker)


async def cancelled_probe(kind: type[Any]) -> bool:
    """Its place is free at once, and it neither opened nor closed anything: a failure now opens."""
    breaker = await due(kind)
    probe = asyncio.ensure_future(breaker.call(asyncio.sleep, 5))
    await asyncio.sleep(0)
    await end([probe])
    is_admitted = isinstance(await outcome(breaker, fails), Down)
    return is_admitted and await is_refusing(breaker)


async def hung_probe(kind: type[Any]) -> bool:
    """While it hangs nobody else is let through at first; later somebody is again."""
    breaker = await due(kind)
    probe = asyncio.ensure_future(breaker.call(asyncio.sleep, 5))
    await asyncio.sleep(0)
    is_alone = await is_refusing(breaker)
    comes_back = False
    for _ in range(12):
        await asyncio.sleep(WAIT_S)
        comes_back = comes_back or not await is_refusing(breaker)
    await end([probe])
    return is_alone and comes_back


async def late_success(kind: type[Any]) -> bool:
    """A call from before the trip comes back well while it is open: it stays open."""
    breaker = kind(WAIT_S)
    go = asyncio.Event()
    late = asyncio.ensure_future(breaker.call(go.wait))
    await asyncio.sleep(0)
    await trip(breaker)
    go.set()
    await late
    return await is_refusing(breaker)


async def late_failure(kind: type[Any]) -> bool:
    """A call from before the trip fails while it is open: the wait is no longer for it, nor does a probe fail by it."""
    breaker = kind(WAIT_S)
    go = asyncio.Event()

    async def late_target() -> None:
        await go.wait()
        raise Down

    late = asyncio.ensure_future(outcome(breaker, late_target))
    await asyncio.sleep(0)
    await trip(breaker)
    await asyncio.sleep(0.7 * WAIT_S)
    go.set()
    await late
    await asyncio.sleep(0.4 * WAIT_S)
    return not await is_refusing(breaker)


async def growing_waits(kind: type[Any]) -> bool | None:
    if not hasattr(kind, "with_growing_waits"):
        return None
    breaker = kind.with_growing_waits(WAIT_S)
    await trip(breaker)
    await asyncio.sleep(1.1 * WAIT_S)
    await outcome(breaker, fails)
    await asyncio.sleep(1.3 * WAIT_S)
    return await is_refusing(breaker)


async def jitter(kind: type[Any]) -> bool | None:
    if not hasattr(kind, "as_shipped"):
        return None
    waits = {round(kind.as_shipped()(), 2) for _ in range(20)}
    return len(waits) > 5


async def wall_clock(kind: type[Any]) -> bool:
    breaker = await tripped(kind)
    with wall_clock_shifted(kind.package, -3600):
        await asyncio.sleep(1.2 * WAIT_S)
        return not await is_refusing(breaker)


@contextlib.contextmanager
def wall_clock_shifted(package: str, by_s: float) -> Iterator[None]:
    """What the package sees of the wall clock is moved; the monotonic clock is not."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(real() + by_s, tz)

        @classmethod
        def utcnow(cls) -> Any:
            return datetime.fromtimestamp(real() + by_s, UTC).replace(tzinfo=None)

    real = time.time
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] == package]
    touched = [module for module in modules if getattr(module, "datetime", None) is datetime]
    time.time = lambda: real() + by_s
    for module in touched:
        module.datetime = Shifted  # type: ignore[attr-defined]
    try:
        yield
    finally:
        time.time = real
        for module in touched:
            module.datetime = datetime  # type: ignore[attr-defined]


async def raising_listener(kind: type[Any]) -> bool | None:
    told = []

    def listener() -> None:
        told.append(True)
        raise ZeroDivisionError

    breaker = kind(60.0, listener)
    errors = await trip(breaker)
    refuses = await is_refusing(breaker)
    await asyncio.sleep(0)
    if not told:
        return None
    return all(isinstance(error, Down) for error in errors) and refuses


async def slow_listener(kind: type[Any]) -> bool | None:
    told = []

    def listener() -> None:
        told.append(True)
        time.sleep(0.05)

    breaker = kind(60.0, listener)
    started_s = time.perf_counter()
    await trip(breaker)
    took_s = time.perf_counter() - started_s
    await asyncio.sleep(0)
    return took_s < 0.04 if told else None


async def decorator(kind: type[Any]) -> bool:
    async def target(url: str, *, limit: int = 3) -> str:
        """Text."""
        return url * limit

    made = kind().decorate(target)
    is_kept = inspect.iscoroutinefunction(made) and inspect.signature(made) == inspect.signature(target)
    return is_kept and made.__doc__ == "Text." and await made("a", limit=2) == "aa"


async def generator(kind: type[Any]) -> bool:
    """One that fails counts as a failure; one that its consumer leaves does not."""
    breaker = kind(60.0)

    async def stream(*, is_good: bool) -> Any:
        yield 1
        if not is_good:
            raise Down
        yield 2

    guarded = breaker.decorate(stream)
    for _ in range(5):
        items = guarded(is_good=True)
        await anext(items)
        await items.aclose()
    for _ in range(3):
        with contextlib.suppress(Down):
            [item async for item in guarded(is_good=False)]
    try:
        await anext(guarded(is_good=True))
    except breaker.refused:
        return True
    return False


async def threads(kind: type[Any]) -> bool | None:
    """Four calls that wait for each other: possible only when no lock is held while they run."""
    breaker = kind()
    if not hasattr(breaker, "call_sync"):
        return None
    together = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(breaker.call_sync, together.wait, 0.2) for _ in range(4)]
        return all(call.exception() is None for call in calls)


async def conflict(kind: type[Any]) -> bool | None:
    if not hasattr(kind, "two_of_one_name"):
        return None
    try:
        kind.two_of_one_name()
    except ValueError:
        return True
    return False


async def nested(kind: type[Any]) -> bool:
    inner, outer = await tripped(kind), kind()
    for _ in range(5):
        await outcome(outer, inner.call, works)
    return not await is_refusing(outer)


async def shadow(kind: type[Any]) -> bool | None:
    breaker = kind()
    if not hasattr(breaker, "shadow"):
        return None
    breaker.shadow()
    await trip(breaker)
    return not await is_refusing(breaker)


async def restart(kind: type[Any]) -> bool | None:
    breaker = await tripped(kind)
    return await is_refusing(breaker.restarted()) if hasattr(breaker, "restarted") else None


PROBES: dict[str, Probe] = {
    "the call that trips it raises the original error": original_error,
    "two of three calls failing trip it, successes between or not": ratio,
    "slow successes trip it": slow_calls,
    "calls still in flight trip it once they are slow": slow_in_flight,
    "of 20 callers after the wait, one is the probe": one_probe,
    "a failed probe opens it again": failed_probe,
    "a cancelled probe frees its place and counts neither way": cancelled_probe,
    "a hung probe is alone at first, and does not block for ever": hung_probe,
    "20 cancelled calls are no failures": cancelled_calls,
    "a late success from before the trip does not close it": late_success,
    "a late failure from before the trip does not prolong it": late_failure,
    "waits grow with failed rounds": growing_waits,
    "waits are jittered as shipped": jitter,
    "it recovers when the wall clock is set back an hour": wall_clock,
    "a raising listener changes nothing": raising_listener,
    "a slow listener does not hold up the call": slow_listener,
    "the decorator keeps kind, signature and text": decorator,
    "asynchronous generators: failing counts, leaving does not": generator,
    "calls in threads run beside each other": threads,
    "the same name with other settings is an error": conflict,
    "an inner breaker's refusal is no failure of the outer one": nested,
    "a shadow mode counts without refusing": shadow,
    "an open state survives a restart": restart,
}


async def measure() -> None:
    from breaker_peers import ALL

    names = [kind.name for kind in ALL]
    passed = dict.fromkeys(names, 0)
    print(f"| what was probed | {' | '.join(names)} |")
    print("|---|" + "---|" * len(names))
    for title, probe in PROBES.items():
        cells = []
        for kind in ALL:
            verdict = await seen(probe, kind)
            passed[kind.name] += verdict is True
            cells.append({True: "yes", False: "**no**", None: "-"}[verdict])
        print(f"| {title} | {' | '.join(cells)} |", flush=True)
    print(f"| **passed of {len(PROBES)}** | {' | '.join(str(passed[name]) for name in names)} |")
    print(f"\n{versions()}")


async def seen(probe: Probe, kind: type[Any]) -> bool | None:
    """A probe that ends in an exception has not passed."""
    try:
        return await asyncio.wait_for(probe(kind), 10)
    except Exception:
        return False


if __name__ == "__main__":
    if "--beside-peers" not in sys.argv:
        sys.exit(run_beside_peers("behaviour.py"))
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(measure())
