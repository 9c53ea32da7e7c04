import errno
import json
import resource
import signal

import numpy as np
import pytest

from agent.model import Batch, Event, Gap, Level, Series
from plugins.sinks.file import Config
from plugins.sinks.file.sink import FileSink

LOAD = Series("load_1m", (("host", "a"),), "")


class Context:
    """The part of a sink's context that these sinks use."""

    agent = "web1"

    def definition(self, series_id):
        return {1: LOAD}[series_id]

    async def run_blocking(self, function, *args):
        return function(*args)


def batch(value=0.5, weights=None, bounds=None):
    return Batch(1_700_000_000_500_000_000, 1.0, np.array([1], np.uint32), np.array([value]), None, weights, bounds)


@pytest.fixture
def make(tmp_path):
    made = []

    def make(**keys):
        made.append(FileSink(Config(path=str(tmp_path / "out" / "m.jsonl"), **keys), Context()))
        return made[-1]

    yield make
    for sink in made:
        sink._close()


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_each_record_is_one_line_a_reader_understands_alone(tmp_path, make):
    sink = make()
    event = Event(1_700_000_001_000_000_000, "breaker.opened", "sink:hub", Level.WARNING, {"open_s": 1.0})
    gap = Gap(1_700_000_000_000_000_000, 1_700_000_002_000_000_000, 7, "sampled", {"bulk": 7})
    weights = np.array([3.0])
    bounds = [np.array([bound], np.float32) for bound in (0.25, np.nan)]
    await sink.deliver([batch(), batch(weights=weights, bounds=bounds[0]), batch(bounds=bounds[1]), event, gap], 1)
    await sink.close()
    metric = {"name": "load_1m", "labels": {"host": "a"}, "unit": "", "value": 0.5}
    assert lines(tmp_path / "out" / "m.jsonl") == [
        {"agent": "web1", "time_s": 1_700_000_000.5, "metrics": [metric]},
        {"agent": "web1", "time_s": 1_700_000_000.5, "metrics": [{**metric, "weight": 3.0, "bound": 0.25}]},
        {"agent": "web1", "time_s": 1_700_000_000.5, "metrics": [{**metric, "bound": None}]},
        {
            "agent": "web1",
            "time_s": 1_700_000_001.0,
            "event": {"kind": "breaker.opened", "component": "sink:hub", "level": "warning", "detail": {"open_s": 1.0}},
        },
        {
            "agent": "web1",
            "time_s": 1_700_000_002.0,
            "gap": {"from_s": 1_700_000_000.0, "points": 7, "reason": "sampled", "lanes": {"bulk": 7}},
        },
    ]


async def test_the_file_is_rotated_by_size_and_only_so_many_are_kept(tmp_path, make):
    sink = make(max_file_bytes=1024, keep_count=2)
    for number in range(40):
        await sink.deliver([batch(number)], number + 1)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["m.jsonl", "m.jsonl.1", "m.jsonl.2"]
    assert all(path.stat().st_size <= 1024 for path in (tmp_path / "out").iterdir())
    newest = [line["metrics"][0]["value"] for line in lines(tmp_path / "out" / "m.jsonl")]
    older = [line["metrics"][0]["value"] for line in lines(tmp_path / "out" / "m.jsonl.1")]
    assert older + newest == list(range(40))[-len(older + newest) :]


async def test_keeping_none_starts_the_file_anew(tmp_path, make):
    sink = make(max_file_bytes=1024, keep_count=0)
    for number in range(40):
        await sink.deliver([batch(number)], number + 1)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m.jsonl"]


async def test_a_sink_goes_on_where_it_left_off_after_close(tmp_path, make):
    sink = make(fsync=True)
    await sink.deliver([batch(1)], 1)
    await sink.close()
    await sink.close()
    await sink.deliver([batch(2)], 2)
    assert [line["metrics"][0]["value"] for line in lines(tmp_path / "out" / "m.jsonl")] == [1.0, 2.0]


async def test_a_full_disk_fails_the_group_and_leaves_no_half_of_it(tmp_path, make):
    sink = make()
    await sink.deliver([batch(1)], 1)
    path = tmp_path / "out" / "m.jsonl"
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, hard))
    try:
        with pytest.raises(OSError, match=r"large|space") as raised:
            await sink.deliver([batch(2)] * 50, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert raised.value.errno in {errno.EFBIG, errno.ENOSPC}
    assert path.read_bytes() == before
    await sink.deliver([batch(3)], 2)
    assert [line["metrics"][0]["value"] for line in lines(path)] == [1.0, 3.0]


def test_a_path_inside_a_file_is_refused_with_its_name(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        Config(path=str(tmp_path / "file" / "m.jsonl"))
