from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.systemd import notify, watchdog_s


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket like the service manager's, and what `$NOTIFY_SOCKET` says of it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@rebellion-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0"))
        yield listening, name


def test_message_arrives_whole(manager: tuple[socket.socket, str]) -> None:
    listening, name = manager
    assert notify("READY=1\nSTATUS=collecting", {"NOTIFY_SOCKET": name})
    assert listening.recv(100) == b"READY=1\nSTATUS=collecting"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_no_manager_is_no_error(environ: dict[str, str]) -> None:
    assert not notify("READY=1", environ)


def test_manager_that_does_not_read_never_blocks_the_service(manager: tuple[socket.socket, str]) -> None:
    _, name = manager
    sent = [notify("WATCHDOG=1", {"NOTIFY_SOCKET": name}) for _ in range(2000)]
    assert sent[0]
    assert not sent[-1]


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "2500000"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": str(os.getpid())}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_limit_is_in_seconds(environ: dict[str, str], seconds: float | None) -> None:
    assert watchdog_s(environ) == seconds
