"""Backpressure for use as a library: a bounded buffer of plain objects that says how hard it is pressed."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from agent.builtin import load_builtin
from agent.clock import Clock, SystemClock
from agent.contracts import Sampler
from agent.resilience.buffer_settings import BufferSettings, Overflow
from agent.resilience.control import AdaptiveRate, Hysteresis
from agent.resilience.flow import FlowMeter
from agent.resilience.item_buffer import ItemBuffer
from agent.resilience.item_store import CRITICAL_PRIORITY, dropped_of, priority_of
from agent.resilience.ledger import Ledger, reasons_by_lane
from agent.resilience.registry import Registry

__all__ = [
    "BackpressureHandler",
    "BackpressureSettings",
    "get_backpressure_handler",
    "remove_backpressure_handler",
]

EXACT_COUNT = 128
"""Up to this size a sampling strategy makes room for one item only; beyond, for a sixteenth, so that it runs seldom."""
THROTTLE_RATIO = 0.95
RATE_SHARE = 0.3
"""How much of the overall pressure the rates may make up, beside the fill."""

_OVERFLOW = {"latest": Overflow.DROP_OLDEST, "priority": Overflow.DROP_OLDEST, "oldest": Overflow.DROP_NEWEST}
"""Strategies that need no sampler: which one goes is clear at each put."""


@dataclass(frozen=True, slots=True)
class BackpressureSettings:
    """What a handler is made with; see `BackpressureHandler`."""

    max_buffer_size: int = 1000
    sampling_strategy: str | Sampler = "latest"
    priority_func: Callable[[Any], float | str] | None = None
    adaptive_sampling: bool = False
    max_age_s: float = 3600.0


class BackpressureHandler:
    """Takes items faster than they can be sent, keeps as many as it may, and counts the rest. Safe for several threads.

    Args:
        max_buffer_size: Items at most, >= 1.
        sampling_strategy: Which items go when there are too many: "latest" keeps the newest, "oldest" the oldest, "priority" the
            highest `priority_func`; or the name of any other sampling plugin ("random", "hybrid"), or a `Sampler` object.
        priority_func: Priority of an item, higher matters more, or its lane: "critical" (1, never thinned out as it comes),
            "normal" (0), "bulk" (-1); None: all alike. Used by "priority" and shown to samplers.
        adaptive_sampling: True thins the items out as they come while the pressure is high (see `should_sample`), so that the
            buffer need not fill up first.
        name: For messages and statistics.
        max_age_s: Seconds after which a waiting item is dropped, > 0.
        clock, rng: Time and chance; None: the machine's own.

    Raises:
        ValueError: A figure is out of its range.
        LoadError: There is no such strategy.
    """

    def __init__(
        self,
        max_buffer_size: int = 1000,
        sampling_strategy: str | Sampler = "latest",
        priority_func: Callable[[Any], float | str] | None = None,
        adaptive_sampling: bool = False,
        *,
        name: str = "backpressure",
        max_age_s: float = 3600.0,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        if max_buffer_size < 1:
            raise ValueError(f"max_buffer_size must be >= 1 (got {max_buffer_size})")
        self.name = name
        self.max_buffer_size = max_buffer_size
        self.sampling_strategy = sampling_strategy
        self.adaptive_sampling = adaptive_sampling
        self._clock = clock or SystemClock()
        self._rng = rng or random.Random()
        self._priority_func = None if sampling_strategy in ("latest", "oldest") else priority_func
        self._log = structlog.get_logger("agent.resilience").bind(backpressure=name)
        self._buffer: ItemBuffer[Any] = ItemBuffer(
            _settings(max_buffer_size, sampling_strategy, max_age_s),
            self._sampler(sampling_strategy),
            clock=self._clock,
            on_sampler_fault=lambda fault: self._log.warning("sampler.misbehaved", fault=fault),
        )
        self._put = self._buffer.put
        self._flow = FlowMeter(self._clock)
        self._rate = AdaptiveRate(self._clock)
        self._sampling = Hysteresis()
        self._thinned = Ledger()
        self._carry = 0.0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._buffer)

    def add_item(self, item: Any) -> bool:
        """Take an item in; never blocks, never raises for want of room.

        Returns:
            False when the item was dropped at once.
        """
        if self._priority_func is None and not self.adaptive_sampling:
            with self._lock:
                return self._put(item)
        priority = 0.0 if self._priority_func is None else priority_of(self._priority_func(item))
        with self._lock:
            if self.adaptive_sampling and priority != CRITICAL_PRIORITY and self._is_thinned_out():
                self._thinned.accept(1)
                self._thinned.drop(dropped_of(priority, 1), "sampled")
                return False
            return self._put(item, priority)

    def get_batch(self, max_batch_size: int = 100) -> list[Any]:
        """The items that are due, oldest first (with "priority": the highest first, and one in twenty from each lower level).

        Args:
            max_batch_size: At most so many, >= 0.
        """
        with self._lock:
            return self._buffer.get(max_batch_size)

    def get_buffer_pressure(self) -> float:
        """How full the buffer is, 0..1."""
        with self._lock:
            self._buffer.expire()
            return self._buffer.fill_ratio

    def get_rate_pressure(self) -> float:
        """Share of the arriving items that are not taken out again, over the last ten seconds or so, 0..1."""
        with self._lock:
            counts = self._buffer.counts()
            self._flow.update(counts.accepted + self._thinned.accepted, counts.delivered)
            return self._flow.pressure

    def get_overall_pressure(self) -> float:
        """The fill, raised by the rates when items come faster than they go, 0..1."""
        fill_ratio, rate = self.get_buffer_pressure(), self.get_rate_pressure()
        return max(fill_ratio, (1 - RATE_SHARE) * fill_ratio + RATE_SHARE * rate)

    def should_sample(self) -> bool:
        """Whether the producer had better send only a part: on from a pressure of 0.8 until it is down to 0.5."""
        return self._sampling.update(self.get_overall_pressure())

    def should_throttle(self) -> bool:
        """Whether the producer had better wait: the next items will push others out."""
        return self.get_overall_pressure() >= THROTTLE_RATIO

    def get_stats(self) -> dict[str, Any]:
        """Counts in items, pressures 0..1; `received == delivered + dropped + buffered`."""
        buffer, rate = self.get_buffer_pressure(), self.get_rate_pressure()
        with self._lock:
            counts, thinned = self._buffer.counts(), self._thinned.counts()
        dropped = dict(Counter(counts.dropped) + Counter(thinned.dropped))
        by_lane = Counter(counts.dropped_by_lane) + Counter(thinned.dropped_by_lane)
        return {
            "name": self.name,
            "received": counts.accepted + thinned.accepted,
            "delivered": counts.delivered,
            "dropped": sum(dropped.values()),
            "dropped_by_reason": dropped,
            "dropped_by_lane": reasons_by_lane(by_lane),
            "buffered": counts.buffered,
            "buffer_size": counts.buffered,
            "max_buffer_size": self.max_buffer_size,
            "buffer_pressure": buffer,
            "rate_pressure": rate,
            "overall_pressure": self.get_overall_pressure(),
            "in_hz": self._flow.in_hz,
            "out_hz": self._flow.out_hz,
            "sampling_strategy": _strategy_name(self.sampling_strategy),
            "sampling_rate": self._rate.ratio if self.adaptive_sampling else 1.0,
            "adaptive_sampling": self.adaptive_sampling,
        }

    def reset(self) -> None:
        """Drop what waits and start sampling afresh; the counts go on."""
        with self._lock:
            taken = self._buffer.take(len(self._buffer))
            self._buffer.discard(taken, "reset")
            self._rate = AdaptiveRate(self._clock)
            self._sampling = Hysteresis()

    def _is_thinned_out(self) -> bool:
        """Whether this item falls to the adaptive rate; evenly, one in so many, not by chance."""
        rate = self._rate.update(self._buffer.fill_ratio)
        self._carry += rate
        if self._carry >= 1.0:
            self._carry -= 1.0
            return False
        return True

    def _sampler(self, strategy: str | Sampler) -> Sampler | None:
        if not isinstance(strategy, str):
            return strategy
        if strategy in _OVERFLOW:
            return None
        registration = load_builtin("sampling", strategy)
        made: Sampler = registration.factory(registration.config and registration.config(), _Context(self))
        return made


class _Context:
    """The part of a `PluginContext` that a sampler needs."""

    def __init__(self, handler: BackpressureHandler) -> None:
        self.name = handler.name
        self.clock = handler._clock  # noqa: SLF001 - the context is the handler's own
        self.rng = handler._rng  # noqa: SLF001
        self.log = handler._log  # noqa: SLF001


def _settings(max_buffer_size: int, strategy: str | Sampler, max_age_s: float) -> BufferSettings:
    overflow = _OVERFLOW.get(strategy, Overflow.SAMPLE) if isinstance(strategy, str) else Overflow.SAMPLE
    return BufferSettings(
        max_points=max_buffer_size,
        max_age_s=max_age_s,
        sample_from_ratio=1.0,
        sample_to_ratio=1.0 if max_buffer_size <= EXACT_COUNT else 15 / 16,
        overflow=overflow,
    )


def _strategy_name(strategy: str | Sampler) -> str:
    return strategy if isinstance(strategy, str) else type(strategy).__name__


def _make(name: str, settings: BackpressureSettings) -> BackpressureHandler:
    return BackpressureHandler(
        settings.max_buffer_size,
        settings.sampling_strategy,
        settings.priority_func,
        settings.adaptive_sampling,
        name=name,
        max_age_s=settings.max_age_s,
    )


_handlers: Registry[BackpressureSettings, BackpressureHandler] = Registry(_make, BackpressureSettings())


def get_backpressure_handler(
    name: str = "default",
    max_buffer_size: int | None = None,
    sampling_strategy: str | Sampler | None = None,
    priority_func: Callable[[Any], float | str] | None = None,
    adaptive_sampling: bool | None = None,
    *,
    max_age_s: float | None = None,
) -> BackpressureHandler:
    """The process's handler of this name, made when it is not there yet.

    Args:
        name: Which handler.
        max_buffer_size, sampling_strategy, priority_func, adaptive_sampling, max_age_s: See `BackpressureHandler`; None: as it
            is, or the default for a new one.

    Raises:
        SettingsConflict: It is there, and something given here is not as it has it.
        ValueError: Settings out of range.
        LoadError: There is no such strategy.
    """
    given: dict[str, Any] = {
        "max_buffer_size": max_buffer_size,
        "sampling_strategy": sampling_strategy,
        "priority_func": priority_func,
        "adaptive_sampling": adaptive_sampling,
        "max_age_s": max_age_s,
    }
    return _handlers.get(name, **{key: value for key, value in given.items() if value is not None})


def remove_backpressure_handler(name: str) -> bool:
    """Forget the handler of this name, so that it is free for other settings; False when there is none."""
    return _handlers.remove(name)
