"""What the hub does with many agents on one core: python benchmarks/hub_bench.py [--agents 1000] [--series 200] [--seconds 75]

The hub is a process of its own, pinned to one core; the agents are another, on the next core (on the same one where there is no
other), and speak the real protocol over real sockets. The store is the embedded one, in a temporary folder, and holds an hour of
`--history-agents` agents before it starts. Upkeep runs once a minute, so from some 65 seconds on its work is in the figures.

`core waited` is how long the hub was ready to run and not let, for others' sake: above a few percent the machine was busy with
something else, and times say little. Shares of a core are CPU time and hold even then.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

from agent_cost import cpu_s, free_port, memory_mib, wait_for_port
from hub_load import Values

HERE = Path(__file__).parent
GOALS = {
    "ack_p99_s": "< 1 s",
    "lag_growth_s": "about 0",
    "hour_of_a_series_ms": "< 50 ms",
    "list_of_agents_ms": "< 100 ms",
}


def cores() -> tuple[int, int]:
    """The hub's, and the agents'."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[min(1, len(usable) - 1)]


def fill(folder: Path, agents: int, series: int, minutes: int) -> int:
    """Write the time before now as the hub would have, minute by minute with its upkeep; how many points."""
    import numpy as np

    from agent.hub.records import BatchWrite, Registration, SeriesWrite
    from agent.hub.sqlite_store import SqliteStore
    from agent.hub.store import Limits

    store = SqliteStore(folder / "hub.sqlite3")
    start_ns = time.time_ns() - minutes * 60 * 10**9
    names = [SeriesWrite("bench_value", (("n", str(one)),), "", "gauge") for one in range(series)]
    with store.transaction():
        known = [store.register(Registration(f"bench{one:05d}", "e0", "bench", {}, 0)) for one in range(agents)]
        ids = [np.array(store.define(one.agent_id, names), "<u4").tobytes() for one in known]
    values = [Values(series, number) for number in range(agents)]
    for minute in range(minutes):
        with store.transaction():
            for second in range(minute * 60, minute * 60 + 60):
                now_ns = start_ns + second * 10**9
                for one, its_ids, its in zip(known, ids, values, strict=True):
                    data = its.tick().tobytes()
                    head = (one.agent_id, one.epoch_id, second + 1, 0, now_ns, now_ns)
                    store.append(BatchWrite(*head, its_ids, data, None, None))
        for _ in store.upkeep(now_ns, Limits(604_800.0, 7_776_000.0)):
            pass
    store.close()
    return minutes * 60 * agents * series


