"""Do the breaker's tests notice when the breaker is wrong? Changes it in one place at a time and runs them.

    python tests/mutation/mutate.py            all changes, some minutes
    python tests/mutation/mutate.py --short    a fixed sample, some two minutes

Exit code 0 when at least 95 % of the changes were noticed, 90 % of the sample. A change that makes the
tests hang counts as noticed: when they take three times as long as on the unchanged program.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import CodeType, ModuleType

import hypothesis.stateful  # noqa: F401 - imported once here instead of once for each mutant
import pytest
import structlog.testing  # noqa: F401 - as above
from mutants import Mutant, mutants_of

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests" / "unit" / "resilience" / "breaker"
FIRST = {
    "circuit": ("closed", "half_open", "open"),
    "controlled_circuit": ("by_hand", "restart", "listeners"),
    "breaker": ("closed", "quiet_path", "blocks"),
    "permit": ("closed", "blocks"),
    "guard": ("decorator",),
    "lock_free_count": ("quiet_path", "closed"),
    "window": ("closed", "windows"),
    "backoff": ("open",),
    "verdict": ("predicates",),
    "breaker_events": ("listeners",),
    "breaker_state": ("restart", "closed"),
    "breaker_settings": ("settings", "half_open"),
    "registry": ("registry",),
    "websocket_breaker": ("websocket_breaker",),
}
"""Which tests are asked first: those that know the module best. Most mutants get no further."""

LAST = ("machine", "threads")
"""The slow ones come last."""

NOTICED_GOAL = 0.95
SAMPLE_GOAL = 0.90
"""Of samples of some 45, fewer than one in a hundred falls below this by chance while 97.5 % of all are noticed (98 % are).
What is not makes no difference: `<=` for `<` where the slow way round comes to the same, or a nanosecond."""
MIN_TIME_LIMIT_S = 20.0


class ImportsMutant(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the changed module instead of the one on disk."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.mutant.module else None

    def exec_module(self, module: ModuleType) -> None:
        code: CodeType = compile(self.mutant.source, f"<mutant of {module.__name__}>", "exec")
        exec(code, module.__dict__)


def all_mutants() -> list[Mutant]:
    found = []
    for name in FIRST:
        source = (ROOT / "agent" / "resilience" / f"{name}.py").read_text()
        found += mutants_of(f"agent.resilience.{name}", source)
    return found


def is_noticed(mutant: Mutant, limit_s: float) -> bool:
    """Run the tests on the mutant in a process of its own, for so many seconds at most."""
    child = os.fork()
    if child == 0:
        os._exit(run_tests(mutant, limit_s))
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status != 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def run_tests(mutant: Mutant, limit_s: float) -> int:
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(devnull, stream)
    os.setsid()
    sys.meta_path.insert(0, ImportsMutant(mutant))
    first = FIRST.get(mutant.module.rpartition(".")[2], ())
    known = tests_by_word()
    rest = [word for word in known if word not in first]
    return ask([known[word] for word in first], limit_s) or ask([known[word] for word in rest], limit_s)


def tests_by_word() -> dict[str, str]:
    """The test files, the slow ones last: `half_open` is test_breaker_half_open.py."""
    known = {file.stem.removeprefix("test_").removeprefix("breaker_"): str(file) for file in TESTS.glob("test_*.py")}
    return {word: known[word] for word in sorted(known, key=lambda word: (word in LAST, word))}


def ask(files: Sequence[str], limit_s: float) -> int:
    """Run these tests up to the first failure; pytest's exit code."""
    options = ["-x", "-q", "--no-header", "--assert=plain", f"--timeout={limit_s}", "--hypothesis-seed=1"]
    options.append(f"--rootdir={ROOT}")
    return int(pytest.main([*options, *files])) if files else 0


def main() -> int:
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = tempfile.mkdtemp(prefix="mutation-")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a fixed sample, under a minute")
    parser.add_argument("--only", default="", help="one module: circuit, window, ...")
    arguments = parser.parse_args()
    mutants = [mutant for mutant in all_mutants() if arguments.only in ("", mutant.module.rpartition(".")[2])]
    if arguments.short:
        mutants = mutants[:: max(1, len(mutants) // 45)]
    began_s = time.monotonic()
    if is_noticed(Mutant("none", 0, "unchanged", ""), 600.0):
        print("the tests fail on the unchanged program")
        return 1
    unchanged_s = time.monotonic() - began_s
    print(f"{len(mutants)} mutants; the tests pass on the unchanged program in {unchanged_s:.0f} s", flush=True)
    ask_each = partial(is_noticed, limit_s=max(MIN_TIME_LIMIT_S, 3 * unchanged_s))
    noticed = 0
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        for mutant, is_dead in zip(mutants, pool.imap(ask_each, mutants), strict=True):
            noticed += is_dead
            if not is_dead:
                print(f"survived  {mutant.module}:{mutant.line}  {mutant.change}", flush=True)
    ratio = noticed / len(mutants)
    goal = SAMPLE_GOAL if arguments.short else NOTICED_GOAL
    print(f"{noticed} of {len(mutants)} noticed, {100 * ratio:.1f} % (goal {100 * goal:.0f} %)")
    return 0 if ratio >= goal else 1


if __name__ == "__main__":
    sys.exit(main())
