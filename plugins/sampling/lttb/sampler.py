"""Largest triangle, three buckets: the points that make a picture look right."""

from __future__ import annotations

import numpy as np

from agent.api import Block, Kept, PointFlag
from agent.numeric.allotment import allot, even_positions
from agent.numeric.compaction import course_of

__all__ = ["Lttb"]


class Lttb:
    """Keeps of each series the points that span the largest triangles from bucket to bucket.

    For pictures: it draws well, but bounds no error, and one bucket never gets more than one point however much happens in it.

    Source:
        S. Steinarsson, Downsampling time series for visual representation, University of Iceland, 2013, section 4.2.
    """

    method = PointFlag.SHAPED

    def keep(self, block: Block, budget: int, /) -> Kept:
        """At most `budget` points, each weighted with its bucket. One Python step a bucket."""
        if not len(block):
            return Kept(np.zeros(0, np.int64), np.zeros(0))
        course = course_of(block)
        starts = course.starts
        counts = allot(np.diff(starts), budget)
        chosen: list[int] = []
        weights: list[float] = []
        for start, stop, count in zip(starts[:-1].tolist(), starts[1:].tolist(), counts.tolist(), strict=True):
            if count:
                picks, edges = _picked(course.x[start:stop], course.y[start:stop], count)
                chosen += course.order[start:stop][picks].tolist()
                weights += np.add.reduceat(course.weights[start:stop], edges).tolist()
        index = np.array(chosen, np.int64)
        rising = np.argsort(index)
        return Kept(index[rising], np.array(weights)[rising])


def _picked(x: np.ndarray, y: np.ndarray, count: int) -> tuple[list[int], np.ndarray]:
    """The point of each bucket, and where each bucket starts; the first and the last point have buckets of their own."""
    size = len(x)
    if count == size or count < 3:
        edges = even_positions(np.array([0, size]), np.array([count]))
        return [*edges[1:].tolist(), size - 1] if count < size else edges.tolist(), edges
    inner = 1 + even_positions(np.array([0, size - 2]), np.array([count - 2]))
    edges = np.concatenate(([0], inner, [size - 1]))
    means = [(float(x[a:b].mean()), float(y[a:b].mean())) for a, b in zip(edges[1:], [*edges[2:], size], strict=True)]
    picks = [0]
    for number in range(1, count - 1):
        bucket, last = slice(edges[number], edges[number + 1]), picks[-1]
        mean_x, mean_y = means[number]
        area = np.abs((x[last] - mean_x) * (y[bucket] - y[last]) - (x[last] - x[bucket]) * (mean_y - y[last]))
        picks.append(int(edges[number]) + int(area.argmax()))
    return [*picks, size - 1], edges
