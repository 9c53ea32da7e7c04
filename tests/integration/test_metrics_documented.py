"""docs/metrics.md against what an agent and a hub really send."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from process_support import Process, wait_until

METRICS = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
ROWS = {
    name: (kind, unit)
    for name, kind, unit in re.findall(r"^\| `(\w+)` \| *(\w+) *\| *(\S*?) *\|", METRICS, re.MULTILINE)
}
HUB_ROWS = dict(re.findall(r"^\| `(rebellion_hub_\w+)` \| (\w+) \|", METRICS, re.MULTILINE))
CONFIG = """
[agent]
name = "web1"
interval_s = 0.2
state_dir = {folder}
[sinks.file]
path = {path}
[sinks.websocket]
url = {url}
[status]
listen = "127.0.0.1:0"
[collectors.statsd]
listen = "127.0.0.1:0"
"""


def get(url: str) -> str:
    with urlopen(url, timeout=20) as answer:
        text: str = answer.read().decode()
    return text


def series(url: str) -> list[dict[str, Any]]:
    """What the agent has made so far, once rates are among it and the sink has been told of."""
    found: list[dict[str, Any]] = json.loads(get(f"{url}api/v1/series?agent=web1"))["series"]
    is_whole = {"cpu_used_ratio", "agent_delivered_points_total"} <= {one["name"] for one in found}
    return found if is_whole else []


def test_every_series_of_an_agent_and_every_counter_of_a_hub_is_documented(tmp_path: Path) -> None:
    hub_file, agent_file = tmp_path / "hub.toml", tmp_path / "agent.toml"
    hub_file.write_text(f'[hub]\nlisten = "127.0.0.1:0"\nstate_dir = {json.dumps(str(tmp_path / "hub"))}\n')
    with Process("hub", "--config", str(hub_file)) as hub:
        page = hub.wait_for("hub.started")["address"]
        texts = {"folder": tmp_path / "agent", "path": tmp_path / "points.jsonl", "url": page.replace("http", "ws")}
        agent_file.write_text(CONFIG.format(**{key: json.dumps(str(value)) for key, value in texts.items()}))
        with Process("agent", "--config", str(agent_file)) as agent:
            url = agent.wait_for("status.listening")["address"]
            found = wait_until(lambda: series(url), "rates are there")
            wait_until(lambda: 'agent_up{agent="web1"} 1' in get(f"{page}metrics"), "the hub knows the agent")
            told = dict(re.findall(r"^# TYPE (\w+) (\w+)$", get(f"{page}metrics"), re.MULTILINE))
    made = {one["name"]: (one["kind"], one["unit"]) for one in found}
    assert len(made) > 100
    assert {name: is_so for name, is_so in made.items() if ROWS.get(name) != is_so} == {}
    assert told == HUB_ROWS
