"""Prints a line for each case at the end of the run, also when cases run in processes of their own."""

import pytest
from fault_stage import Stage

LINES = pytest.StashKey[list]()
FAULT = "fault"


class Lines:
    """Collects what the cases have said, in whichever process they ran."""

    def __init__(self):
        self.lines = []

    def pytest_runtest_logreport(self, report):
        if report.when == "teardown":
            self.lines += [line for name, line in report.user_properties if name == FAULT]


def pytest_configure(config):
    config.stash[LINES] = Lines()
    config.pluginmanager.register(config.stash[LINES])


@pytest.fixture
def report(request):
    """Call it with a verdict: it is shown at the end, also when the case fails."""

    def show(verdict):
        request.node.user_properties.append((FAULT, str(verdict)))
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
    lines = config.stash[LINES].lines
    if lines:
        terminalreporter.section("faults")
        for line in sorted(lines):
            terminalreporter.write_line(line)
