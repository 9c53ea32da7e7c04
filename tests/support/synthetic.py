"""A collector whose every point is a function of (run, tick, series), and which writes down each tick that it made."""

from __future__ import annotations

from pathlib import Path

__all__ = ["RUN_STEP", "SERIES_STEP", "made_ticks", "write_plugin"]

RUN_STEP = 1 << 24
"""The first tick of run r has the number r * RUN_STEP + 1."""
SERIES_STEP = 1 / 4096
"""Series i adds i * SERIES_STEP to the tick's number; exact in a double."""

_PLUGIN = '''
import os, time
from agent.api import hookimpl

JOURNAL, COUNT, RUN_STEP, SERIES_STEP = {journal!r}, {count}, {run_step}, {series_step}

class Synthetic:
    """On the event loop, so that a tick cannot be over before it has answered."""
    def __init__(self, config, context):
        self.series = [context.series("synthetic", labels={{"n": str(n)}}) for n in range(COUNT)]
        self.journal = os.open(JOURNAL, os.O_CREAT | os.O_APPEND | os.O_RDWR)
        lines = os.pread(self.journal, os.fstat(self.journal).st_size, 0).split(b"\\n")
        last = int(lines[-2].split()[0]) if len(lines) > 1 else 0
        self.tick = (last // RUN_STEP + 1) * RUN_STEP
    async def collect(self, out):
        self.tick += 1
        os.write(self.journal, b"%d %.6f %.6f\\n" % (self.tick, time.monotonic(), time.time()))
        for n, series in enumerate(self.series):
            out.add(series, self.tick + n * SERIES_STEP)

@hookimpl
def rebellion_register_collectors(register):
    register("synthetic", Synthetic)
'''


def write_plugin(folder: Path, journal: Path, series_count: int) -> None:
    """Put the collector into a folder of plugins."""
    folder.mkdir(exist_ok=True)
    text = _PLUGIN.format(journal=str(journal), count=series_count, run_step=RUN_STEP, series_step=SERIES_STEP)
    (folder / "synthetic.py").write_text(text)


def made_ticks(journal: Path) -> list[tuple[int, float, float]]:
    """Number, monotonic and wall seconds of each tick, in their order."""
    if not journal.exists():
        return []
    rows = [line.split() for line in journal.read_text().split("\n")[:-1]]
    return [(int(number), float(monotonic_s), float(wall_s)) for number, monotonic_s, wall_s in rows]
