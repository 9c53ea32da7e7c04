"""Addresses as a user writes them: to listen on, and to send to."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

__all__ = ["check_http_url", "is_loopback", "parse_listen"]


def parse_listen(listen: str) -> tuple[str, int]:
    """Host and port of `host:port`; an IPv6 address stands in brackets.

    Raises:
        ValueError: It is not of that form.
    """
    host, separator, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    is_bracketed = bare != host
    if not separator or not bare or not port.isdecimal() or int(port) > 65535 or (":" in bare) != is_bracketed:
        raise ValueError(f"must be host:port, as 127.0.0.1:8765 or [::1]:8765 (got {listen!r})")
    return bare, int(port)


def is_loopback(host: str) -> bool:
    """True when only this machine can reach that host's address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_http_url(url: str) -> str:
    """The address, when it is http:// or https:// and names a host.

    Raises:
        ValueError: It is not, or it holds a user or a token, which belong into a file.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"url must be http://host or https://host (got {url!r})")
    if parts.username is not None:
        raise ValueError("url must not hold a user; a token goes into token_file")
    return url
