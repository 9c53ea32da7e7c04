"""Fills an agent's spool with the records of an earlier run, as many bytes as one likes."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np

from agent.delivery.spool_codec import encode, encode_series
from agent.delivery.spool_file import SpoolFile
from agent.model import Batch, Series
from agent.protocol.records import definition_message

__all__ = ["fill"]

SERIES_COUNT = 2000
_AT_ONCE = 256
_RUN = "an-earlier-run"


def fill(folder: Path, size_bytes: int) -> int:
    """Write whole records of 2,000 series until there are so many bytes of them; how many there are."""
    rng = np.random.default_rng(random.Random(1).getrandbits(32))
    ids = np.arange(SERIES_COUNT, dtype=np.uint32)
    definitions = [definition_message(n, Series("earlier", (("n", str(n)),))) for n in range(SERIES_COUNT)]
    file = SpoolFile(folder)
    file.open()
    series = [encode_series(definitions, _RUN)]
    now_ns = time.time_ns()
    models = [encode(Batch(now_ns, 0.0, ids, rng.random(SERIES_COUNT)), 1, now_ns, _RUN) for _ in range(16)]
    while file.totals.bytes < size_bytes:
        first = file.last_id + 1
        file.append([models[n % 16]._replace(id=first + n) for n in range(_AT_ONCE)], [], series)
        series = []
    file.close()
    return file.totals.records
