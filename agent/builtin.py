"""The built-in plugins by dotted name, and how to load one. The only place that knows where they live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from agent.errors import LoadError

__all__ = ["ASKED_FOR", "BUILTIN", "HOOK_BY_KIND", "Registration", "load_builtin"]

BUILTIN: dict[str, tuple[str, ...]] = {
    "collectors": (
        "agent",
        "cgroup",
        "cpu",
        "disk",
        "exec",
        "file_descriptors",
        "filesystem",
        "load",
        "memory",
        "network",
        "pressure",
        "processes",
        "prometheus",
        "sensors",
        "statsd",
        "swap",
        "uptime",
    ),
    "recovery": ("circuit_break", "fallback", "log_only", "notify", "reset", "retry"),
    "sampling": (
        "aggregate",
        "change",
        "hybrid",
        "latest",
        "lttb",
        "oldest",
        "priority",
        "random",
        "reservoir",
        "stratified",
    ),
    "sinks": ("console", "file", "otlp", "prometheus", "remote_write", "webhook", "websocket"),
    "detectors": ("rebellion", "robust", "seasonal", "zscore"),
}
"""Kind -> names; `NAME` of kind `KIND` is the module `plugins.KIND.NAME`."""

ASKED_FOR = frozenset({"exec", "prometheus", "statsd"})
"""Collectors that run only where the configuration has them: they read what somebody else provides."""

HOOK_BY_KIND = {
    "collectors": "rebellion_register_collectors",
    "recovery": "rebellion_register_recovery_strategies",
    "sampling": "rebellion_register_sampling_strategies",
    "sinks": "rebellion_register_sinks",
    "detectors": "rebellion_register_detectors",
}


@dataclass(frozen=True, slots=True)
class Registration:
    """What a plugin registered.

    Attributes:
        kind: Key of `HOOK_BY_KIND`.
        name: What the configuration calls it.
        factory: `factory(config, context)`.
        config: Struct type of its section; None when there is nothing to configure.
        origin: Dotted module, entry point or file it came from.
    """

    kind: str
    name: str
    factory: Callable[[Any, Any], Any]
    config: type | None
    origin: str


def load_builtin(kind: str, name: str) -> Registration:
    """Import one built-in plugin and return what it registers.

    Raises:
        LoadError: There is no built-in of that kind and name, or it registers something else.
    """
    if name not in BUILTIN[kind]:
        raise LoadError(name, kind, f"no such built-in; there are: {', '.join(BUILTIN[kind])}")
    origin = f"plugins.{kind}.{name}"
    found: list[Registration] = []

    def register(registered: str, factory: Callable[[Any, Any], Any], config: type | None = None) -> None:
        found.append(Registration(kind, registered, factory, config, origin))

    getattr(import_module(origin), HOOK_BY_KIND[kind])(register)
    if [registration.name for registration in found] != [name]:
        raise LoadError(name, kind, f"{origin} registered {[r.name for r in found]}, not itself")
    return found[0]
