"""Every built-in sampler against the suite for plugin authors, and the suite against samplers that break their contract."""

import numpy as np
import pytest

from agent.builtin import BUILTIN, load_builtin
from agent.contracts import Kept
from agent.testing.context import FakePluginContext
from agent.testing.sampler_suite import check_sampler

KEEPS_ALL_WEIGHT = {"reservoir", "stratified", "change", "hybrid", "aggregate", "lttb"}


@pytest.mark.parametrize("name", BUILTIN["sampling"])
def test_the_sampler_keeps_its_contract(name):
    registration = load_builtin("sampling", name)
    config = registration.config and registration.config()
    report = check_sampler(lambda: registration.factory(config, FakePluginContext()))
    assert report.kept_ratio > 0.5
    if name in KEEPS_ALL_WEIGHT:
        assert (report.least_weight_ratio, report.most_weight_ratio) == pytest.approx((1.0, 1.0))


class Honest:
    def keep(self, block, budget):
        index = np.arange(min(budget, len(block)))
        return Kept(index, block.weights[index])


class Greedy(Honest):
    def keep(self, block, budget):
        return super().keep(block, budget + 1)


class Meddles(Honest):
    def keep(self, block, budget):
        block.values[:] = 0.0
        return super().keep(block, budget)


class Holds(Honest):
    def keep(self, block, budget):
        self.last = block
        return super().keep(block, budget)


class Trips(Honest):
    def keep(self, block, budget):
        return super().keep(block, budget * len(block) // len(block))


def test_the_suite_lets_a_plain_sampler_pass():
    report = check_sampler(Honest)
    assert report.kept_ratio == 1.0
    assert report.calls > 100


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (object, "gives a sampler"),
        (Greedy, r"a budget of 0: .*kept 1 points, at most 0"),
        (Meddles, "leaves the block"),
        (Holds, "does not keep the block"),
        (Trips, r"0 points and a budget of 0: .*ZeroDivisionError"),
    ],
)
def test_the_suite_names_what_is_wrong(broken, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_sampler(broken)
