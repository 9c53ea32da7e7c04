"""`rebellion top`: the agent on this host, live, in a terminal."""

from __future__ import annotations

import argparse
import io
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from agent.errors import RebellionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, RenderableType

    from agent.commands.top_trail import Trail
    from agent.commands.top_words import Glyphs

__all__ = ["show_top"]

NOT_RUNNING = 3
MIN_WIDTH = 40

Report = dict[str, Any]


def show_top(args: argparse.Namespace) -> int:
    """Show the agent until `q`; one frame with `--once`, and where standard output is no terminal.

    Returns:
        0; 3 when one frame was wanted and no agent answers.

    Raises:
        RebellionError: The extra `tui` is not installed, or the agent speaks another language.
        ConfigError: The configuration does not say where the agent's port is.
    """
    try:
        from rich.console import Console
    except ImportError:
        raise RebellionError("top needs the package rich: pip install 'rebellion-agent[tui]'") from None
    from agent.status_client import status_url

    url = args.url or status_url(args.config, os.environ)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    try:
        if args.once or not sys.stdout.isatty():
            return _show_once(console, url, args.timeout)
        return _show_live(console, url, args.timeout, args.interval)
    except (KeyError, TypeError) as error:
        raise RebellionError(f"the agent answers in a form that this version does not know ({error!r})") from error


def _show_once(console: Console, url: str, timeout_s: float) -> int:
    from agent.commands.top_trail import Trail
    from agent.commands.top_view import Size, frame
    from agent.status_client import NotRunning, fetch_status

    try:
        report = fetch_status(url, timeout_s)
    except NotRunning as error:
        sys.stderr.write(f"rebellion: {error}\n")
        return NOT_RUNNING
    size = Size(max(console.width, MIN_WIDTH), None)
    console.print(frame(report, Trail(), size, _glyphs(console)))
    return 0


def _show_live(console: Console, url: str, timeout_s: float, interval_s: float) -> int:
    from rich.live import Live

    from agent.commands.terminal_keys import Waker

    with Waker() as waker, Live(console=console, screen=True, auto_refresh=False) as live:
        screen = _Screen(console)
        feed = _Feed(url, timeout_s, interval_s, waker.wake)
        feed.start()
        while True:
            live.update(screen.drawn(feed.newest), refresh=True)
            if waker.wait():
                feed.is_over.set()
                return 0


class _Feed(threading.Thread):
    """Asks the agent again and again, beside the one who draws and listens to keys.

    Attributes:
        newest: The last report, None = none yet, and why there is no newer one, "" = it is new.
    """

    def __init__(self, url: str, timeout_s: float, interval_s: float, wake: Callable[[], None]) -> None:
        super().__init__(name="top:feed", daemon=True)
        self.newest: tuple[Report | None, str] = (None, f"asking {url}")
        self.is_over = threading.Event()
        self._url = url
        self._timeout_s = timeout_s
        self._interval_s = interval_s
        self._wake = wake

    def run(self) -> None:
        from agent.status_client import NotRunning, fetch_status

        while not self.is_over.is_set():
            try:
                self.newest = (fetch_status(self._url, self._timeout_s), "")
            except NotRunning as error:
                self.newest = (self.newest[0], str(error))
            self._wake()
            self.is_over.wait(self._interval_s)


class _Screen:
    """What the terminal shows of what the feed has."""

    def __init__(self, console: Console) -> None:
        from agent.commands.top_trail import Trail

        self._console = console
        self._glyphs = _glyphs(console)
        self._trail: Trail = Trail()

    def drawn(self, newest: tuple[Report | None, str]) -> RenderableType:
        from rich.console import ConsoleDimensions

        from agent.commands.top_view import Size, frame, no_agent

        width, height = os.get_terminal_size(sys.stdout.fileno())
        self._console.size = ConsoleDimensions(width, height)
        report, trouble = newest
        if report is None:
            return no_agent(trouble)
        self._trail.add(report)
        return frame(report, self._trail, Size(max(width, MIN_WIDTH), height), self._glyphs, trouble)


def _glyphs(console: Console) -> Glyphs:
    from agent.commands.top_words import ASCII, BLOCKS

    return BLOCKS if console.encoding.lower().startswith("utf") else ASCII
