"""A hub, an agent and a proxy between them as they are hurt, and the verdict on what became of every point."""

from __future__ import annotations

import json
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from fault_proxy import FaultProxy
from process_support import Process, wait_until
from synthetic import RUN_STEP, SERIES_STEP, made_ticks, write_plugin

__all__ = ["SEEDS", "FaultHub", "Stage", "Verdict", "disorder", "free_port", "limit_files", "status_kib"]

AGENT = "web1"
HUB_LOOK_S = 0.1
"""Between two questions to a hub that is busy with what is measured."""
SEEDS = pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 6))])
"""One seed in the short form, five in the long."""


@dataclass(slots=True)
class Verdict:
    """What a case came to; prints as one line.

    Attributes:
        made: Points collected; None: the case is about none.
        lost: Points neither stored nor declared as dropped.
        duplicated: Points stored more than once.
        out_of_order: Batches of the live data, or of the backlog, that were stored before an older one of their kind.
        declared: Points that the agent said it dropped.
        lag_s: Longest that a batch collected after the hub was reached again took to be stored.
        rss_mib: Peak memory of the agent, from the fault on.
        grown_mib: By how much that is more than what it had when the fault began.
        detect_s: From the fault to the agent's first word of it.
        drain_s: From the fault's end until all that was collected before it was stored.
        jitter_s: 99th percentile of how far apart two collections were beyond the interval, during the fault.
    """

    case: str
    seed: int
    made: int | None = None
    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    declared: int = 0
    lag_s: float | None = None
    rss_mib: float | None = None
    grown_mib: float | None = None
    detect_s: float | None = None
    drain_s: float | None = None
    jitter_s: float | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        figures = self._counts() if self.made is not None else []
        figures += [] if self.grown_mib is None else [f"which is {self.grown_mib:+.1f} MiB"]
        figures += [] if self.jitter_s is None else [f"collection jitter p99 {self.jitter_s * 1000:.0f} ms"]
        figures += [f"{name} {value}" for name, value in self.notes.items()]
        return f"{self.case} [seed {self.seed}]: {', '.join(figures)}"

    def _counts(self) -> list[str]:
        return [
            f"{self.made} points",
            f"lost {self.lost}",
            f"duplicated {self.duplicated}",
            f"out of order {self.out_of_order}",
            f"declared drops {self.declared}",
            f"max lag {_figure(self.lag_s, 's')}",
            f"detected in {_figure(self.detect_s, 's')}",
            f"drained in {_figure(self.drain_s, 's')}",
            f"peak RSS {_figure(self.rss_mib, 'MiB')}",
        ]

    def assert_whole(self) -> None:
        """Nothing lost, nothing twice, both streams in their order."""
        assert (self.lost, self.duplicated, self.out_of_order) == (0, 0, 0), str(self)


def _figure(value: float | None, unit: str) -> str:
    """A dash where a case has no such figure: nothing failed that could be detected, or nothing waited."""
    return "-" if value is None else f"{value:.2f} {unit}"


class FaultHub:
    """A hub process; its journal of what it stored, in its order, goes to `stored.jsonl` in the folder, its log to `log`.

    Args:
        versions: Of the protocol, "OLDEST-NEWEST"; "" = its own.
    """

    def __init__(self, folder: Path, port: int, die_after: int = 0, versions: str = "") -> None:
        program = _speaking(versions, str(Path(__file__).with_name("fault_hub.py")))
        command = [sys.executable, *program, str(folder / "hub"), str(port), str(die_after)]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.log: list[str] = []
        self._listens = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(folder / "stored.jsonl",))
        self._reader.start()
        assert self._listens.wait(20), self.log

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.child.send_signal(number)
        if number == signal.SIGKILL:
            self.child.wait(20)
            self._reader.join()

    def limit_files(self, size_bytes: int) -> None:
        """Let no file of the hub grow beyond so many bytes: a full disk; -1 = there is room again."""
        limit_files(self.child.pid, size_bytes)

    def close(self) -> None:
        self.child.kill()
        self.child.wait(20)
        self._reader.join()
        assert self.child.stdout is not None
        self.child.stdout.close()

    def _read(self, journal: Path) -> None:
        assert self.child.stdout is not None
        with journal.open("a", buffering=1) as stored:
            for line in self.child.stdout:
                if line.startswith("["):
                    stored.write(line)
                else:
                    self.log.append(line)
                self._listens.set()


