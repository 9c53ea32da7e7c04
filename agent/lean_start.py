"""What a daemon does before it imports anything large: it keeps out what it never uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

__all__ = ["give_back_free_memory", "keep_heap_small", "put_off_imports", "start_lean"]

RENDERS_FOR_PEOPLE = ("rich", "better_exceptions", "greenlet")
"""structlog imports these where they are installed: 4 MiB for pictures of tracebacks that a daemon never draws."""

LOADED_WHEN_USED = frozenset(
    {
        "asyncio.sslproto",
        "bz2",
        "email.utils",
        "importlib.metadata",
        "lzma",
        "msgspec.inspect",
        "numpy._core._add_newdocs",
        "numpy._core._add_newdocs_scalars",
        "numpy._core._dtype_ctypes",
        "numpy._core._internal",
        "structlog.stdlib",
        "structlog.threadlocal",
        "urllib.request",
    }
)
"""Others import these for what is seldom asked of them (archives, proxies, schemas, docstrings of C): 2.6 MiB of an agent."""

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 128 * 1024


def put_off_imports() -> None:
    """Let modules that others import in vain load when something in them is first used; what is imported already stays so."""
    if not any(isinstance(finder, _PutOff) for finder in sys.meta_path):
        sys.meta_path.insert(0, _PutOff())


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


def keep_heap_small(environ: Mapping[str, str]) -> None:
    """Let all threads share one heap, and keep large blocks out of it, where the C library is glibc: 1.3 MiB less of holes.

    Each thread would have a heap of its own, so that they need not wait for each other; under the interpreter's lock they rarely
    take memory at the same moment. And glibc would raise the size from which a block is given back when it is freed. Call it
    before the first thread; ctypes is imported by numpy anyway, where it runs.

    Args:
        environ: The process's environment; a setting of the user's own is left alone.
    """
    import ctypes

    with suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        if "MALLOC_ARENA_MAX" not in environ:
            mallopt(_M_ARENA_MAX, 1)
        if "MALLOC_MMAP_THRESHOLD_" not in environ:
            mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


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


class _PutOff:
    """Finds the modules that are to be loaded at the first use of anything in them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where the module is, with a loader that waits; None for any other module."""
        if name not in LOADED_WHEN_USED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec
