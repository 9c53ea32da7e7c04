"""The live page, as static files: whoever has a port (the hub, an agent's status port) serves them."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

__all__ = ["CONTENT_SECURITY_POLICY", "asset"]

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
)
"""What the page is made to work under, as the value of the header; it loads nothing from anywhere else."""

_STATIC = Path(__file__).with_name("static")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_CONTENT_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "LICENSE": "text/plain; charset=utf-8",
}


@lru_cache(maxsize=64)
def asset(path: str) -> tuple[bytes, str] | None:
    """One file of the page.

    Args:
        path: Path of the request, without its query: "/" or "/static/NAME". Nothing else is ever opened: names hold no slash.
    Returns:
        The content and its content type; None when there is no such file.
    """
    name = "index.html" if path == "/" else path.removeprefix("/static/")
    content_type = _CONTENT_TYPES.get(name.rpartition(".")[2])
    if name == path or content_type is None or not _FILE_NAME.fullmatch(name):
        return None
    file = _STATIC / name
    return (file.read_bytes(), content_type) if file.is_file() else None
