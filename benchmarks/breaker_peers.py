"""One face for every breaker under comparison, ours included. Each is set up as its own documentation does."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol

import aiobreaker
import circuitbreaker
import hyx.circuitbreaker as hyx_breaker
import hyx.circuitbreaker.exceptions as hyx_errors
import interlock
import purgatory
import purgatory.domain.model
import pybreaker

from agent.clock import SystemClock
from agent.errors import BreakerOpen
from agent.resilience.breaker import Breaker, BreakerSettings
from agent.resilience.registry import Registry

__all__ = ["ALL", "Ours", "Peer"]

Function = Callable[..., Any]


class Peer(Protocol):
    """A breaker that opens after three failures.

    Attributes:
        name: As in the tables.
        package: Its top-level import package.
        refused: What it raises instead of calling.
    """

    name: str
    package: str
    refused: type[Exception]

    def __init__(self, wait_s: float = 0.05, listener: Callable[[], None] | None = None) -> None: ...
    async def call(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any: ...
    def call_sync(self, function: Function, *args: Any) -> Any: ...
    def decorate(self, function: Function) -> Function: ...


class Ours:
    name, package, refused = "rebellion", "agent", BreakerOpen

    def __init__(self, wait_s: float = 0.05, listener: Callable[[], None] | None = None, **settings: Any) -> None:
        made = BreakerSettings(
            min_calls=3,
            window_calls=10,
            open_s=wait_s,
            max_open_s=10 * wait_s,
            jitter_ratio=settings.pop("jitter_ratio", 0.0),
            probes=1,
            probe_lease_s=2 * wait_s,
            max_half_open_s=0.0,
            **settings,
        )
        self.breaker = Breaker("b", made, clock=SystemClock(), rng=random.Random())
        if listener is not None:
            self.breaker.add_listener(lambda _event: listener())
        self.call = self.breaker.execute
        self.call_sync = self.breaker.call
        self.decorate = self.breaker

    @classmethod
    def with_slow_calls(cls, slow_s: float) -> Ours:
        return cls(slow_call_s=slow_s)

    @classmethod
    def with_growing_waits(cls, wait_s: float) -> Ours:
        return cls(wait_s)

    @classmethod
    def as_shipped(cls) -> Callable[[], float]:
        breaker = Breaker("b", BreakerSettings(min_calls=1), clock=SystemClock(), rng=random.Random())
        breaker.trip()
        return lambda: breaker.retry_in_s

    @staticmethod
    def two_of_one_name() -> None:
        clock, rng = SystemClock(), random.Random()
        registry = Registry(lambda name, how: Breaker(name, how, clock=clock, rng=rng), BreakerSettings())
        registry.get("x", BreakerSettings(open_s=1))
        registry.get("x", BreakerSettings(open_s=2))

    def shadow(self) -> None:
        self.breaker.metrics_only()

    def restarted(self) -> Ours:
        new = Ours()
        new.breaker.restore_state(self.breaker.export_state())
        return new


class Interlock:
    name, package, refused = "interlock-cb", "interlock", interlock.CircuitOpenError

    def __init__(self, wait_s: float = 0.05, listener: Callable[[], None] | None = None, **settings: Any) -> None:
        config = interlock.Config(
            minimum_number_of_calls=3,
            window_size=10,
            wait_duration_in_open=wait_s,
            permitted_calls_in_half_open=1,
            **settings,
        )

        class Listener(interlock.EventListener):
            def on_state_change(self, *_args: Any, **_kwargs: Any) -> None:
                if listener is not None:
                    listener()

        self.breaker = interlock.CircuitBreaker(name="b", config=config, listener=Listener())
        self.call = self.breaker.call_async
        self.call_sync = self.breaker.call_sync
        self.decorate = self.breaker

    @classmethod
    def with_slow_calls(cls, slow_s: float) -> Interlock:
        return cls(slow_call_duration_threshold=slow_s)

    @classmethod
    def with_growing_waits(cls, wait_s: float) -> Interlock:
        return cls(wait_s, wait_duration_backoff_multiplier=2.0, wait_duration_in_open_max=10 * wait_s)

    @staticmethod
    def two_of_one_name() -> None:
        registry = interlock.Registry()
        registry.get("x", config=interlock.Config(wait_duration_in_open=1.0))
        registry.get("x", config=interlock.Config(wait_duration_in_open=2.0))

    def shadow(self) -> None:
        self.breaker.metrics_only()


class CircuitBreaker:
    name, package, refused = "circuitbreaker", "circuitbreaker", circuitbreaker.CircuitBreakerError

    def __init__(self, wait_s: float = 0.05, listener: Callable[[], None] | None = None) -> None:
        del listener
        self.breaker = circuitbreaker.CircuitBreaker(failure_threshold=3, recovery_timeout=wait_s, name="b")
        self.decorate = self.breaker.decorate

    async def call(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        if self.breaker.opened:
            raise circuitbreaker.CircuitBreakerError(self.breaker)
        return await self.breaker.call_async(function, *args)

    def call_sync(self, function: Function, *args: Any) -> Any:
        if self.breaker.opened:
            raise circuitbreaker.CircuitBreakerError(self.breaker)
        return self.breaker.call(function, *args)


class Purgatory:
    name, package, refused = "purgatory", "purgatory", purgatory.domain.model.OpenedState

    def __init__(self, wait_s: float = 0.05, listener: Callable[[], None] | None = None) -> None:
        self.factory = purgatory.AsyncCircuitBreakerFactory(default_threshold=3, default_ttl=wait_s)
        self.sync_factory = purgatory.SyncCircuitBreakerFactory(default_threshold=3, default_ttl=wait_s)
        if listener is not None:
            self.factory.add_listener(lambda _name, kind, _event: listener() if kind == "state_changed" else None)
        self.decorate = self.factory("b")

    async def call(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        async with await self.factory.get_breaker("b"):
            return await function(*args)

    def call_sync(self, function: Function, *args: Any) -> Any:
        with self.sync_factory.get_breaker("b"):
            return function(*args)

    @staticmethod
    def two_of_one_name() -> None:
        factory = purgatory.SyncCircuitBreakerFactory()
        factory.get_breaker("x", ttl=1)
        factory.get_breaker("x", ttl=2)


class PyBreaker:
    """Its own asynchronous calls need Tornado; its context manager is what asyncio programs use."""

    name, package, refused = "pybreaker", "pybreaker", pybreaker.CircuitBreakerError

    def __init__(self, wait_s: float = 0.05, listener: Callable[[], None] | None = None) -> None:
        class Listener(pybreaker.CircuitBreakerListener):
            def state_change(self, *_args: Any) -> None:
                if listener is not None:
                    listener()

        self.breaker = pybreaker.CircuitBreaker(fail_max=3, reset_timeout=wait_s, listeners=[Listener()])
        self.call_sync = self.breaker.call
        self.decorate = self.breaker

    async def call(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        with self.breaker.calling():
            return await function(*args)


class AioBreaker:
    name, package, refused = "aiobreaker", "aiobreaker", aiobreaker.CircuitBreakerError

    def __init__(self, wait_s: float = 0.05, listener: Callable[[], None] | None = None) -> None:
        class Listener(aiobreaker.CircuitBreakerListener):
            def state_change(self, *_args: Any) -> None:
                if listener is not None:
                    listener()

        self.breaker = aiobreaker.CircuitBreaker(
            fail_max=3, timeout_duration=timedelta(seconds=wait_s), listeners=[Listener()]
        )
        self.call = self.breaker.call_async
        self.call_sync = self.breaker.call
        self.decorate = self.breaker


class Hyx:
    name, package, refused = "hyx", "hyx", hyx_errors.BreakerFailing

    def __init__(self, wait_s: float = 0.05, listener: Callable[[], None] | None = None) -> None:
        del listener
        self.breaker = hyx_breaker.consecutive_breaker(
            failure_threshold=3, recovery_time_secs=wait_s, recovery_threshold=1
        )
        self.decorate = self.breaker

    async def call(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        async with self.breaker:
            return await function(*args)


ALL: tuple[type[Any], ...] = (Ours, Interlock, CircuitBreaker, Purgatory, PyBreaker, AioBreaker, Hyx)
