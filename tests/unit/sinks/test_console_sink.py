import json

import numpy as np
import pytest

from agent.model import Batch, Event, Gap, Series
from plugins.sinks.console import Config, Console, text_lines

LOAD = Series("cpu_used_ratio", (("core", "0"),), "ratio")
RECORDS = [
    Batch(0, 1.0, np.array([1], np.uint32), np.array([0.25])),
    Event(0, "breaker.opened", "sink:hub", detail={"open_s": 1.0}),
    Gap(0, 0, 7, "sampled", {"normal": 2, "bulk": 5}),
]


class Context:
    agent = "web1"

    def definition(self, _series_id):
        return LOAD

    async def run_blocking(self, function, *args):
        return function(*args)


def test_text_is_a_line_a_point_an_event_a_gap():
    lines = [line[8:] for record in RECORDS for line in text_lines(record, Context().definition)]
    assert lines == [
        '  cpu_used_ratio{core="0"}  0.25 ratio',
        "  ! sink:hub breaker.opened open_s=1.0",
        "  ! gap: 7 points sampled normal=2 bulk=5",
    ]


@pytest.mark.parametrize("form", ["text", "json"])
async def test_records_go_to_standard_output(capsys, form):
    sink = Console(Config(format=form), Context())
    await sink.deliver(RECORDS, 1)
    await sink.close()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    if form == "json":
        assert json.loads(lines[0])["metrics"][0]["value"] == 0.25