def _speaking(versions: str, *program: str) -> list[str]:
    """What the interpreter is given for a program that speaks these versions of the protocol."""
    if not versions:
        return list(program)
    return [str(Path(__file__).with_name("other_version.py")), versions, *(part for part in program if part != "-m")]


def limit_files(pid: int, size_bytes: int) -> None:
    """Let no file of a process grow beyond so many bytes: what a full disk is to it; -1 = without limit."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size_bytes < 0 else size_bytes, hard))


class Stage:
    """Use it as a context manager; it ends what it started.

    Args:
        folder: For everything.
        case, seed: What the verdict is called; the seed drives `rng`.
        series_count, interval_s: What the agent collects.
        commit_s: Longest that a record waits in memory alone.
        deadline_s: Of a delivery.
        sink: Further lines of `[sinks.websocket]`.
    """

    def __init__(
        self,
        folder: Path,
        case: str,
        seed: int,
        *,
        series_count: int = 50,
        interval_s: float = 0.05,
        commit_s: float = 0.2,
        deadline_s: float = 2.0,
        sink: str = "",
    ) -> None:
        self.folder = folder
        self.rng = random.Random(seed)
        self.verdict = Verdict(case, seed)
        self.series_count = series_count
        self.interval_s = interval_s
        self.hub_port = free_port()
        self.made_path = folder / "made.txt"
        self.stored_path = folder / "stored.jsonl"
        self._sink = sink
        self._commit_s = commit_s
        self._deadline_s = deadline_s
        self._stack = ExitStack()
        self.fault_wall_s = self.healed_wall_s = 0.0

    def __enter__(self) -> Self:
        self._stack.__enter__()
        self.proxy = self._stack.enter_context(FaultProxy(self.hub_port))
        write_plugin(self.folder / "plugins", self.made_path, self.series_count)
        self.config = self.folder / "agent.toml"
        self.config.write_text(
            f"""
            [agent]
            name = "{AGENT}"
            interval_s = {self.interval_s}
            drain_s = 20.0
            state_dir = "{self.folder}/agent"
            plugins_dir = "{self.folder}/plugins"
            default_collectors = false
            [collectors.synthetic]
            max_series = 5000
            deadline_s = 60.0
            [sinks.websocket]
            url = "ws://127.0.0.1:{self.proxy.port}"
            ping_s = 0.3
            ping_timeout_s = 0.3
            connect_timeout_s = 1.0
            reconnect_s = 0.1
            reconnect_max_s = 0.3
            deadline_s = {self._deadline_s}
            breaker.open_s = 0.2
            breaker.max_open_s = 0.5
            spool.commit_s = {self._commit_s}
            {self._sink}
            """
        )
        return self

    def __exit__(self, *facts: object) -> None:
        self._stack.__exit__(None, None, None)

    def start_hub(self, die_after: int = 0, versions: str = "") -> FaultHub:
        self.hub = FaultHub(self.folder, self.hub_port, die_after, versions)
        self._stack.callback(self.hub.close)
        return self.hub

    def start_agent(self, versions: str = "", launcher: Sequence[str] = ()) -> Process:
        first, *program = (*launcher, sys.executable, *_speaking(versions, "-m", "agent.cli"))
        arguments = ("agent", "--config", str(self.config))
        self.agent = self._stack.enter_context(Process(*arguments, python=first, program=program))
        self.agent.wait_for("agent.started")
        return self.agent

    def start(self) -> None:
        """Hub and agent, and wait until the first data are stored."""
        self.start_hub()
        self.start_agent()
        self.agent.wait_for("sink.acked_first")

    # --- the course of a fault

    def begin_fault(self) -> None:
        """From here on the agent's memory and its first word of trouble count."""
        Path(f"/proc/{self.agent.pid}/clear_refs").write_text("5")
        self._rss_kib = status_kib(self.agent.pid, "VmRSS")
        self._fault_s, self.fault_wall_s = time.monotonic(), time.time()

    def wait_detected(self, event: str = "sink.failed") -> None:
        """Until the agent says that something is wrong, by default with its link."""
        self.agent.wait_for(event)
        self.verdict.detect_s = time.monotonic() - self._fault_s

    def wait_made(self, count: int) -> None:
        """Until so many more ticks were collected."""
        target = len(made_ticks(self.made_path)) + count
        wait_until(lambda: len(made_ticks(self.made_path)) >= target, f"{count} ticks are collected")

    def heal(self) -> None:
        """The fault is over: what is collected from here on is live."""
        if self.fault_wall_s:
            self._read_memory()
            self.verdict.grown_mib = self.verdict.rss_mib - self._rss_kib / 1024
            self.verdict.jitter_s = _jitter_s(made_ticks(self.made_path), self.fault_wall_s, self.interval_s)
        self._healed_s, self.healed_wall_s = time.monotonic(), time.time()

    def wait_drained(self, seconds: float = 60.0, forgiven: Collection[int] = ()) -> None:
        """Until everything collected before the fault's end is stored, apart from the ticks that may be missing."""
        made = {number for number, _, wall_s in made_ticks(self.made_path) if wall_s < self.healed_wall_s}
        due = made.difference(forgiven)
        wait_until(lambda: due <= self.stored_numbers(), "the backlog is stored", seconds, HUB_LOOK_S)
        self.verdict.drain_s = time.monotonic() - self._healed_s

    def _read_memory(self) -> None:
        self.verdict.rss_mib = max(self.verdict.rss_mib or 0.0, status_kib(self.agent.pid, "VmHWM") / 1024)

    def made_numbers(self) -> set[int]:
        """Every tick so far."""
        return {number for number, *_ in made_ticks(self.made_path)}

    def made_since_heal(self) -> set[int]:
        """Ticks that were collected after the fault's end."""
        return {number for number, _, wall_s in made_ticks(self.made_path) if wall_s >= self.healed_wall_s}

    def wait_emptied(self) -> None:
        """Until nothing is left in the spool, whatever was lost from it."""
        wait_until(lambda: not self.spooled(), "the spool is empty")
        self.verdict.drain_s = time.monotonic() - self._healed_s

    def end(self) -> None:
        """Stop the agent in good order: it delivers what it has."""
        self._read_memory()
        assert self.agent.end() == 0
        stopped = next(entry for entry in self.agent.events() if entry.get("event") == "agent.stopped")
        self._clean_ticks = int(stopped["ticks"])

    def kill_agent(self) -> None:
        """The agent is gone at once."""
        self._read_memory()
        self.agent.kill(signal.SIGKILL)
        self.agent.wait()
        self._clean_ticks = RUN_STEP

    def spooled(self) -> int:
        """Records in the agent's spool, read beside it; -1 while it is damaged and not yet repaired."""
        path = self.spool_path
        if not path.exists():
            return 0
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            records = database.execute("SELECT records FROM meta").fetchone()[0]
        except sqlite3.OperationalError:
            return 0
        except sqlite3.DatabaseError:
            return -1
        finally:
            database.close()
        return -1 if records is None else int(records)

    @property
    def spool_path(self) -> Path:
        return self.folder / "agent/sink-websocket/spool/spool.db"

    # --- the verdict

    def judge(self, forgiven: Collection[int] = ()) -> Verdict:
        """Compare what was collected with what the hub holds; the hub must be up, and the agent at its end.

        Args:
            forgiven: Ticks that may be missing.
        """
        verdict, made = self.verdict, self._collected()
        stored = self.ask("query", agent=AGENT, name="synthetic", **{"from": -100_000})["results"]
        verdict.made = len(made) * self.series_count
        whole: set[float] = set()
        count = 0
        for result in stored:
            count += len(result["values"])
            whole.update(result["values"])
        expected = {number + n * SERIES_STEP for number in made for n in range(self.series_count)}
        verdict.declared = int(self.ask("agents")["agents"][0]["gap_points_total"])
        missing = [value for value in expected - whole if int(value) not in forgiven]
        verdict.lost = len(missing) - verdict.declared
        verdict.duplicated = count - len(whole) + self._stored_twice()
        verdict.notes |= {"unknown points": len(whole - expected)} if whole - expected else {}
        verdict.out_of_order = disorder(self._stored_order())
        verdict.lag_s = self._lag_s()
        return verdict

    def ask(self, path: str, **query: Any) -> Any:
        with urlopen(f"http://127.0.0.1:{self.hub_port}/api/v1/{path}?{urlencode(query)}", timeout=30) as answer:
            return json.load(answer)

    def gaps(self) -> list[dict[str, Any]]:
        """The drops that the hub was told of."""
        events = self.ask("events", agent=AGENT, limit=1000, **{"from": -100_000})["events"]
        return [event for event in events if event["kind"] == "gap.announced"]

    def stored_lines(self) -> list[list[Any]]:
        """The hub's journal."""
        if not self.stored_path.exists():
            return []
        return [json.loads(line) for line in self.stored_path.read_text().split("\n")[:-1]]

    def stored_numbers(self) -> set[int]:
        """Ticks that the hub has; it must be up. The journal alone would not do: a kill leaves out what was committed with it."""
        try:
            answer = self.ask("query", agent=AGENT, series='synthetic{n="0"}', **{"from": -100_000})
        except HTTPError as error:
            with error:
                if error.code != HTTPStatus.NOT_FOUND:
                    raise
            return set()
        return {int(value) for value in answer["values"]}

    def _collected(self) -> list[int]:
        """Ticks whose points the agent took in; the last of a run that ended in good order may have come too late for that."""
        numbers = [number for number, *_ in made_ticks(self.made_path)]
        run_start = numbers[-1] & ~0xFFFFFF
        return [number for number in numbers if number <= run_start + self._clean_ticks or number < run_start]

    def _stored_twice(self) -> int:
        keys = [(epoch, seq) for _, epoch, seq, result, _ in self.stored_lines() if result == "stored"]
        return len(keys) - len(set(keys))

    def _stored_order(self) -> Iterable[int]:
        values = [value for *_, result, value in self.stored_lines() if value is not None and result == "stored"]
        return [int(value) for value in values if value >= RUN_STEP]

    def _lag_s(self) -> float | None:
        """Of what was collected after the hub had something again."""
        made_s = {number: wall_s for number, _, wall_s in made_ticks(self.made_path)}
        numbers = [(stored_s, int(value)) for stored_s, *_, value in self.stored_lines() if value is not None]
        stored = [(stored_s, made_s[number]) for stored_s, number in numbers if number in made_s]
        back_s = min((stored_s for stored_s, _ in stored if stored_s > self.healed_wall_s), default=0.0)
        return max((stored_s - one_s for stored_s, one_s in stored if one_s > back_s), default=None)


def disorder(numbers: Iterable[int]) -> int:
    """How many numbers fit into neither of two rising streams: the live data, and the backlog."""
    ends, misfits = [0, 0], 0
    for number in numbers:
        fitting = [end for end in ends if end < number]
        if fitting:
            ends[ends.index(max(fitting))] = number
        else:
            misfits += 1
    return misfits


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def status_kib(pid: int, key: str) -> int:
    """A figure of /proc/PID/status in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().split("\n")
    return int(next(line for line in lines if line.startswith(key + ":")).split()[1])


def _jitter_s(made: list[tuple[int, float, float]], from_wall_s: float, interval_s: float) -> float | None:
    moments = [monotonic_s for _, monotonic_s, wall_s in made if wall_s >= from_wall_s]
    apart = sorted(abs(later - earlier - interval_s) for earlier, later in pairwise(moments))
    return apart[int(0.99 * (len(apart) - 1))] if apart else None
