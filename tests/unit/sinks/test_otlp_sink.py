"""What OpenTelemetry's own message classes read in a request."""

import gzip

import pytest
from http_receiver import Answer, HttpReceiver
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from sink_context import SinkContext, batch

from agent.model import Event
from plugins.sinks.otlp import Config
from plugins.sinks.otlp.sink import OtlpSink


@pytest.fixture
def receiver():
    with HttpReceiver() as made:
        yield made


async def sent(receiver, context, **keys):
    sink = OtlpSink(Config(url=receiver.url, **keys), context)
    records = [batch({1: 0.5, 2: 0.25, 3: 7.0}), Event(0, "breaker.opened", "sink:hub"), batch({1: 0.75})]
    await sink.deliver(records, 1)
    await sink.close()
    return receiver.requests[-1]


async def test_a_group_is_one_request_that_opentelemetry_reads(receiver):
    request = await sent(receiver, SinkContext(site="berlin"))
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["content-encoding"] == "gzip"
    told = ExportMetricsServiceRequest.FromString(gzip.decompress(request.body))
    (of_host,) = told.resource_metrics
    resource = {one.key: one.value.string_value for one in of_host.resource.attributes}
    assert resource == {"host.name": "web1", "site": "berlin"}
    load, idle, requests = of_host.scope_metrics[0].metrics
    assert [point.as_double for point in load.gauge.data_points] == [0.5, 0.75]
    assert (idle.name, idle.unit) == ("cpu_idle_ratio", "1")
    (point,) = idle.gauge.data_points
    assert point.time_unix_nano == 1_700_000_000_500_000_000
    assert [(one.key, one.value.string_value) for one in point.attributes] == [("cpu", "0")]
    assert requests.sum.is_monotonic
    assert requests.sum.aggregation_temporality == 2
    assert [point.as_double for point in requests.sum.data_points] == [7.0]


async def test_a_body_need_not_be_compressed(receiver):
    request = await sent(receiver, SinkContext(), compress=False)
    assert "content-encoding" not in request.headers
    assert ExportMetricsServiceRequest.FromString(request.body).resource_metrics


async def test_what_the_other_end_took_in_part_only_is_an_event(receiver):
    answer = ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points = 3
    answer.partial_success.error_message = "too old"
    receiver.always = Answer(200, answer.SerializeToString())
    context = SinkContext()
    await sent(receiver, context)
    assert context.events == [("points.refused", {"points": 3, "reason": "too old"})]


async def test_an_answer_that_is_no_message_is_as_good_as_none(receiver):
    receiver.always = Answer(200, b"{}!")
    context = SinkContext()
    await sent(receiver, context)
    assert context.events == []
