"""Lines, sums and a real socket."""

import random
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api import CollectError
from agent.testing.collector_suite import check_collector
from agent.testing.recorder import collect
from plugins.collectors.statsd import Config
from plugins.collectors.statsd.collector import Statsd
from plugins.collectors.statsd.lines import Line, parsed
from plugins.collectors.statsd.tally import Tally, Timer


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Web.Requests:1|c", Line("web_requests", "1", "c")),
        ("jobs:3|c|@0.1", Line("jobs", "3", "c", 0.1)),
        ("temp:-2.5|g", Line("temp", "-2.5", "g")),
        (
            "reply:320|ms|@0.5|#Site:berlin,canary",
            Line("reply", "320", "ms", 0.5, (("canary", "true"), ("site", "berlin"))),
        ),
        ("users:anna|s", Line("users", "anna", "s")),
        ("404s:1|c", Line("n404s", "1", "c")),
    ],
)
def test_lines_are_read_as_programs_write_them(text, line):
    assert parsed(text) == line


@given(st.text())
def test_any_text_is_a_line_or_a_value_error(text):
    try:
        line = parsed(text)
    except ValueError:
        return
    assert line.type in {"c", "g", "ms", "h", "s"}


def tally(**keys):
    settings = {"max_names": 100, "timer_samples": 10, "keep_gauges_s": 60.0, "rng": random.Random(0), **keys}
    made = Tally(**settings)
    return made, lambda text, now_s=0.0: made.add(parsed(text), now_s)


def test_counters_are_multiplied_out_and_start_anew_each_tick():
    made, add = tally()
    for _ in range(3):
        add("jobs:2|c|@0.5")
    assert made.take(0.0).counters == {("jobs", ()): 12.0}
    assert made.take(1.0).counters == {}


def test_gauges_stay_move_by_steps_and_are_forgotten():
    made, add = tally()
    add("temp:20|g", 0.0)
    add("temp:+2|g", 0.0)
    add("temp:-5|g", 1.0)
    assert made.take(1.0).gauges == {("temp", ()): 17.0}
    assert made.take(61.0).gauges == {("temp", ()): 17.0}
    assert made.take(61.1).gauges == {}


def test_beyond_the_most_names_new_ones_are_counted_and_known_ones_go_on():
    made, add = tally(max_names=2)
    for text in ("a:1|c", "b:1|g", "d:1|c", "e:1|s", "a:1|c"):
        add(text)
    assert (made.left_out, made.lines) == (2, 3)
    assert made.take(0.0).counters == {("a", ()): 2.0}


def test_timers_know_count_mean_largest_and_percentiles_within_bounds():
    timer = Timer(1000, random.Random(1))
    for value in range(1, 10_001):
        timer.add(float(value), 1.0)
    assert (timer.count, timer.total, timer.largest) == (10_000.0, 50_005_000.0, 10_000.0)
    assert len(timer.sample) == 1000
    assert timer.percentile(0.5) == pytest.approx(5000, abs=600)
    assert Timer(10, random.Random(1), sample=[1.0, 2.0, 3.0, 4.0]).percentile(0.5) == 3.0


@pytest.fixture
def statsd(collector_context):
    made = Statsd(Config(listen="127.0.0.1:0"), collector_context)
    yield made
    made.close()


def send(statsd, *packets):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for packet in packets:
            sender.sendto(packet, ("127.0.0.1", statsd.port))
    want = sum(packet.count(b"\n") + 1 for packet in packets)
    until_s = time.monotonic() + 10
    while statsd._tally.lines + statsd._bad_lines < want:
        assert time.monotonic() < until_s, "the packets arrive"


async def test_what_programs_send_is_recorded_once_a_tick(statsd, collector_context):
    send(statsd, b"jobs:1|c|#site:berlin\njobs:3|c|#site:berlin", b"reply:200|ms\nreply:400|ms", b"users:a|s\nrubbish")
    collector_context.clock.advance(2.0)
    values = (await collect(statsd)).values
    assert values['jobs_per_s{site="berlin"}'] == 2.0
    assert values['reply_s{statistic="mean"}'] == 0.3
    assert values['reply_s{statistic="max"}'] == 0.4
    assert values["reply_count"] == 2.0
    assert values["users_count"] == 1.0
    assert (values["statsd_lines_total"], values["statsd_bad_lines_total"]) == (5, 1)
    collector_context.clock.advance(1.0)
    assert set((await collect(statsd)).names) == {
        "statsd_lines_total",
        "statsd_bad_lines_total",
        "statsd_left_out_lines_total",
    }


async def test_it_keeps_the_contract_of_collectors(collector_context):
    await check_collector(Statsd, Config(listen="127.0.0.1:0"), context=collector_context)


async def test_an_address_in_use_is_an_error_in_words(statsd, collector_context):
    with pytest.raises(CollectError, match=r"cannot listen on .* Address already in use"):
        Statsd(Config(listen=f"127.0.0.1:{statsd.port}"), collector_context)
