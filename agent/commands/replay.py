"""`rebellion replay`: a history from a file, through what the agent runs on."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from agent.errors import RebellionError

__all__ = ["replay_file"]

_BAR_WIDTH = 40


def replay_file(args: argparse.Namespace) -> int:
    """Run the file through transformer and detector, print what was seen, and draw it when asked.

    Raises:
        RebellionError: The file is not what it should be; names line and column.
        ConfigError, LoadError: The configuration, or its detector, cannot be used.
    """
    from agent.config.load import load_agent_config
    from agent.logs import configure_logs

    if args.ahead is not None and args.ahead < 1:
        raise RebellionError(f"--ahead must be 1 row or more (got {args.ahead})")
    chosen = {"REBELLION_TRANSFORMER__DETECTOR": args.detector} if args.detector else {}
    loaded = load_agent_config(args.config, {**os.environ, **chosen})
    from agent.config.schema import LogSection
    from agent.replay.csv_history import read_history
    from agent.replay.report import as_json, as_text, write_scores
    from agent.replay.run import replay

    configure_logs(LogSection(level="warning"), os.environ)
    history = read_history(Path(args.file))
    seen = replay(
        loaded,
        history,
        limit=args.limit,
        ahead=args.ahead,
        keeps_averages=bool(args.svg or args.scores),
        on_row=_progress(len(history.times_s)),
    )
    name = Path(args.file).name
    if args.svg:
        from agent.replay.picture import picture

        Path(args.svg).write_text(picture(seen), encoding="utf-8")
    if args.scores:
        with Path(args.scores).open("w", newline="", encoding="utf-8") as file:
            write_scores(seen, file)
    text = json.dumps(as_json(seen, name), indent=2) + "\n" if args.json else as_text(seen, name)
    sys.stdout.write(text)
    return 0


def _progress(rows: int) -> Callable[[int], object]:
    """Draws a bar on standard error, a hundred times at most; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        return lambda _: None
    every = max(1, rows // 100)

    def draw(done: int) -> None:
        if done % every == 0 or done == rows:
            filled = _BAR_WIDTH * done // rows
            end = "\r\x1b[K" if done == rows else ""
            sys.stderr.write(f"\r{'#' * filled:<{_BAR_WIDTH}} {done} of {rows} rows{end}")
            sys.stderr.flush()

    return draw
