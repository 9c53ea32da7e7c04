"""The strategy itself."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agent.api import (
    PluginContext,
    RateLimiter,
    RecoveryOutcome,
    RecoveryRequest,
    RecoveryStep,
    deadline,
    error_text,
)

if TYPE_CHECKING:
    from plugins.recovery.notify import Config

__all__ = ["Notification", "Notify", "post"]


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent, as JSON.

    Attributes:
        component, operation: Who failed at what.
        severity: low, medium, high or critical.
        error: Class name of the error.
        message: Its text, at most 500 characters.
        fingerprint: The same for equal errors.
        failures: How often the component failed since it was last well.
        equal_not_sent: How many equal errors there were since the last notification of them.
        time_ns: Wall clock, UTC nanoseconds.
    """

    component: str
    operation: str
    severity: str
    error: str
    message: str
    fingerprint: str
    failures: int
    equal_not_sent: int
    time_ns: int


class Notify:
    """Sends one notification of equal errors an interval, through every channel; one that fails stops none of the others."""

    def __init__(self, config: Config, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._limiter = RateLimiter(config.interval_s)
        self._send = {"log": self._to_log, "webhook": self._to_webhook, "command": self._to_command}

    def is_due(self, request: RecoveryRequest) -> bool:
        """Whether `recover` would send something now."""
        return not self._limiter.would_hold_back(request.fingerprint, self._context.clock.monotonic_s())

    async def recover(self, request: RecoveryRequest) -> RecoveryOutcome:
        held_back = self._limiter.held_back(request.fingerprint, self._context.clock.monotonic_s())
        if held_back is None:
            return RecoveryOutcome(RecoveryStep.NEXT, note="an equal one was sent just now")
        notification = self._notification(request, held_back)
        sent = [channel for channel in self._config.channels if await self._sent(channel, notification)]
        return RecoveryOutcome(RecoveryStep.NEXT, note=f"sent to {', '.join(sent) or 'nobody'}")

    async def _sent(self, channel: str, notification: Notification) -> bool:
        try:
            with deadline(self._config.timeout_s):
                await self._send[channel](notification)
        except Exception as error:  # noqa: BLE001 - the other channels must still hear of it
            text = f"{type(error).__name__}: {error_text(error)}"
            self._context.log.warning("notification.failed", channel=channel, error=text)
            return False
        return True

    def _notification(self, request: RecoveryRequest, held_back: int) -> Notification:
        return Notification(
            component=request.component,
            operation=request.operation,
            severity=request.severity.value,
            error=type(request.error).__name__,
            message=error_text(request.error),
            fingerprint=request.fingerprint,
            failures=request.occurrences,
            equal_not_sent=held_back,
            time_ns=self._context.clock.wall_ns(),
        )

    async def _to_log(self, notification: Notification) -> None:
        self._context.log.error("component.needs_attention", **msgspec.to_builtins(notification))

    async def _to_webhook(self, notification: Notification) -> None:
        config = self._config
        body = msgspec.json.encode(notification)
        await self._context.run_blocking(post, config.webhook_url, config.webhook_url_file, body, config.timeout_s)

    async def _to_command(self, notification: Notification) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._config.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await process.communicate(msgspec.json.encode(notification))
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode:
            raise OSError(f"{self._config.command[0]!r} ended with exit code {process.returncode}")


def post(url: str, url_file: str, body: bytes, timeout_s: float) -> None:
    """Send JSON by POST; blocks.

    Args:
        url: Where to.
        url_file: File that holds the address, used when `url` is "".
        body: The JSON.
        timeout_s: Seconds that each step of the exchange may take, > 0.

    Raises:
        OSError: It did not arrive, or was answered by a status from 400 on.
        ValueError: The file holds no http(s) address.
    """
    from urllib.request import Request, urlopen

    from plugins.recovery.notify import check_url

    address = url or check_url(Path(url_file).read_text(encoding="utf-8").strip())
    request = Request(address, body, {"Content-Type": "application/json"}, method="POST")  # noqa: S310 - scheme is checked
    with urlopen(request, timeout=timeout_s):  # noqa: S310 - as above
        pass
