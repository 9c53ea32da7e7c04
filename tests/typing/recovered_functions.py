"""What a type checker sees through the decorators: the same signatures. Checked by mypy, never run."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any, assert_type

from agent.clock import SystemClock
from agent.resilience import with_error_recovery
from agent.resilience.retry_runner import Retry


@with_error_recovery(component="websocket", operation="connect")
async def connect(url: str, *, timeout_s: float = 1.0) -> bytes:
    return url.encode() * int(timeout_s)


@with_error_recovery("files")
def read(path: str) -> int:
    return len(path)


class Client:
    @with_error_recovery("client")
    async def get(self, key: int) -> str:
        return str(key)


@Retry(clock=SystemClock(), rng=random.Random())
async def fetch(url: str) -> list[str]:
    return [url]


async def check() -> None:
    assert_type(await connect("ws://hub", timeout_s=2.0), bytes)
    assert_type(read("a"), int)
    assert_type(await Client().get(1), str)
    assert_type(await fetch("a"), list[str])
    await connect(3)  # type: ignore[arg-type]  # the point: the wrong type is seen through the decorator
    read()  # type: ignore[call-arg]  # as above
    await Client().get("1")  # type: ignore[arg-type]  # as above


keeps_its_kind: Callable[[str], Coroutine[Any, Any, list[str]]] = fetch