class RunningHub:
    """`rebellion hub` on a core of its own."""

    def __init__(self, folder: Path, core: int, **keys: str) -> None:
        self.port, config = free_port(), folder / "hub.toml"
        keys = {"listen": f"127.0.0.1:{self.port}", "state_dir": str(folder), **keys}
        config.write_text("[hub]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items()))
        self._child = subprocess.Popen(
            [sys.executable, "-m", "agent.cli", "hub", "--config", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self._child.pid
        os.sched_setaffinity(self.pid, {core})
        wait_for_port(self.port)

    def stop(self) -> None:
        self._child.send_signal(signal.SIGTERM)
        self._child.wait(60)

    def waited_s(self) -> float:
        """How long its threads were ready and not let run, seconds."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[1]) for task in tasks) / 1e9

    def ask(self, target: str) -> bytes:
        """The answer to a query."""
        with urlopen(f"http://127.0.0.1:{self.port}/api/v1/{target}", timeout=60) as answer:
            return answer.read()

    def ask_ms(self, target: str) -> float:
        """How long a query takes, with its answer read."""
        started_s = time.perf_counter()
        self.ask(target)
        return (time.perf_counter() - started_s) * 1000

    def points_total(self) -> int:
        """All that the store holds, by its own count."""
        return sum(agent["points_total"] for agent in json.loads(self.ask("agents"))["agents"])


@contextmanager
def hub_in(folder: Path, core: int, **keys: str):
    """A hub, ended whatever happens."""
    hub = RunningHub(folder, core, **keys)
    try:
        yield hub
    finally:
        hub.stop()


@contextmanager
def load(core: int, *words: str):
    """The agents' process, once it says `ready`."""
    environment = {**os.environ, "REBELLION_BENCH_CORE": str(core)}
    command = [sys.executable, str(HERE / "hub_load.py"), *words]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, env=environment)
    try:
        if child.stdout.readline().strip() != "ready":
            raise SystemExit("the agents could not connect")
        yield child
    finally:
        child.kill()
        child.wait()


def under_load(hub: RunningHub, agents_core: int, agents: int, series: int, seconds: int) -> dict[str, float]:
    """Ingest for so long, with a query now and then."""
    address = f"ws://127.0.0.1:{hub.port}/api/v1/ingest"
    with load(agents_core, "send", address, str(agents), str(series), str(seconds)) as child:
        spent_s, waited_s, started_s = cpu_s(hub.pid), hub.waited_s(), time.monotonic()
        asked = []
        while time.monotonic() - started_s < seconds:
            time.sleep(min(2.0, seconds / 3))
            asked.append((hub.ask_ms(hour_of_a_series(series)), hub.ask_ms("agents")))
        elapsed_s = time.monotonic() - started_s
        found = {
            "hub_core_share": (cpu_s(hub.pid) - spent_s) / elapsed_s,
            "hub_core_waited_share": (hub.waited_s() - waited_s) / elapsed_s,
            "rss_mib": memory_mib(hub.pid),
            "hour_of_a_series_under_load_ms": statistics.median(one for one, _ in asked),
            "list_of_agents_under_load_ms": statistics.median(one for _, one in asked),
        }
        sent = json.loads(child.stdout.readline())
        found["points_a_core_second"] = sent["acked_points"] / (cpu_s(hub.pid) - spent_s)
    waiting, quarter = sent.pop("waiting"), max(1, seconds // 4)
    growth = statistics.mean(waiting[-quarter:]) - statistics.mean(waiting[:quarter])
    return {**sent, **found, "lag_growth_s": growth / agents}


def hour_of_a_series(series: int) -> str:
    text = f'bench_value{{n="{series // 2}"}}'
    return f"query?agent=bench00000&series={quote(text)}&from=-3600"


def bytes_of(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))


def idle_kib(folder: Path, cores_: tuple[int, int], count: int, is_tls: bool) -> float:
    """What a connection that said hello and nothing since costs the hub, KiB; NaN without openssl."""
    folder.mkdir()
    keys = {}
    if is_tls:
        if shutil.which("openssl") is None:
            return float("nan")
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        made += ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=hub"]
        made += ["-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(made, cwd=folder, check=True, capture_output=True)
        keys = {"tls_cert_file": str(folder / "cert.pem"), "tls_key_file": str(folder / "key.pem")}
    with hub_in(folder, cores_[0], **keys) as hub:
        address = f"{'wss' if is_tls else 'ws'}://127.0.0.1:{hub.port}/api/v1/ingest"
        warm = min(20, count)
        with load(cores_[1], "idle", address, str(warm), keys.get("tls_cert_file", "")):
            before = memory_mib(hub.pid)
            with load(cores_[1], "idle", address, str(count), keys.get("tls_cert_file", ""), str(warm)):
                return (memory_mib(hub.pid) - before) * 1024 / count


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """All figures by name."""
    both = cores()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as made:
        folder = Path(made, "hub")
        folder.mkdir()
        history_points = fill(folder, arguments.history_agents, arguments.series, arguments.history_minutes)
        figures: dict[str, float] = {
            "cores": 2 if both[0] != both[1] else 1,
            "chunk_bytes_a_point": bytes_of(folder, "hub.parts/points-*") / history_points,
            "rollup_bytes_a_point": bytes_of(folder, "hub.parts/rollups-*") / history_points,
        }
        with hub_in(folder, both[0]) as hub:
            held = hub.points_total()
            figures |= under_load(hub, both[1], arguments.agents, arguments.series, arguments.seconds)
            figures["stored_points"] = hub.points_total() - held
            figures["hour_of_a_series_points"] = len(json.loads(hub.ask(hour_of_a_series(arguments.series)))["values"])
            asked = [(hub.ask_ms(hour_of_a_series(arguments.series)), hub.ask_ms("agents")) for _ in range(9)]
        figures["hour_of_a_series_ms"] = statistics.median(one for one, _ in asked)
        figures["list_of_agents_ms"] = statistics.median(one for _, one in asked)
        for name, is_tls in (("idle_plain_kib", False), ("idle_tls_kib", True)):
            figures[name] = idle_kib(Path(made, name), both, arguments.idle, is_tls)
    return figures


def show(figures: dict[str, float], seconds: int) -> None:
    """Print each figure beside its goal."""
    figures = figures | {
        "offered_points_s": figures["offered_points"] / seconds,
        "acked_points_s": figures["acked_in_time_points"] / seconds,
    }
    for name, value in figures.items():
        print(f"{name:34}{value:14,.4g}   {'goal ' + GOALS[name] if name in GOALS else ''}".rstrip())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--series", type=int, default=200, help="of each agent")
    parser.add_argument("--seconds", type=int, default=75, help="how long the agents send")
    parser.add_argument("--history-agents", type=int, default=10, help="how many are in the store before that")
    parser.add_argument("--history-minutes", type=int, default=60, help="of how long")
    parser.add_argument("--idle", type=int, default=1000, help="connections for the figures of memory")
    parser.add_argument(
        "--folder", help="where the temporary store is; the system's folder for such things if not given"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    arguments = parser.parse_args()
    figures = measure(arguments)
    print(json.dumps(figures)) if arguments.json else show(figures, arguments.seconds)


if __name__ == "__main__":
    main()
