"""Every built-in sink against the suite for plugin authors, and the suite against sinks that break their contract."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
from http_receiver import HttpReceiver
from hub_support import RunningHub

from agent.builtin import BUILTIN, load_builtin
from agent.errors import PermanentDelivery
from agent.model import Batch
from agent.testing.memory_sink import MemorySink
from agent.testing.sink_suite import check_sink

HTTP = {"otlp": {}, "remote_write": {}, "webhook": {"min_level": "info"}}


def dead_port():
    """A port of loopback on which nobody listens."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


async def checked(name, keys, down=None):
    registration = load_builtin("sinks", name)
    dead = None if down is None else registration.config(**{**keys, **down})
    return await check_sink(registration.factory, registration.config(**keys), down=dead)


@pytest.mark.parametrize("name", HTTP)
async def test_sinks_that_post_keep_their_contract(name):
    with HttpReceiver() as receiver:
        keys = {"url": receiver.url, **HTTP[name]}
        report = await checked(name, keys, {"url": f"http://127.0.0.1:{dead_port()}/in"})
        assert len(receiver.requests) >= 4
    assert len(report.delivered) == 20


async def test_the_websocket_sink_keeps_its_contract(tmp_path):
    async with RunningHub(tmp_path / "hub") as hub:
        keys = {"url": hub.url, "reconnect_s": 0.001, "reconnect_max_s": 0.01}
        await checked("websocket", keys, {"url": f"ws://127.0.0.1:{dead_port()}/"})


@pytest.mark.parametrize("fsync", [False, True])
async def test_the_file_sink_keeps_its_contract(tmp_path, fsync):
    path = tmp_path / "out" / "metrics.jsonl"
    await checked("file", {"path": str(path), "fsync": fsync}, {"path": "/proc/no such folder/x"})
    assert len(path.read_text().splitlines()) >= 20


@pytest.mark.parametrize("form", ["text", "json"])
async def test_the_console_sink_keeps_its_contract(form, capfd):
    await checked("console", {"format": form})
    assert "load_1m" in capfd.readouterr().out


async def test_the_prometheus_sink_keeps_its_contract():
    await checked("prometheus", {"listen": "127.0.0.1:0"})


def test_no_sink_is_left_out():
    assert {*HTTP, "websocket", "file", "console", "prometheus"} == set(BUILTIN["sinks"])


class Honest(MemorySink):
    def __init__(self, config, _context):
        super().__init__([ConnectionError("down")] * 9 if config == "down" else [])


class Believes(Honest):
    async def deliver(self, records, first_seq):
        pass


class GivesUp(Honest):
    async def deliver(self, records, first_seq):
        if self.failures:
            raise PermanentDelivery("down")


class Meddles(Honest):
    async def deliver(self, records, first_seq):
        for record in records:
            if isinstance(record, Batch):
                record.values[:] = 0.0


class LeavesTask(Honest):
    async def deliver(self, records, first_seq):
        self.task = asyncio.create_task(asyncio.Event().wait(), name="left")
        await super().deliver(records, first_seq)


class LeavesFile(Honest):
    kept = []  # noqa: RUF012 - shared on purpose: it outlives the sink

    async def deliver(self, records, first_seq):
        self.kept.append(Path("/proc/self/stat").open())  # noqa: ASYNC230, SIM115 - what is left behind
        await super().deliver(records, first_seq)


class Swallows(Honest):
    async def deliver(self, records, first_seq):
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            raise OSError("cancelled") from None


class Answers(Honest):
    async def deliver(self, records, first_seq):
        return len(records)


async def test_the_suite_lets_a_plain_sink_pass():
    report = await check_sink(Honest, down="down")
    assert sum(isinstance(record, Batch) for record in report.delivered) == 12


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (Believes, "would believe that the records are safe"),
        (GivesUp, "not PermanentDelivery"),
        (Meddles, "leaves the records"),
        (LeavesTask, r"left tasks: \['left'"),
        (LeavesFile, "left files open: .*stat"),
        (Swallows, "raises nothing else"),
        (Answers, r"returns None.*got 5"),
    ],
)
async def test_the_suite_names_what_is_wrong(broken, complaint):
    with pytest.raises(AssertionError, match=complaint):
        await check_sink(broken, down="down")
    for file in LeavesFile.kept:
        file.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
