"""Recovery actions as policies and methods of the engine."""

from __future__ import annotations

import asyncio
import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from agent.builtin import BUILTIN, load_builtin
from agent.contracts import Logger, PluginContext, RecoveryMethod, RecoveryOutcome, RecoveryRequest, RecoveryStep
from agent.resilience.actions import RecoveryAction, RecoveryStrategy

if TYPE_CHECKING:
    from agent.resilience.recovery import RecoveryEngine

__all__ = ["Methods"]

COMMAND = "command:"


class Methods:
    """Makes the six plugins: one of each with its defaults, and more of those that an action configures.

    Args:
        host: `host(name)` gives the context of an instance.
        log: Where a channel that leads nowhere is named.
    """

    def __init__(self, host: Callable[[str], PluginContext], log: Logger) -> None:
        self._host = host
        self._log = log

    def defaults(self) -> dict[str, RecoveryMethod]:
        """Each plugin under its own name."""
        return {name: self._make(name, name) for name in BUILTIN["recovery"]}

    def strategies(self, action: RecoveryAction, engine: RecoveryEngine, key: str) -> tuple[str, ...]:
        """Names of the methods that carry out an action, in their order.

        Args:
            action: What is to be carried out.
            engine: Where those that it configures are added.
            key: Tells them from those of other actions; the same key replaces them.
        """
        strategy = action.strategy
        names = []
        if strategy is RecoveryStrategy.RETRY:
            names.append(self._add(engine, "retry", key, _retry_config(action)))
        elif strategy is not RecoveryStrategy.NOTIFY:
            names.append(strategy.value)
        channels = action.notify_channels or (("log",) if strategy is RecoveryStrategy.NOTIFY else ())
        for number, config in enumerate(self._notify_configs(channels)):
            names.append(self._add(engine, "notify", f"{key}:{number}", config))
        if action.fallback_function is not None and strategy is not RecoveryStrategy.FALLBACK:
            names.append("fallback")
        return tuple(names)

    def _add(self, engine: RecoveryEngine, kind: str, key: str, config: dict[str, Any]) -> str:
        name = f"{kind}:{key}"
        method = self._make(kind, name, **config)
        is_quick = config.get("channels", ("log",)) == ("log",)
        engine.add_method(name, method if is_quick else _OnItsOwn(cast("Notifies", method)))
        return name

    def _make(self, kind: str, name: str, **config: Any) -> RecoveryMethod:
        registered = load_builtin("recovery", kind)
        made = registered.config(**config) if registered.config is not None else None
        method: RecoveryMethod = registered.factory(made, self._host(name))
        return method

    def _notify_configs(self, channels: Sequence[str]) -> Iterator[dict[str, Any]]:
        """One method for the log, however many names lead there, and one for each address and command."""
        logged = []
        for channel in channels:
            if channel.startswith(("http://", "https://")):
                yield {"channels": ("webhook",), "webhook_url": channel}
            elif channel.startswith(COMMAND):
                yield {"channels": ("command",), "command": tuple(shlex.split(channel.removeprefix(COMMAND)))}
            else:
                logged.append(channel)
        unknown = [channel for channel in logged if channel != "log"]
        if unknown:
            self._log.warning("notification.channel_unknown", channels=", ".join(unknown), goes_to="log")
        if logged:
            yield {"channels": ("log",)}


def _retry_config(action: RecoveryAction) -> dict[str, Any]:
    return {
        "max_attempts": action.max_retries + 1,
        "first_wait_s": action.retry_delay,
        "backoff_factor": 2.0 if action.exponential_backoff else 1.0,
        "max_wait_s": max(20.0, action.retry_delay),
    }


class Notifies(Protocol):
    """The part of the plugin `notify` that is needed here."""

    def is_due(self, request: RecoveryRequest, /) -> bool: ...
    async def recover(self, request: RecoveryRequest, /) -> RecoveryOutcome: ...


class _OnItsOwn:
    """A notification that its caller does not wait for: it goes out on a thread of its own, which outlives the main one."""

    def __init__(self, method: Notifies) -> None:
        self._method = method

    async def recover(self, request: RecoveryRequest) -> RecoveryOutcome:
        if not self._method.is_due(request):
            return await self._method.recover(request)
        threading.Thread(target=self._send, args=(request,), name="notify").start()
        return RecoveryOutcome(RecoveryStep.NEXT, note="goes out on a thread of its own")

    def _send(self, request: RecoveryRequest) -> None:
        asyncio.run(self._recover(request))

    async def _recover(self, request: RecoveryRequest) -> None:
        await self._method.recover(request)
