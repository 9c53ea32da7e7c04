"""Recovery strategy `notify`: tells a person, by the log, a webhook or a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from agent.api import PluginContext, Register, hookimpl

if TYPE_CHECKING:
    from plugins.recovery.notify.method import Notify

__all__ = ["Config"]

Channel = Literal["log", "webhook", "command"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[recovery.notify]`"""

    channels: tuple[Channel, ...] = ("log",)
    webhook_url: str = ""  # http(s); gets the notification as JSON, by POST
    webhook_url_file: str = ""  # file that holds the address, where that is a secret
    command: tuple[
        str, ...
    ] = ()  # program and arguments, no shell; gets the notification as JSON on its standard input
    interval_s: Annotated[float, Meta(ge=0)] = 60.0  # between two notifications of equal errors; 0 = each is notified
    timeout_s: Annotated[float, Meta(gt=0)] = 5.0  # each channel

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError("channels: must name at least one of log, webhook, command (got none)")
        if "webhook" in self.channels and bool(self.webhook_url) == bool(self.webhook_url_file):
            raise ValueError("webhook_url: the channel webhook needs either webhook_url or webhook_url_file")
        if self.webhook_url:
            check_url(self.webhook_url)
        if "command" in self.channels and not self.command:
            raise ValueError("command: the channel command needs a program to run (got none)")


def check_url(url: str) -> str:
    """The address, when it is one that a notification may be sent to.

    Raises:
        ValueError: It is not.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(
            f"webhook_url: must be http:// or https:// and name a host (got {parts.scheme or 'no scheme'!r})"
        )
    return url


def _make(config: Config, context: PluginContext) -> Notify:
    from plugins.recovery.notify.method import Notify

    return Notify(config, context)


@hookimpl
def rebellion_register_recovery_strategies(register: Register) -> None:
    register("notify", _make, config=Config)
