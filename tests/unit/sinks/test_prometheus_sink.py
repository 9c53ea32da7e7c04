"""What a scrape reads, by HTTP, parsed by Prometheus' own parser."""

from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sink_context import SinkContext, batch

from agent.errors import ConfigError
from plugins.sinks.prometheus import Config
from plugins.sinks.prometheus.sink import PrometheusSink

NS = 1_000_000_000


@pytest.fixture
async def sink():
    made = PrometheusSink(Config(listen="127.0.0.1:0", stale_s=60.0), SinkContext())
    yield made
    await made.close()


def scraped(sink):
    with urlopen(f"http://127.0.0.1:{sink.port}/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {(s.name, tuple(sorted(s.labels.items()))): (f.type, s.value) for f in families for s in f.samples}


async def test_a_scrape_shows_the_newest_value_of_each_series(sink):
    now_ns = sink._context.clock.wall_ns()
    await sink.deliver([batch({1: 0.5, 2: 0.25, 3: 7.0}, now_ns - NS), batch({1: 0.75}, now_ns)], 1)
    assert scraped(sink) == {
        ("load_1m", ()): ("gauge", 0.75),
        ("cpu_idle_ratio", (("cpu", "0"),)): ("gauge", 0.25),
        ("http_requests_total", (("code", "200"),)): ("counter", 7.0),
    }


async def test_what_comes_late_does_not_replace_what_is_newer(sink):
    now_ns = sink._context.clock.wall_ns()
    await sink.deliver([batch({1: 2.0}, now_ns)], 1)
    await sink.deliver([batch({1: 1.0}, now_ns - 5 * NS)], 2)
    assert scraped(sink)["load_1m", ()] == ("gauge", 2.0)


async def test_a_series_without_new_values_goes_away(sink):
    await sink.deliver([batch({1: 2.0}, sink._context.clock.wall_ns())], 1)
    sink._context.clock.advance(61.0)
    assert scraped(sink) == {}


async def test_a_port_in_use_is_one_clear_line(sink):
    with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1:\d+: Address already in use"):
        PrometheusSink(Config(listen=f"127.0.0.1:{sink.port}"), SinkContext())


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ValueError, match="must be host:port"):
        Config(listen="9273")
