"""The messages behind tests/golden/protocol: what each pair of files there stands for.

`python tests/support/golden_messages.py` writes the files anew. That is a change of the wire format: see "Versions and
compatibility" in docs/protocol.md first.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

from agent.protocol.codec import Codec, Encoding
from agent.protocol.messages import (
    Ack,
    BatchMessage,
    Bye,
    EventMessage,
    GapMessage,
    Hello,
    Message,
    Nack,
    SeriesDefinition,
    SeriesMessage,
    Welcome,
)

__all__ = ["FOLDER", "MESSAGES"]

FOLDER = Path(__file__).parents[1] / "golden" / "protocol"

LARGEST = 2**63 - 1
TIME_NS = 1_700_000_000_500_000_000


def uint32(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def float64(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}d", *numbers)


def float32(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


MESSAGES: dict[str, Message] = {
    "hello": Hello(
        version=1, agent="web1", epoch="7f3a", next_seq=1, agent_version="0.1.0", labels={"dc": "north", "rack": "ä7"}
    ),
    "hello-least": Hello(version=1, agent="a", epoch="e", next_seq=LARGEST),
    "hello-two-versions": Hello(version=2, min_version=1, agent="web1", epoch="7f3b", next_seq=7),
    "welcome": Welcome(
        version=1,
        last_seq=41,
        window_batches=64,
        window_bytes=1_048_576,
        max_frame_bytes=1_048_576,
        server_time_ns=TIME_NS,
    ),
    "welcome-nothing-stored": Welcome(
        version=1, last_seq=0, window_batches=1, window_bytes=1, max_frame_bytes=1024, server_time_ns=0
    ),
    "series": SeriesMessage(
        series=[
            SeriesDefinition(id=1, name="load_1m"),
            SeriesDefinition(
                id=2**32 - 1, name="net_bytes", labels={"if": "eth0", "way": "in"}, unit="bytes", kind="rate"
            ),
            SeriesDefinition(id=3, name="requests", labels={"path": '/"ü"\\'}, unit="", kind="counter"),
        ]
    ),
    "series-none": SeriesMessage(series=[]),
    "batch": BatchMessage(
        seq=1,
        time_ns=TIME_NS,
        ids=uint32(1, 2, 2**32 - 1),
        values=float64(0.42, -1e300, 5e-324),
        flags=bytes([0, 1, 3]),
        weights=float64(1.0, 2.5, 1000.0),
    ),
    "batch-sampled": BatchMessage(
        seq=4,
        time_ns=TIME_NS,
        ids=uint32(1, 2, 3),
        values=float64(0.42, 1.0, 2.0),
        flags=bytes([16, 17, 8]),
        weights=float64(12.0, 1.0, 20.0),
        bounds=float32(0.1, 0.0, math.nan),
    ),
    "batch-plain": BatchMessage(seq=2, time_ns=TIME_NS, ids=uint32(7), values=float64(0.1)),
    "batch-not-a-number": BatchMessage(seq=3, time_ns=TIME_NS, ids=uint32(1, 2), values=float64(math.nan, 1.0)),
    "batch-empty": BatchMessage(seq=LARGEST, time_ns=LARGEST, ids=b"", values=b""),
    "event": EventMessage(
        seq=4,
        time_ns=TIME_NS,
        kind="breaker.opened",
        component="sink:hub",
        level="warning",
        detail={"failures": 3, "open_s": 1.5, "reason": "connection lost", "probe": False, "before": None},
    ),
    "event-least": EventMessage(seq=5, time_ns=0, kind="k", component="c"),
    "gap": GapMessage(seq=6, from_ns=TIME_NS, to_ns=TIME_NS + 10**9, points=2**53, reason="overflow"),
    "gap-lanes": GapMessage(
        seq=7, from_ns=TIME_NS, to_ns=TIME_NS, points=12, reason="sampled", lanes={"normal": 4, "bulk": 7}
    ),
    "ack": Ack(seq=43),
    "ack-largest": Ack(seq=LARGEST),
    "nack": Nack(seq=42, reason="disk full", retry_after_s=2.5),
    "bye-agent": Bye(reason="the agent stops", seq=44),
    "bye-hub": Bye(reason="the hub restarts", retry_after_s=1.0),
    "bye-least": Bye(),
}


def write() -> None:
    """Write every file."""
    for name, message in MESSAGES.items():
        for encoding in Encoding:
            frame = Codec(encoding, compress=False).encode(message)
            (FOLDER / f"{name}.{encoding.value}").write_bytes(frame.encode() if isinstance(frame, str) else frame)


if __name__ == "__main__":
    write()
