"""What a daemon does before it imports anything large: it keeps out what it never uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

__all__ = ["start_lean"]

RENDERS_FOR_PEOPLE = ("rich", "better_exceptions", "greenlet")
"""structlog imports these where they are installed: 4 MiB for pictures of tracebacks that a daemon never draws."""


def start_lean(environ: MutableMapping[str, str]) -> None:
    """Import structlog without its guests, and tell BLAS that one thread is enough.

    Call it first: what is imported already stays as it is.

    Args:
        environ: The process's environment; a setting of the user's own is left alone.
    """
    environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if "structlog" not in sys.modules:
        with _absent(RENDERS_FOR_PEOPLE):
            import structlog  # noqa: F401 - imported for its side effect of being there


@contextmanager
def _absent(names: tuple[str, ...]) -> Iterator[None]:
    """While this holds, importing one of these fails as if it were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is how the import system marks "not there"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
