"""What a daemon does before it imports anything large: it keeps out what it never uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress

__all__ = ["give_back_free_memory", "share_one_heap", "start_lean"]

RENDERS_FOR_PEOPLE = ("rich", "better_exceptions", "greenlet")
"""structlog imports these where they are installed: 4 MiB for pictures of tracebacks that a daemon never draws."""


_M_ARENA_MAX = -8


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


def share_one_heap(environ: Mapping[str, str]) -> None:
    """Let all threads take memory from one heap, where the C library is glibc: 1 MiB less of holes.

    Each thread would have a heap of its own, so that they need not wait for each other; under the interpreter's lock they rarely
    take memory at the same moment. Call it before the first thread; ctypes is imported by numpy anyway, where it runs.

    Args:
        environ: The process's environment; a setting of the user's own is left alone.
    """
    import ctypes

    if "MALLOC_ARENA_MAX" not in environ:
        with suppress(AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def give_back_free_memory() -> None:
    """Return to the kernel what the start took and needs no more, where the C library is glibc: 0.7 MiB, in a millisecond."""
    import ctypes

    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


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
