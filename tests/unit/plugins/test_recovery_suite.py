"""Every built-in strategy against the suite for plugin authors, and the suite against strategies that break their contract."""

import asyncio
import contextlib

import pytest

from agent.builtin import BUILTIN, load_builtin
from agent.contracts import RecoveryOutcome, RecoveryStep
from agent.testing.recovery_suite import check_recovery

RESOLVES = {"fallback": {"fallback"}, "reset": {"reset"}, "retry": {"works"}}


@pytest.mark.parametrize("name", BUILTIN["recovery"])
async def test_the_strategy_keeps_its_contract(name):
    registration = load_builtin("recovery", name)
    report = await check_recovery(registration.factory, registration.config and registration.config())
    resolved = {case for case, outcome in report.outcomes.items() if outcome.step is RecoveryStep.RESOLVED}
    assert resolved == RESOLVES.get(name, set())


class Honest:
    def __init__(self, _config, _context):
        pass

    async def recover(self, request):
        return RecoveryOutcome(RecoveryStep.NEXT)


class Boasts(Honest):
    async def recover(self, request):
        return RecoveryOutcome(RecoveryStep.RESOLVED)


class Raises(Honest):
    async def recover(self, request):
        return RecoveryOutcome(RecoveryStep.RESOLVED, await request.call())


class Answers(Honest):
    async def recover(self, request):
        return True


class Swallows(Honest):
    async def recover(self, request):
        with contextlib.suppress(Exception, asyncio.CancelledError):
            if request.call is not None:
                return RecoveryOutcome(RecoveryStep.RESOLVED, await request.call())
        return RecoveryOutcome(RecoveryStep.NEXT)


class SharesResults(Honest):
    value = None

    async def recover(self, request):
        if request.call is None:
            return RecoveryOutcome(RecoveryStep.NEXT)
        try:
            self.value = self.value or await request.call()
        except ConnectionError:
            return RecoveryOutcome(RecoveryStep.NEXT)
        return RecoveryOutcome(RecoveryStep.RESOLVED, self.value)


async def test_the_suite_lets_a_strategy_pass_that_can_do_nothing():
    assert len((await check_recovery(Honest)).outcomes) == 5


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda _config, _context: object(), "gives a strategy"),
        (Boasts, "works: RESOLVED hands on"),
        (Raises, "nothing: .* does not raise .*TypeError"),
        (Answers, "gives a RecoveryOutcome"),
        (Swallows, "cancellation passes through it"),
        (SharesResults, "its own call"),
    ],
)
async def test_the_suite_names_what_is_wrong(broken, complaint):
    with pytest.raises(AssertionError, match=complaint):
        await check_recovery(broken)
