"""Asks the port of the agent on this host, from another process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import msgspec

from agent.addresses import parse_listen
from agent.config.schema import StatusSection
from agent.config.tree import read_tree
from agent.errors import ConfigError, ConfigProblem, RebellionError

__all__ = ["NotRunning", "fetch_status", "status_url"]


class NotRunning(RebellionError):
    """Nothing answers at the agent's port, or what answers is no agent."""


def status_url(paths: Sequence[str] | None, environ: Mapping[str, str]) -> str:
    """Address of the port that the configuration names, ending in "/"; nothing else in it is checked.

    Raises:
        ConfigError: A file cannot be read, or `status.listen` is not an address that can be asked.
    """
    tree = read_tree("agent", paths, environ)
    source = tree.source_of(("status", "listen"))
    try:
        listen = msgspec.convert(tree.values.get("status", {}), StatusSection).listen
        host, port = parse_listen(listen)
    except ValueError as error:
        raise _problem(source, str(error)) from error
    if port == 0:
        raise _problem(source, "is port 0, any free one; the log says which (status.listening)")
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def fetch_status(url: str, timeout_s: float) -> dict[str, Any]:
    """What `GET /api/v1/status` answers (docs/status.md).

    Args:
        url: Of the port: `http://127.0.0.1:8764/`.
        timeout_s: Seconds without an answer after which it is given up, > 0.

    Raises:
        NotRunning: No agent answers there.
    """
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"{url.rstrip('/')}/api/v1/status", timeout=timeout_s) as answer:
            report = json.load(answer)
    except HTTPError as error:
        error.close()
        raise NotRunning(f"{url} answers {error.code}, which is no agent's status port") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NotRunning(
            f"no agent answers at {url} ({reason}); is it running? systemctl status rebellion-agent"
        ) from error
    if not isinstance(report, dict) or "health" not in report:
        raise NotRunning(f"what answers at {url} is no agent's status port")
    return report


def _problem(source: str, message: str) -> ConfigError:
    return ConfigError([ConfigProblem(source, "status.listen", message, "give the address itself: --url URL")])
