"""Scraping a real address."""

import pytest
from http_receiver import Answer, HttpReceiver

from agent.api import CollectError
from agent.model import Kind
from agent.testing.collector_suite import check_collector
from agent.testing.recorder import collect
from plugins.collectors.prometheus import Config
from plugins.collectors.prometheus.collector import Scrape

TEXT = b"""\
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{Code="200",method="post"} 1027 1395066363000
# TYPE job:temperature:max gauge
job:temperature:max 21.5
# TYPE reply_seconds histogram
reply_seconds_bucket{le="0.1"} 3
reply_seconds_bucket{le="+Inf"} 4
reply_seconds_sum 0.7
reply_seconds_count 4
nothing NaN
"""


@pytest.fixture
def receiver():
    with HttpReceiver() as made:
        made.always = Answer(200, TEXT)
        yield made


async def recorded(receiver, context, **keys):
    return await collect(Scrape(Config(url=receiver.url, **keys), context))


async def test_what_an_address_shows_is_recorded_under_its_names(receiver, collector_context):
    found = await recorded(receiver, collector_context, labels={"job": "web"})
    assert found.values == {
        'http_requests_total{code="200",job="web",method="post"}': 1027.0,
        'job_temperature_max{job="web"}': 21.5,
        'reply_seconds_sum{job="web"}': 0.7,
        'reply_seconds_count{job="web"}': 4.0,
    }
    kinds = {series.name: series.kind for series, _ in found.samples}
    assert kinds["http_requests_total"] is kinds["reply_seconds_sum"] is Kind.COUNTER
    assert kinds["job_temperature_max"] is Kind.GAUGE


async def test_it_keeps_its_contract(collector_context):
    text = b"# TYPE node_load1 gauge\nnode_load1 0.5\n"
    with HttpReceiver() as receiver:
        receiver.always = Answer(200, text)
        report = await check_collector(Scrape, Config(url=receiver.url), context=collector_context)
    assert report.last == {"node_load1": 0.5}


async def test_names_may_be_chosen_and_buckets_taken(receiver, collector_context):
    found = await recorded(receiver, collector_context, names=("reply_*",), with_buckets=True)
    assert found.names == {"reply_seconds_bucket", "reply_seconds_sum", "reply_seconds_count"}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(503), "503"),
        (Answer(200, b"<html>not metrics</html>"), "html"),
        (Answer(200, b"x 1\n" * 1000), "more than 1024 bytes"),
    ],
)
async def test_what_is_no_exposition_is_an_error_that_says_where(receiver, collector_context, answer, why):
    receiver.always = answer
    with pytest.raises(CollectError, match=rf"http://127\.0\.0\.1.*{why}"):
        await recorded(receiver, collector_context, max_bytes=1024)
