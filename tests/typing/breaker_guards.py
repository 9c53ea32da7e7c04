"""What a user's type checker sees of guarded functions. Checked by mypy, never run."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, assert_type

from agent.clock import SystemClock
from agent.resilience import get_circuit_breaker
from agent.resilience.breaker import Breaker, BreakerEvent, BreakerSettings, Permit
from agent.resilience.registry import guard

breaker = Breaker("target", BreakerSettings(probes=2), clock=SystemClock(), rng=random.Random(1))


@breaker
async def fetch(url: str, *, limit: int = 3) -> list[bytes]:
    return [url.encode()] * limit


@breaker
def double(number: int) -> int:
    return 2 * number


@breaker
def count(limit: int) -> Generator[int, str, bool]:
    yield limit
    return True


@breaker
async def stream(limit: int) -> AsyncGenerator[int, None]:
    yield limit


@guard("named")
async def named(url: str) -> str:
    return url


class Client:
    @breaker
    async def get(self, url: str) -> bytes:
        return url.encode()


async def uses() -> None:
    assert_type(await fetch("a", limit=1), list[bytes])
    assert_type(double(1), int)
    assert_type(count(1), Generator[int, str, bool])
    assert_type(stream(1), AsyncGenerator[int, None])
    assert_type(await named("a"), str)
    assert_type(await Client().get("a"), bytes)
    assert_type(await breaker.execute(fetch, "a", limit=1), list[bytes])
    assert_type(await breaker.execute(double, 1), int)
    assert_type(breaker.call(double, 1), int)
    assert_type(await get_circuit_breaker("x").execute(fetch, "a"), list[bytes])
    assert_type(breaker.acquire(), Permit)
    as_function: Callable[[int], int] = double
    as_coroutine: Callable[[str], Coroutine[Any, Any, str]] = named
    del as_function, as_coroutine


async def misuses() -> None:
    await fetch(1)  # type: ignore[arg-type]  # a url is a text
    await fetch("a", limt=1)  # type: ignore[call-arg]  # misspelt
    double("a")  # type: ignore[arg-type]  # not a number
    await breaker.execute(fetch, 1)  # type: ignore[call-overload]  # a url is a text
    breaker.call(double, "a")  # type: ignore[arg-type]  # not a number


def plain_listener(event: BreakerEvent) -> None: ...
async def coroutine_listener(event: BreakerEvent) -> None: ...


breaker.add_listener(plain_listener)
breaker.add_listener(coroutine_listener)
with breaker as entered, breaker.acquire() as permit:
    assert_type(entered, Breaker)
    assert_type(permit, Permit)
