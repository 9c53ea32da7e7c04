"""Plugins that raise, hang in C, return rubbish or make 100,000 series, in a real agent: they cost themselves only."""

import os
import signal
from pathlib import Path

import pytest
from process_support import Process, json_lines, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

BAD_PLUGINS = '''
import os
from agent.api import hookimpl

class Raises:
    """Raises for as long as the file is there."""
    def __init__(self, config, context):
        self.series = context.series("raises")
    def collect(self, out):
        if os.path.exists("FOLDER/broken"):
            raise OSError("no such device")
        out.add(self.series, 1)

class Hangs:
    """Blocks in a system call until somebody writes into the pipe: a thread that no exception can reach."""
    def __init__(self, config, context):
        self.series = context.series("hangs")
    def collect(self, out):
        with open("FOLDER/pipe", "rb", buffering=0) as pipe:
            pipe.read(1)
        out.add(self.series, 1)

class Rubbish:
    def __init__(self, config, context):
        self.series = context.series("rubbish")
    def collect(self, out):
        out.add(self.series, "seven")

class Greedy:
    def __init__(self, config, context):
        self.family = context.family("greedy", label="n")
    def collect(self, out):
        for n in range(100_000):
            out.add(self.family[str(n)], n)

class Leaves:
    def __init__(self, config, context):
        pass
    def collect(self, out):
        raise SystemExit(1)

@hookimpl
def rebellion_register_collectors(register):
    for name, made in (("raises", Raises), ("hangs", Hangs), ("rubbish", Rubbish), ("greedy", Greedy), ("leaves", Leaves)):
        register(name, made)
'''
BAD = ("raises", "hangs", "rubbish", "greedy", "leaves")


def configure(folder: Path, collectors: str = "", sink: str = "", more: str = "") -> Path:
    config = folder / "agent.toml"
    config.write_text(
        f"""
        [agent]
        name = "host one"
        interval_s = 0.2
        state_dir = "{folder}/state"
        plugins_dir = "{folder}/plugins"
        default_collectors = false
        {more}
        [collectors.agent]
        [collectors.load]
        {collectors}
        [sinks.file]
        path = "{folder}/out.jsonl"
        {sink}
        """
    )
    return config


def metrics(folder: Path, name: str) -> list[float]:
    """Values of one metric in the order of the ticks, one batch after the other."""
    found = []
    for line in json_lines(folder / "out.jsonl"):
        found += [m["value"] for m in line.get("metrics", ()) if m["name"] == name]
    return found


def assert_nothing_lost_or_doubled(folder: Path, agent: Process) -> None:
    """Every point that the agent says it made is in the file, and no tick is there twice."""
    made = next(entry["points"] for entry in agent.events() if entry.get("event") == "agent.stopped")
    assert sum(len(line.get("metrics", ())) for line in json_lines(folder / "out.jsonl")) == made
    ticks = metrics(folder, "agent_ticks_total")
    assert ticks == sorted(set(ticks))


def events(folder: Path) -> list[tuple[str, str]]:
    lines = json_lines(folder / "out.jsonl")
    return [(line["event"]["kind"], line["event"]["component"]) for line in lines if "event" in line]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "bad.py").write_text(BAD_PLUGINS.replace("FOLDER", str(tmp_path)))
    (tmp_path / "broken").touch()
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def test_bad_collectors_cost_themselves_only_and_come_back_through_probes(folder):
    config = configure(folder, "\n".join(f"[collectors.{name}]\nbreaker.max_open_s = 1.0" for name in BAD))
    with Process("agent", "--config", str(config)) as agent:
        wait_until(
            lambda: {("breaker.opened", f"collector:{name}") for name in BAD} <= set(events(folder)), "all five open"
        )
        wait_until(lambda: len(metrics(folder, "agent_ticks_total")) > 30, "thirty ticks")
        (folder / "broken").unlink()
        wait_until(
            lambda: ("breaker.closed", "collector:raises") in events(folder), "the one that is well again is back"
        )
        assert agent.end() == 0
    assert_nothing_lost_or_doubled(folder, agent)
    ticks = next(entry["ticks"] for entry in agent.events() if entry.get("event") == "agent.stopped")
    assert len(metrics(folder, "load_1m")) >= 0.9 * ticks
    assert metrics(folder, "agent_missed_ticks_total")[-1] <= 0.1 * ticks
    assert metrics(folder, "raises")
    for name in ("hangs", "rubbish", "greedy"):
        assert metrics(folder, name) == []


def test_a_hung_collector_is_asked_again_once_its_call_has_returned(folder):
    config = configure(folder, "[collectors.hangs]\nbreaker.max_open_s = 0.5\nbreaker.open_s = 0.2")
    with Process("agent", "--config", str(config)) as agent:
        wait_until(lambda: ("breaker.opened", "collector:hangs") in events(folder), "it opens")
        pipe = os.open(folder / "pipe", os.O_RDWR | os.O_NONBLOCK)
        try:
            os.write(pipe, b"x" * 1000)
            wait_until(lambda: ("breaker.closed", "collector:hangs") in events(folder), "it is back")
        finally:
            os.close(pipe)
        assert agent.end() == 0
    assert metrics(folder, "hangs")


def test_reload_keeps_what_did_not_change_and_refuses_a_bad_file(folder):
    config = configure(folder)
    with Process("agent", "--config", str(config)) as agent:
        wait_until(lambda: len(metrics(folder, "agent_ticks_total")) > 3, "some ticks")
        configure(folder, "[collectors.memory]", "", "drain_s = 1.0")
        agent.kill(signal.SIGHUP)
        reloaded = agent.wait_for("config.reloaded")
        assert (reloaded["collectors_changed"], reloaded["sinks_changed"]) == (1, 0)
        wait_until(lambda: metrics(folder, "memory_used_bytes"), "the new collector gives samples")
        config.write_text("[agent]\nintervall_s = 1\n[collectors.memory]\ninterval_s = -1\n")
        agent.kill(signal.SIGHUP)
        problems = [agent.wait_for("config.refused")["problem"], agent.wait_for("config.refused")["problem"]]
        assert any("intervall_s" in problem and "interval_s" in problem for problem in problems)
        assert any("collectors.memory.interval_s" in problem and "-1" in problem for problem in problems)
        count = len(metrics(folder, "memory_used_bytes"))
        wait_until(lambda: len(metrics(folder, "memory_used_bytes")) > count + 3, "the old configuration goes on")
        assert agent.end() == 0
    assert_nothing_lost_or_doubled(folder, agent)


def test_a_changed_sink_takes_over_the_buffer(folder):
    """The first sink cannot write (its path is a folder), so everything waits; the second writes it all."""
    (folder / "out.jsonl").mkdir()
    config = configure(folder)
    with Process("agent", "--config", str(config)) as agent:
        agent.wait_for("breaker.opened", component="sink:file")
        config.write_text(config.read_text().replace("out.jsonl", "second.jsonl"))
        agent.kill(signal.SIGHUP)
        assert agent.wait_for("config.reloaded")["sinks_changed"] == 1
        wait_until(lambda: json_lines(folder / "second.jsonl"), "the second file has lines")
        assert agent.end() == 0
    (folder / "out.jsonl").rmdir()
    (folder / "second.jsonl").rename(folder / "out.jsonl")
    assert_nothing_lost_or_doubled(folder, agent)
