"""Write requests, read back by Google's protobuf from the published message definitions."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from http_receiver import Answer, HttpReceiver
from sink_context import IDLE, LOAD, REQUESTS, SinkContext, batch

from agent.errors import PermanentDelivery
from agent.model import Event
from plugins.sinks.remote_write import Config
from plugins.sinks.remote_write.sink import RemoteWrite

cramjam = pytest.importorskip("cramjam")

LABEL = ("Label", [("name", 1, "string"), ("value", 2, "string")])
SAMPLE = ("Sample", [("value", 1, "double"), ("timestamp", 2, "int64")])
METADATA_1 = (
    "MetricMetadata",
    [("type", 1, "int32"), ("metric_family_name", 2, "string"), ("help", 4, "string"), ("unit", 5, "string")],
)
METADATA_2 = ("Metadata", [("type", 1, "int32"), ("help_ref", 3, "uint32"), ("unit_ref", 4, "uint32")])
VERSION_1 = [
    LABEL,
    SAMPLE,
    METADATA_1,
    ("TimeSeries", [("labels", 1, "*Label"), ("samples", 2, "*Sample")]),
    ("Request", [("timeseries", 1, "*TimeSeries"), ("metadata", 3, "*MetricMetadata")]),
]
VERSION_2 = [
    SAMPLE,
    METADATA_2,
    ("TimeSeries", [("labels_refs", 1, "*uint32"), ("samples", 2, "*Sample"), ("metadata", 5, "Metadata")]),
    ("Request", [("symbols", 4, "*string"), ("timeseries", 5, "*TimeSeries")]),
]
TYPES = {"double": 1, "int64": 3, "int32": 5, "string": 9, "uint32": 13}
A_MESSAGE = 11


def request_class(package, messages):
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages:
        made = file.message_type.add(name=name)
        for field, number, kind in fields:
            bare = kind.removeprefix("*")
            made.field.add(
                name=field,
                number=number,
                label=3 if kind.startswith("*") else 1,
                type=TYPES.get(bare, A_MESSAGE),
                type_name=None if bare in TYPES else f".{package}.{bare}",
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Request"))


REQUEST = {"1.0": request_class("write1", VERSION_1), "2.0": request_class("write2", VERSION_2)}


@pytest.fixture
def receiver():
    with HttpReceiver() as made:
        yield made


async def sent(receiver, version, records, **labels):
    sink = RemoteWrite(Config(url=receiver.url, version=version), SinkContext(**labels))
    await sink.deliver(records, 1)
    await sink.close()
    request = receiver.requests[-1]
    return request, REQUEST[version].FromString(bytes(cramjam.snappy.decompress_raw(request.body)))


RECORDS = [
    batch({1: 0.5, 2: 0.25}, 1_700_000_000_500_000_000),
    Event(0, "breaker.opened", "sink:hub"),
    batch({1: 0.75, 3: 7.0}, 1_700_000_001_500_000_000),
]


async def test_version_1_holds_every_point_by_series_with_sorted_labels(receiver):
    request, told = await sent(receiver, "1.0", RECORDS, site="berlin")
    assert request.headers["content-encoding"] == "snappy"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["x-prometheus-remote-write-version"] == "0.1.0"
    series = {
        tuple((label.name, label.value) for label in one.labels): [(s.timestamp, s.value) for s in one.samples]
        for one in told.timeseries
    }
    own = (("instance", "web1"), ("site", "berlin"))
    assert series == {
        (("__name__", LOAD.name), *own): [(1_700_000_000_500, 0.5), (1_700_000_001_500, 0.75)],
        (("__name__", IDLE.name), ("cpu", "0"), *own): [(1_700_000_000_500, 0.25)],
        (("__name__", REQUESTS.name), ("code", "200"), *own): [(1_700_000_001_500, 7.0)],
    }
    metadata = {one.metric_family_name: (one.type, one.unit) for one in told.metadata}
    assert metadata == {LOAD.name: (2, ""), IDLE.name: (2, "ratio"), REQUESTS.name: (1, "")}


async def test_version_2_names_each_text_once(receiver):
    request, told = await sent(receiver, "2.0", RECORDS)
    assert request.headers["content-type"] == "application/x-protobuf;proto=io.prometheus.write.v2.Request"
    assert request.headers["x-prometheus-remote-write-version"] == "2.0.0"
    assert told.symbols[0] == ""
    assert len(set(told.symbols)) == len(told.symbols)
    idle = told.timeseries[1]
    words = [told.symbols[one] for one in idle.labels_refs]
    assert words == ["__name__", IDLE.name, "cpu", "0", "instance", "web1"]
    assert (idle.metadata.type, told.symbols[idle.metadata.unit_ref]) == (2, "ratio")
    assert [(s.timestamp, s.value) for s in idle.samples] == [(1_700_000_000_500, 0.25)]


async def test_events_alone_are_not_sent(receiver):
    sink = RemoteWrite(Config(url=receiver.url), SinkContext())
    await sink.deliver([Event(0, "breaker.opened", "sink:hub")], 1)
    assert receiver.requests == []


async def test_a_series_label_wins_over_the_hosts_and_the_agents_name_may_be_left_out(receiver):
    sink = RemoteWrite(Config(url=receiver.url, host_label=""), SinkContext(cpu="host", site=""))
    await sink.deliver([batch({2: 1.0})], 1)
    told = REQUEST["1.0"].FromString(bytes(cramjam.snappy.decompress_raw(receiver.requests[0].body)))
    labels = {label.name: label.value for label in told.timeseries[0].labels}
    assert labels == {"__name__": IDLE.name, "cpu": "0"}


async def test_a_refusal_is_told_in_the_words_of_the_other_end(receiver):
    receiver.always = Answer(400, b"out of order sample")
    sink = RemoteWrite(Config(url=receiver.url), SinkContext())
    with pytest.raises(PermanentDelivery, match="out of order sample"):
        await sink.deliver([batch({1: 0.5})], 1)
