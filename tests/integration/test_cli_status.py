"""`rebellion status` against real agents: one that is well, one whose sink cannot be reached, and none."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import closing

from process_support import Process, wait_until
from small_agent import FILE_SINK, NO_HUB, agent


def status(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.cli", "status", *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environ})


def has_acked(running: Process) -> bool:
    """Whether the log has it already: it may come before or after the port listens."""
    return any(entry.get("event") == "sink.acked_first" for entry in running.events())


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def test_a_well_agent_is_0_in_words_and_as_json_by_the_address_of_the_configuration(tmp_path):
    with agent(tmp_path, FILE_SINK) as running:
        address = running.wait_for("status.listening")["address"]
        wait_until(lambda: has_acked(running), "the sink has acknowledged something")
        said = status(
            REBELLION_STATUS__LISTEN=address.removeprefix("http://").rstrip("/"), HTTP_PROXY="http://127.0.0.1:9"
        )
        assert (said.returncode, said.stderr) == (0, "")
        assert said.stdout.startswith("web1: ok; tick ")
        told = json.loads(status("--json", "--url", address).stdout)
        assert (told["state"], told["exit_code"], told["report"]["agent"]) == ("ok", 0, "web1")
        assert running.end() == 0


def test_an_agent_whose_only_sink_is_down_is_4_with_the_reason(tmp_path):
    with agent(tmp_path, NO_HUB) as running:
        address = running.wait_for("status.listening")["address"]
        said = wait_until(lambda: (run := status("--url", address)).returncode and run, "the breaker has opened")
        assert said.returncode == 4
        assert said.stdout.startswith("web1: failing; ")
        assert "\n  sink:websocket is " in said.stdout
        assert running.end() == 0


def test_no_agent_is_3_in_one_line_and_says_where_to_look():
    said = status(REBELLION_STATUS__LISTEN=f"127.0.0.1:{free_port()}")
    (line,) = said.stderr.splitlines()
    assert said.returncode == 3
    assert "is it running? systemctl status rebellion-agent" in line


def test_a_port_that_cannot_be_known_or_is_off_is_78_and_says_what_would_do():
    for listen in ("127.0.0.1:0", ""):
        said = status(REBELLION_STATUS__LISTEN=listen)
        assert said.returncode == 78
        assert "status.listen" in said.stderr
        assert "--url URL" in said.stderr
