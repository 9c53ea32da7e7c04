"""Histories to replay."""

from __future__ import annotations

import numpy as np

from agent.model import Series
from agent.replay.csv_history import CsvHistory

ROWS = 400
JUMP_ROW = 300


def history(columns, step_s=60.0, start_s=1_780_000_000.0):
    """Named columns of equal length, a row each `step_s` seconds."""
    series = tuple(name if isinstance(name, Series) else Series(name) for name in columns)
    values = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns.values()])
    return CsvHistory(series, start_s + step_s * np.arange(len(values)), values, 0)


def jumping(seed=5, rows=ROWS):
    """Noise round 50 that stands at 80 from `JUMP_ROW` on."""
    noise = np.random.default_rng(seed).normal(50.0, 1.0, rows)
    noise[JUMP_ROW:] += 30.0
    return noise
