"""Breakers by name: one name, one breaker, one set of settings."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, Generic, ParamSpec, TypeVar

from agent.clock import SystemClock
from agent.resilience.breaker import Breaker, BreakerSettings

__all__ = ["Registry", "SettingsConflict", "breakers", "get_breaker", "guard"]

P = ParamSpec("P")
T = TypeVar("T")
Settings = TypeVar("Settings")
Guard = TypeVar("Guard")


class SettingsConflict(ValueError):
    """A name was asked for with other settings than it has; names the fields, with both values."""


class Registry(Generic[Settings, Guard]):
    """Makes each named thing once, however many tasks and threads ask for it.

    Args:
        make: `make(name, settings)` gives a new one.
        defaults: Settings of a new one for which none are given; a dataclass.
    """

    def __init__(self, make: Callable[[str, Settings], Guard], defaults: Settings) -> None:
        self._make = make
        self._defaults = defaults
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Settings, Guard]] = {}

    def get(self, name: str, settings: Settings | None = None, **changes: Any) -> Guard:
        """The one of this name, made when it is not there yet.

        Args:
            name: Name of the target.
            settings: What it must have; None: whatever it has, or the defaults for a new one.
            changes: Single fields, in place of those settings' own.

        Raises:
            SettingsConflict: It is there, with other settings.
        """
        with self._lock:
            known = self._known.get(name)
            wanted = settings or (known[0] if known else self._defaults)
            if changes:
                wanted = replace(wanted, **changes)  # type: ignore[type-var]  # a dataclass, as the class demands
            if known is None:
                known = self._known[name] = (wanted, self._make(name, wanted))
            elif known[0] != wanted:
                raise SettingsConflict(
                    f"{name!r} is already in use with other settings: {_differences(known[0], wanted)}"
                )
            return known[1]

    def find(self, name: str) -> Guard | None:
        """The one of this name, if there is one."""
        with self._lock:
            return self._known[name][1] if name in self._known else None

    def remove(self, name: str) -> bool:
        """Forget it; the name is free for other settings. False when there was none. Who still holds it may go on using it."""
        with self._lock:
            return self._known.pop(name, None) is not None

    def __iter__(self) -> Iterator[Guard]:
        with self._lock:
            known = list(self._known.values())
        return (guard for _, guard in known)

    def __len__(self) -> int:
        return len(self._known)


def _differences(old: Any, new: Any) -> str:
    names = [field.name for field in fields(old) if getattr(old, field.name) != getattr(new, field.name)]
    return ", ".join(f"{name} is {getattr(old, name)!r}, asked for {getattr(new, name)!r}" for name in names)


_clock = SystemClock()
_rng = random.Random()

breakers: Registry[BreakerSettings, Breaker] = Registry(
    lambda name, settings: Breaker(name, settings, clock=_clock, rng=_rng), BreakerSettings()
)
"""The process's own breakers, on the machine's clock."""


def get_breaker(name: str, settings: BreakerSettings | None = None) -> Breaker:
    """The process's breaker of this name; see `Registry.get`."""
    return breakers.get(name, settings)


def guard(
    name: str | None = None, settings: BreakerSettings | None = None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function with the process's breaker of this name; None: named after the function, its module included."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        return get_breaker(name or f"{function.__module__}.{function.__qualname__}", settings)(function)

    return decorate
