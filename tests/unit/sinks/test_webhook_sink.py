import json

import pytest
from http_receiver import HttpReceiver
from sink_context import SinkContext, batch

from agent.model import Event, Level
from plugins.sinks.webhook import Config
from plugins.sinks.webhook.sink import WebhookSink


@pytest.fixture
def receiver():
    with HttpReceiver() as made:
        yield made


def event(kind, level, component="collector:cpu"):
    return Event(1_700_000_001_000_000_000, kind, component, level, {"failures": 3})


async def told(receiver, records, **keys):
    await WebhookSink(Config(url=receiver.url, **keys), SinkContext()).deliver(records, 1)
    return [entry["event"]["kind"] for request in receiver.requests for entry in json.loads(request.body)]


RECORDS = [
    event("agent.started", Level.INFO),
    batch({1: 0.5}),
    event("breaker.opened", Level.WARNING),
    event("collector.disabled", Level.ERROR),
    event("sink.failed", Level.ERROR, "sink:test"),
]


async def test_events_from_a_level_on_come_in_one_array(receiver):
    assert await told(receiver, RECORDS) == ["breaker.opened", "collector.disabled"]
    (request,) = receiver.requests
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body)[0] == {
        "agent": "web1",
        "time_s": 1_700_000_001.0,
        "event": {
            "kind": "breaker.opened",
            "component": "collector:cpu",
            "level": "warning",
            "detail": {"failures": 3},
        },
    }


async def test_kinds_are_chosen_by_pattern(receiver):
    assert await told(receiver, RECORDS, min_level="info", kinds=("agent.*", "breaker.opened")) == [
        "agent.started",
        "breaker.opened",
    ]


async def test_metrics_and_its_own_failures_are_not_sent(receiver):
    assert await told(receiver, [RECORDS[1], RECORDS[4]]) == []
    assert receiver.requests == []
