"""What went wrong, said in a line each, and the exit code that it means."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from agent.errors import ConfigError, LoadError, RebellionError

__all__ = ["BAD_CONFIGURATION", "FAILURE", "complain"]

FAILURE = 1
BAD_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h; the units do not restart after it."""


def complain(error: Exception) -> int:
    """Print what went wrong; the exit code that it means. What is no error of use is a defect and keeps its traceback."""
    leaves = list(_leaves(error))
    if not all(isinstance(leaf, RebellionError | OSError) for leaf in leaves):
        raise error
    for leaf in leaves:
        problems = leaf.problems if isinstance(leaf, ConfigError) else [leaf]
        for problem in problems:
            sys.stderr.write(f"rebellion: {' '.join(str(problem).split())}\n")
    is_configuration = any(isinstance(leaf, ConfigError | LoadError) for leaf in leaves)
    return BAD_CONFIGURATION if is_configuration else FAILURE


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
