"""The commands of `rebellion spool`: what lies on disk, whether it is whole, sending it, and reading it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import ConfigError, ConfigProblem, RebellionError

if TYPE_CHECKING:
    from agent.config.loaded import LoadedConfig, SinkInstance
    from agent.delivery.spool_file import Numbered, SpoolFile

__all__ = ["drain_spool", "export_spool", "show_spool", "verify_spool"]

_AT_ONCE = 256
_BYTES_AT_ONCE = 1 << 20


def show_spool(args: argparse.Namespace) -> int:
    """Print what each sink's spool holds."""
    for name, file in _spools(args):
        if file is None:
            _say(f"{name}: empty")
            continue
        totals = file.totals
        _say(f"{name}: {totals.records} records, {totals.points} points, {totals.bytes} bytes in {file.path}")
        file.close()
    return 0


def verify_spool(args: argparse.Namespace) -> int:
    """Read everything and print how much is damaged; 1 when anything is."""
    is_damaged = False
    for name, file in _spools(args):
        if file is None:
            _say(f"{name}: empty")
            continue
        good, bad = _verified(file)
        bad = max(bad, file.totals.records - good)
        is_damaged |= bad > 0
        _say(f"{name}: {good} records are whole, {bad} are damaged")
        file.close()
    return int(is_damaged)


def export_spool(args: argparse.Namespace) -> int:
    """Print every record as a JSON object, one a line; nothing is removed."""
    from agent.delivery.spool_export import exported

    for name, file in _spools(args):
        if file is not None:
            for record in _records(file):
                _say(json.dumps({"sink": name, **exported(record, file)}, ensure_ascii=False))
            file.close()
    return 0


def drain_spool(args: argparse.Namespace) -> int:
    """Send what lies on disk and end; 1 when something is left. The agent must not be running."""
    from dataclasses import replace

    import msgspec

    loaded = _load(args)
    for _, file in _spools(args):
        if file is not None:
            file.close()
    from agent.app import run_agent
    from agent.config.schema import LogSection
    from agent.logs import configure_logs

    _refuse_when_in_use(loaded, args.sink)
    configure_logs(LogSection(level="warning", format=loaded.config.log.format), os.environ)
    section = msgspec.structs.replace(loaded.config.agent, drain_s=args.seconds)
    config = msgspec.structs.replace(loaded.config, agent=section)
    alone = replace(loaded, config=config, collectors=(), sinks=tuple(_chosen(loaded, args.sink)))
    run_agent(alone, lambda: alone, stop_at_once=True)
    left = sum(file.totals.records for _, file in _spools(args) if file is not None)
    _say(f"{left} records are left" if left else "everything is delivered")
    return int(left > 0)


def _refuse_when_in_use(loaded: LoadedConfig, name: str) -> None:
    from agent.delivery.spool_file import SpoolFile

    for sink in _chosen(loaded, name):
        file = SpoolFile(_folder(loaded, sink))
        if file.exists:
            file.open()
            file.close()


def _load(args: argparse.Namespace) -> LoadedConfig:
    from agent.config.load import load_agent_config

    return load_agent_config(args.config, os.environ)


def _chosen(loaded: LoadedConfig, name: str) -> list[SinkInstance]:
    sinks = [sink for sink in loaded.sinks if name in {"", sink.name}]
    if name and not sinks:
        names = ", ".join(sink.name for sink in loaded.sinks) or "none"
        raise ConfigError([ConfigProblem("sinks", name, "there is no such sink", f"configured are: {names}")])
    return sinks


def _folder(loaded: LoadedConfig, sink: SinkInstance) -> Path:
    return loaded.state_dir / f"sink:{sink.name}".replace(":", "-") / "spool"


def _spools(args: argparse.Namespace) -> Iterator[tuple[str, SpoolFile | None]]:
    """Each sink's spool, open for reading; None where nothing was ever written."""
    import sqlite3

    from agent.delivery.spool_file import SpoolFile

    loaded = _load(args)
    for sink in _chosen(loaded, args.sink):
        file = SpoolFile(_folder(loaded, sink), read_only=True)
        if not file.exists:
            yield sink.name, None
            continue
        try:
            file.open()
        except sqlite3.Error as error:
            raise RebellionError(f"{file.path}: {error}; the agent repairs it when it starts") from error
        yield sink.name, file


def _verified(file: SpoolFile) -> tuple[int, int]:
    import sqlite3

    good = bad = after_id = 0
    try:
        while (read := file.read(after_id, _AT_ONCE, _BYTES_AT_ONCE)).records or read.damaged_ids:
            good, bad = good + len(read.records), bad + len(read.damaged_ids)
            after_id = max([*read.damaged_ids, *(one.frame.id for one in read.records)])
    except sqlite3.DatabaseError:
        return good, bad + 1
    return good, bad


def _records(file: SpoolFile) -> Iterator[Numbered]:
    import sqlite3

    after_id = 0
    try:
        while (read := file.read(after_id, _AT_ONCE, _BYTES_AT_ONCE)).records or read.damaged_ids:
            yield from read.records
            after_id = max([*read.damaged_ids, *(one.frame.id for one in read.records)])
    except sqlite3.DatabaseError as error:
        raise RebellionError(f"{file.path}: {error}; the agent repairs it when it starts") from error


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
