"""A real agent with one collector, one sink and a port of its own, in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

from process_support import Process

__all__ = ["FILE_SINK", "NO_HUB", "agent"]

CONFIG = """
[agent]
name = "web1"
state_dir = {state_dir}
default_collectors = false
interval_s = 0.1
drain_s = 0.0
[collectors.load]
[sinks.{sink}]
[status]
listen = "127.0.0.1:0"
"""
FILE_SINK = "file]\npath = {path}\n#"
NO_HUB = 'websocket]\nurl = "ws://127.0.0.1:9/"\n#'


def agent(tmp_path: Path, sink: str) -> Process:
    config = tmp_path / "agent.toml"
    text = CONFIG.replace("{sink}", sink.format(path=json.dumps(str(tmp_path / "out.jsonl"))))
    config.write_text(text.format(state_dir=json.dumps(str(tmp_path / "state"))))
    return Process("agent", "--config", str(config))
