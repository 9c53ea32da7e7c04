from __future__ import annotations

import struct

import numpy as np

from agent.model import Batch, Event, Gap, Kind, Level, Series
from agent.protocol.codec import Codec, Encoding, unpack_floats, unpack_ids
from agent.protocol.messages import BatchMessage, EventMessage, GapMessage
from agent.protocol.records import definition_message, record_message


def test_a_batch_keeps_ids_values_flags_weights_and_bounds():
    batch = Batch(
        5,
        1.0,
        np.array([3, 4], np.uint32),
        np.array([0.5, -1.0]),
        np.array([0, 1], np.uint8),
        np.array([1.0, 9.0]),
        np.array([0.0, 0.25], np.float32),
    )
    message = record_message(batch, 12)
    assert isinstance(message, BatchMessage)
    assert (message.seq, message.time_ns, message.points, message.flags) == (12, 5, 2, b"\x00\x01")
    assert unpack_ids(message.ids) == (3, 4)
    assert unpack_floats(message.values) == (0.5, -1.0)
    assert unpack_floats(message.weights or b"") == (1.0, 9.0)
    assert message.bounds == struct.pack("<2f", 0.0, 0.25)


def test_a_gap_keeps_its_stretch_its_count_and_its_lanes():
    lanes = {"normal": 10, "bulk": 20}
    assert record_message(Gap(1, 2, 30, "sampled", lanes), 4) == GapMessage(
        seq=4, from_ns=1, to_ns=2, points=30, reason="sampled", lanes=lanes
    )


def test_an_event_with_text_and_numbers_the_wire_cannot_carry_is_cut_to_fit():
    detail = {"path": "/tmp/\udcff", "long": "x" * 5000, "huge": 2**80, "vast": 10**400, "plain": 1.5}
    message = record_message(Event(7, "disk.failed", "collector:disk", Level.ERROR, detail), 1)
    assert isinstance(message, EventMessage)
    assert message.detail["path"] == "/tmp/?"
    assert len(str(message.detail["long"])) == 1024
    assert message.detail["huge"] == float(2**80)
    assert isinstance(message.detail["vast"], str)
    for encoding in Encoding:
        codec = Codec(encoding)
        assert isinstance(codec.decode(codec.encode(message)), EventMessage)


def test_a_definition_says_what_the_series_is():
    series = Series("disk_read_bytes", (("device", "sd\udcffa"),), "bytes/s", Kind.RATE)
    definition = definition_message(9, series)
    assert (definition.id, definition.name, definition.unit, definition.kind) == (
        9,
        "disk_read_bytes",
        "bytes/s",
        "rate",
    )
    assert definition.labels == {"device": "sd?a"}
