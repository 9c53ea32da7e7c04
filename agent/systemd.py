"""What a service says to systemd, in a few lines of our own: one datagram a message.

Source: sd_notify(3), the protocol of `$NOTIFY_SOCKET` and `$WATCHDOG_USEC`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

__all__ = ["notify", "watchdog_s"]


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell the service manager: `READY=1`, `WATCHDOG=1`, `STOPPING=1`, `STATUS=text`; several lines are one message.

    Returns:
        True when it was sent; False outside systemd, or when its socket is gone: a service outlives that.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
            link.setblocking(False)
            link.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)
    except OSError:
        return False
    return True


def watchdog_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds within which the service manager wants `WATCHDOG=1`; None when it does not, or does of another process."""
    text = environ.get("WATCHDOG_USEC", "")
    pid = environ.get("WATCHDOG_PID", "")
    if not text.isdecimal() or int(text) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(text) / 1e6
