"""Prints a line for each case at the end of the run."""

import pytest
from fault_stage import Stage

LINES = pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[LINES] = []


@pytest.fixture
def report(request):
    """Call it with a verdict: it is shown at the end, also when the case fails."""

    def show(verdict):
        request.config.stash[LINES].append(str(verdict))
        return verdict

    return show


@pytest.fixture
def stage(tmp_path, report):
    """Makes a stage; its verdict is shown whatever happens."""
    stages = []

    def make(case, seed, **keys):
        stages.append(Stage(tmp_path, case, seed, **keys))
        return stages[-1]

    yield make
    for one in stages:
        report(one.verdict)


def pytest_terminal_summary(terminalreporter, config):
    lines = config.stash.get(LINES, [])
    if lines:
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.write_line(line)
