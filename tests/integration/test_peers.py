"""Real peers take what the agent's sinks send: VictoriaMetrics by remote write, Prometheus by scraping.

`.ci/peers` unpacks them into build/peers; REBELLION_REQUIRE=peers makes a missing one a failure.
"""

import json
import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from process_support import Process, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

UNPACKED = Path(__file__).parents[2] / "build" / "peers" / "usr" / "bin"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def peer(name, *arguments):
    program = shutil.which(name, path=f"{UNPACKED}:{os.environ['PATH']}")
    if program is None:
        reason = f"{name} is neither on the path nor in build/peers (.ci/peers unpacks it)"
        if "peers" in os.environ.get("REBELLION_REQUIRE", "").replace(",", " ").split():
            pytest.fail(f"REBELLION_REQUIRE asks for peers, but {reason}")
        pytest.skip(reason)
    child = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        child.terminate()
        child.wait(30)


def asked(url, **query):
    """The JSON that a peer answers; None while it does not."""
    try:
        with urlopen(f"{url}?{urlencode(query)}", timeout=5) as answer:
            return json.load(answer)
    except (URLError, OSError, ValueError):
        return None


def results(url, query):
    found = asked(f"{url}/api/v1/query", query=query)
    return found["data"]["result"] if found else []


def configured(folder, sink):
    (folder / "agent.toml").write_text(
        f"""
        [agent]
        name = "host one"
        interval_s = 0.2
        state_dir = "{folder}/state"
        default_collectors = false
        [status]
        listen = ""
        [collectors.memory]
        [collectors.agent]
        {sink}
        """
    )
    return Process("agent", "--config", str(folder / "agent.toml"))


def test_victoria_metrics_takes_remote_write(tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    store = f"-storageDataPath={tmp_path}/vm"
    no_delay = "-search.latencyOffset=0s"  # by default it hides the last 30 s from queries
    with peer("victoria-metrics", store, f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=1", no_delay):
        wait_until(lambda: asked(f"{url}/api/v1/status/tsdb"), "VictoriaMetrics answers")
        with configured(tmp_path, f'[sinks.remote_write]\nurl = "{url}/api/v1/write"') as agent:
            agent.wait_for("sink.acked_first")
            total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
            (stored,) = wait_until(lambda: results(url, "memory_total_bytes"), "the series is stored")
            assert stored["metric"] == {"__name__": "memory_total_bytes", "instance": "host one"}
            assert float(stored["value"][1]) == total
            counted = '{__name__="agent_ticks_total"}'
            before = float(wait_until(lambda: results(url, counted), "ticks are stored")[0]["value"][1])
            wait_until(lambda: float(results(url, counted)[0]["value"][1]) > before, "newer points arrive")
            assert agent.end() == 0
        export = f"{url}/api/v1/export?{urlencode({'match[]': 'agent_ticks_total'})}"
        ticks = []

        def all_stored():
            with urlopen(export, timeout=5) as answer:
                ticks[:] = json.loads(answer.readline())["values"]
            return ticks == sorted(set(ticks))

        wait_until(all_stored, "every tick is there once, in order")
        assert len(ticks) >= 2


def test_prometheus_reads_the_exposition(tmp_path):
    port, exposed = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: rebellion, static_configs: [{{targets: ['127.0.0.1:{exposed}']}}]}}]\n"
    )
    arguments = (
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with configured(tmp_path, f'[sinks.prometheus]\nlisten = "127.0.0.1:{exposed}"') as agent:
        agent.wait_for("sink.acked_first")
        with peer("prometheus", *arguments):
            total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
            (stored,) = wait_until(lambda: results(url, "memory_total_bytes"), "Prometheus has scraped")
            assert float(stored["value"][1]) == total
            (target,) = asked(f"{url}/api/v1/targets")["data"]["activeTargets"]
            assert (target["health"], target["lastError"]) == ("up", "")
            types = asked(f"{url}/api/v1/metadata")["data"]
            assert types["memory_total_bytes"][0]["type"] == "gauge"
            assert types["agent_ticks"][0]["type"] == "counter"  # OpenMetrics names a counter's family without _total
        assert agent.end() == 0
