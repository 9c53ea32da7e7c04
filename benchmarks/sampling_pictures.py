"""Draws `docs/sampling/NAME.svg`: one made-up series of 600 points, and the 60 that each strategy keeps of it.

python benchmarks/sampling_pictures.py [--out docs/sampling]
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from agent.builtin import BUILTIN, load_builtin
from agent.contracts import Block, Kept

SIZE = 600
BUDGET = 60
WIDTH, HEIGHT, MARGIN = 720, 200, 12
EXCEPTIONAL = (140, 141, 420)
STYLE = """
  .all { fill: none; stroke: #9aa7b5; stroke-width: 1 }
  .drawn { fill: none; stroke: #c2410c; stroke-width: 1.6 }
  .kept { fill: #c2410c }
  text { font: 13px sans-serif; fill: #64748b }
"""


def series() -> np.ndarray:
    """Calm, two exceptional points, a step, a slow wave, one more exceptional point, a decay."""
    steps, noise = np.arange(SIZE), np.random.default_rng(4).normal(scale=0.25, size=SIZE)
    values = 2 + noise + np.where(steps > 220, 3.0, 0.0) + np.where(steps > 300, np.sin(steps / 25), 0.0)
    values[np.array(EXCEPTIONAL)] += (6.0, 5.0, -6.0)
    values[480:] = values[480:] * np.exp(-(steps[480:] - 480) / 60)
    return values


def block_of(values: np.ndarray) -> Block:
    flags = np.zeros(SIZE, bool)
    flags[np.array(EXCEPTIONAL)] = True
    times, ids = np.arange(SIZE, dtype=np.float64), np.zeros(SIZE, np.uint32)
    return Block(times, ids, values, flags.astype(np.int64), flags, np.ones(SIZE))


def picture(name: str, values: np.ndarray, kept: Kept) -> str:
    low, high = float(values.min()), float(values.max())
    shown = values[kept.index] if kept.values is None else kept.values

    def places(x: np.ndarray, y: np.ndarray) -> list[str]:
        across = MARGIN + x / (SIZE - 1) * (WIDTH - 2 * MARGIN)
        down = HEIGHT - MARGIN - (y - low) / (high - low) * (HEIGHT - 3 * MARGIN)
        return [f"{a:.1f},{d:.1f}" for a, d in zip(across, down, strict=True)]

    dots = "".join(
        '<circle class="kept" cx="{}" cy="{}" r="2.4"/>'.format(*p.split(",")) for p in places(kept.index, shown)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n'
        f"<title>{name}: {len(kept.index)} of {SIZE} points</title><style>{STYLE}</style>\n"
        f'<polyline class="all" points="{" ".join(places(np.arange(SIZE), values))}"/>\n'
        f'<polyline class="drawn" points="{" ".join(places(kept.index, shown))}"/>\n{dots}\n'
        f'<text x="{MARGIN}" y="{MARGIN + 4}">{name}: {len(kept.index)} of {SIZE} points</text>\n</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "docs" / "sampling")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    values = series()
    for name in BUILTIN["sampling"]:
        registration = load_builtin("sampling", name)
        context = SimpleNamespace(name=name, rng=random.Random(3))
        sampler = registration.factory(registration.config and registration.config(), context)
        (folder / f"{name}.svg").write_text(picture(name, values, sampler.keep(block_of(values), BUDGET)))
    print(f"{len(BUILTIN['sampling'])} pictures in {folder}")


if __name__ == "__main__":
    main()
