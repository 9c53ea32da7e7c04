"""The library's calls, the seed's own examples first, as they are written."""

import asyncio
import functools
import http.server
import itertools
import json
import logging
import random
import threading

import pytest
import structlog

from agent.resilience import (
    AutonomousErrorRecovery,
    BreakerOpen,
    CircuitState,
    ErrorContext,
    ErrorSeverity,
    RecoveryAction,
    RecoveryStrategy,
    error_recovery,
    get_circuit_breaker,
    with_error_recovery,
)
from agent.testing.clock import FakeClock
from agent.testing.time_travel import run_with_time_travel


class Log:
    def __init__(self):
        self.lines = []

    def __getattr__(self, level):
        return lambda event, **facts: self.lines.append((level, event, facts))

    def events(self):
        return [event for _, event, _ in self.lines]


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def recovery(clock, waits, log):
    async def sleep(seconds):
        waits.append(seconds)

    return AutonomousErrorRecovery(clock=clock, rng=random.Random(1), log=log, sleep=sleep, block=waits.append)


def fails(times, result="fine", error=ConnectionError):
    """A function that fails so many times first, and knows how often it was called and with what."""

    async def function(*args, **kwargs):
        function.calls.append((args, kwargs))
        if len(function.calls) <= times:
            raise error(f"failure {len(function.calls)}")
        return result

    function.calls = []
    return function


def plain_fails(times, result="fine", error=ConnectionError):
    def function(*args, **kwargs):
        function.calls.append((args, kwargs))
        if len(function.calls) <= times:
            raise error(f"failure {len(function.calls)}")
        return result

    function.calls = []
    return function


async def test_the_seeds_decorator_runs_as_written():
    @with_error_recovery(component="websocket", operation="connect", severity=ErrorSeverity.HIGH)
    async def connect_websocket(url):
        return f"connected to {url}"

    assert await connect_websocket("ws://hub") == "connected to ws://hub"


async def test_scenario_41_the_seeds_call_by_name_runs_as_written_and_its_positional_arguments_are_the_functions():
    my_function = fails(0)
    args, kwargs = (1, 2), {"key": "value"}
    e = ConnectionError("lost")
    result = await error_recovery.handle_error(error=e, component="my_component", operation="my_operation",
                                               severity=ErrorSeverity.MEDIUM, original_function=my_function,
                                               *args, **kwargs)  # fmt: skip  # noqa: B026
    assert result == "fine"
    assert my_function.calls == [((1, 2), {"key": "value"})]


async def test_scenario_41_the_seeds_call_by_position_runs_as_written():
    function = fails(0)
    error, args = ConnectionError("lost"), (1, 2)
    assert (
        await error_recovery.handle_error(
            error, "my_component", "my_operation", ErrorSeverity.LOW, None, function, *args
        )
        == "fine"
    )
    assert function.calls == [((1, 2), {})]


async def test_scenario_41_position_and_name_may_be_mixed(recovery):
    function = fails(0)
    error = ConnectionError("lost")
    await recovery.handle_error(error, "a", "b", 1, 2, severity="high", original_function=function, key=3)
    await recovery.handle_error(error, "a", operation="b", function=function)
    await recovery.handle_error(error, "a", "b", original_function=function, function="mine")
    await recovery.handle_error(ErrorContext(error, "a", "b", original_function=function, args=(7,)))
    assert function.calls == [((1, 2), {"key": 3}), ((), {}), ((), {"function": "mine"}), ((7,), {})]
    assert recovery.get_error_stats()["by_severity"] == {"high": 1, "medium": 3}


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, r"handle_error\(\) needs error, component, operation"),
        ((OSError(), "a"), {}, r"handle_error\(\) needs operation"),
        (("no error", "a", "b"), {}, r"needs an exception as its error \(got 'no error'\)"),
        ((OSError(), "a", "b"), {"function": 3}, r"needs a function to call again, or None \(got 3\)"),
    ],
)
async def test_scenario_41_arguments_that_make_no_sense_are_named(recovery, args, kwargs, message):
    with pytest.raises(TypeError, match=message):
        await recovery.handle_error(*args, **kwargs)


async def test_scenario_35_a_cancellation_is_not_recovered_from(recovery):
    function = fails(0)
    with pytest.raises(asyncio.CancelledError):
        await recovery.handle_error(asyncio.CancelledError(), "a", "b", function=function)
    assert function.calls == []


async def test_scenario_31_what_keeps_failing_raises_its_last_error(recovery, waits):
    function = fails(9)
    with pytest.raises(ConnectionError, match="failure 2") as failure:
        await recovery.handle_error(ConnectionError("first"), "a", "b", function=function)
    assert len(function.calls) == 2
    assert len(waits) == 2
    assert "1: ConnectionError: first" in failure.value.__notes__[0]


async def test_scenario_37_own_bugs_are_not_retried_and_come_out_as_they_are(recovery):
    error, function = ValueError("mine"), fails(0)
    with pytest.raises(ValueError, match="mine") as failure:
        await recovery.handle_error(error, "a", "b", function=function)
    assert failure.value is error
    assert function.calls == []


async def test_scenario_41_without_a_function_an_error_is_only_reported(recovery, log):
    assert await recovery.handle_error(OSError("x"), "db", "query") is None
    recovery.register_strategy("db", KeyError, RecoveryAction(RecoveryStrategy.LOG_ONLY))
    assert await recovery.handle_error(KeyError("y"), "db", "query") is None
    assert log.events() == ["component.failed"]
    assert recovery.get_error_stats()["total_errors"] == 2


async def test_scenario_41_the_most_specific_action_answers(recovery):
    ran = []

    def answer(word):
        return RecoveryAction(RecoveryStrategy.FALLBACK, fallback_function=lambda: ran.append(word))

    recovery.register_strategy("*", "*", answer("anything"))
    recovery.register_strategy("*", OSError, answer("any OSError"))
    recovery.register_strategy("db:*", "ConnectionError", answer("connection of a db"))
    recovery.register_strategy("db:main", "*", answer("the main db"))
    for component, error in (("x", KeyError()), ("x", ConnectionResetError()), ("db:old", BrokenPipeError()),
                             ("db:main", BrokenPipeError()), ("db:old", KeyError())):  # fmt: skip
        await recovery.handle_error(error, component, "any")
    assert ran == ["anything", "any OSError", "connection of a db", "the main db", "anything"]


async def test_registering_again_replaces(recovery, waits):
    for count in (5, 1):
        recovery.register_strategy("a", OSError, RecoveryAction(RecoveryStrategy.RETRY, count, 0.5, False))
    function = fails(9)
    with pytest.raises(ConnectionError):
        await recovery.handle_error(OSError(), "a", "b", function=function)
    assert len(function.calls) == 1


async def test_an_action_says_how_often_and_how_far_apart(clock):
    recovery = AutonomousErrorRecovery(clock=clock, rng=Halves())
    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.RETRY, 3, 2.0))
    recovery.register_strategy("b", "*", RecoveryAction(RecoveryStrategy.RETRY, 3, 2.0, exponential_backoff=False))
    for component, expected in (("a", [1.0, 2.0, 4.0]), ("b", [1.0, 1.0, 1.0])):
        waits = []

        async def sleep(seconds, waits=waits):
            waits.append(seconds)

        recovery._on_loop.sleep = sleep
        with pytest.raises(ConnectionError):
            await recovery.handle_error(OSError(), component, "any", function=fails(9))
        assert waits == expected


class Halves:
    def random(self):
        return 0.5

    def uniform(self, low, high):
        return (low + high) / 2


@pytest.mark.parametrize("strategy", [RecoveryStrategy.FALLBACK, RecoveryStrategy.RESET])
def test_an_action_without_what_its_strategy_needs_is_refused(recovery, strategy):
    with pytest.raises(ValueError, match=f"the strategy {strategy.name} needs a {strategy.value}_function"):
        recovery.register_strategy("a", "*", RecoveryAction(strategy))


@pytest.mark.parametrize("bad", [{"max_retries": -1}, {"retry_delay": -0.1}])
def test_an_action_out_of_range_is_refused(bad):
    with pytest.raises(ValueError, match=rf"RecoveryAction\.{next(iter(bad))} must be >= 0"):
        RecoveryAction(RecoveryStrategy.RETRY, **bad)


# --- fallback -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("original", [fails, plain_fails])
async def test_scenario_40_plain_and_async_fallbacks_answer_for_plain_and_async_functions(recovery, is_async, original):
    called = []

    def plain(error, *args):
        called.append((str(error), args))
        return "cached"

    async def coroutine(error, *args):
        return plain(error, *args)

    function = original(99)
    action = RecoveryAction(RecoveryStrategy.RETRY, 1, 0.0, fallback_function=coroutine if is_async else plain)
    recovery.register_strategy("prices", "*", action)
    assert (
        await recovery.handle_error(OSError("first"), "prices", "get", ErrorSeverity.LOW, None, function, 1, 2)
        == "cached"
    )
    assert called == [("first", (1, 2))]
    decorated = with_error_recovery("prices", recovery=recovery)(function)
    result = decorated(3)
    assert (await result if original is fails else result) == "cached"
    assert called[1:] == [(f"failure {len(function.calls) - 1}", (3,))]


async def test_scenario_40_what_the_fallback_raises_comes_out_with_the_original_as_its_cause(recovery):
    def fallback():
        raise KeyError("nothing cached")

    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.FALLBACK, fallback_function=fallback))
    error = OSError("down")
    with pytest.raises(KeyError, match="nothing cached") as failure:
        await recovery.handle_error(error, "a", "b", function=fails(9))
    assert failure.value.__cause__ is error

    @with_error_recovery("a", recovery=recovery)
    async def call():
        raise error

    with pytest.raises(KeyError) as failure:
        await call()
    assert failure.value.__cause__ is error


async def test_scenario_40_a_fallback_that_raises_the_error_again_raises_it_as_it_was(recovery):
    def again(error):
        raise error

    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.FALLBACK, fallback_function=again))
    error = OSError("down")
    with pytest.raises(OSError, match="down") as failure:
        await recovery.handle_error(error, "a", "b", function=fails(9))
    assert (failure.value, failure.value.__cause__) == (error, None)


async def test_scenario_40_a_fallback_is_not_for_cancellation(recovery):
    called = []
    recovery.register_strategy(
        "a", "*", RecoveryAction(RecoveryStrategy.FALLBACK, fallback_function=lambda: called.append(1))
    )

    @with_error_recovery("a", recovery=recovery)
    async def hang():
        await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert called == []


async def original(url, timeout=5):
    raise ConnectionError(url)


FORMS = {
    "error and arguments": (lambda error, url, timeout: ("e", url, timeout), ("e", "u", 7)),
    "any": (lambda *args, **kwargs: (len(args), kwargs), (2, {"timeout": 7})),
    "as the original": (lambda url, timeout=5: (url, timeout), ("u", 7)),
    "arguments alone": (lambda *, timeout: timeout, None),
    "the error alone": (lambda error: type(error).__name__, "ConnectionError"),
    "nothing": (lambda: "nothing", "nothing"),
}


@pytest.mark.parametrize("form", FORMS)
async def test_scenario_40_a_fallback_gets_as_much_as_it_takes(recovery, form):
    fallback, expected = FORMS[form]
    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.FALLBACK, fallback_function=fallback))
    call = with_error_recovery("a", recovery=recovery)(original)
    if expected is None:
        with pytest.raises(TypeError):
            await call("u", timeout=7)
    else:
        assert await call("u", timeout=7) == expected


async def test_scenario_40_a_fallback_answers_a_report_without_a_function(recovery):
    action = RecoveryAction(RecoveryStrategy.FALLBACK, fallback_function=repr)
    recovery.register_strategy("a", "*", action)
    assert await recovery.handle_error(OSError("down"), "a", "b") == "OSError('down')"


async def test_scenario_40_a_fallback_without_a_signature_is_called_with_everything(recovery):
    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.FALLBACK, fallback_function=Unsigned()))
    assert await recovery.handle_error(OSError(), "a", "b") == 1


class Unsigned:
    __signature__ = "none"

    def __call__(self, *args):
        return len(args)


# --- circuit break --------------------------------------------------------------------------------------------------


async def test_scenario_40_circuit_break_opens_the_components_breaker_and_the_fallback_answers_while_it_is_open(
    recovery,
):
    function = fails(99)
    action = RecoveryAction(RecoveryStrategy.CIRCUIT_BREAK, fallback_function=lambda: "cached")
    recovery.register_strategy("face_pay", ConnectionError, action)
    pay = with_error_recovery("face_pay", recovery=recovery)(function)
    assert [await pay() for _ in range(5)] == ["cached"] * 5
    assert len(function.calls) == 1
    assert get_circuit_breaker("face_pay").state is CircuitState.OPEN
    assert get_circuit_breaker("face_pay").breaker.snapshot().totals.successes == 0


async def test_circuit_break_without_a_fallback_lets_the_errors_out(recovery):
    function = fails(99, error=KeyError)
    recovery.register_strategy("face_stock", KeyError, RecoveryAction(RecoveryStrategy.CIRCUIT_BREAK))
    stock = with_error_recovery("face_stock", recovery=recovery)(function)
    with pytest.raises(KeyError):
        await stock()
    with pytest.raises(BreakerOpen):
        await stock()
    plain = with_error_recovery("face_stock", recovery=recovery)(plain_fails(0))
    with pytest.raises(BreakerOpen):
        plain()
    assert len(function.calls) == 1


async def test_what_is_registered_for_the_open_breaker_stays(recovery):
    recovery.register_strategy(
        "face_own", BreakerOpen, RecoveryAction(RecoveryStrategy.FALLBACK, fallback_function=lambda: "mine")
    )
    recovery.register_strategy(
        "face_own", OSError, RecoveryAction(RecoveryStrategy.CIRCUIT_BREAK, fallback_function=lambda: "other")
    )
    call = with_error_recovery("face_own", recovery=recovery)(fails(99))
    assert [await call(), await call()] == ["other", "mine"]


# --- reset ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [True, False])
async def test_reset_rebuilds_and_calls_again(recovery, is_async):
    resets = []

    async def reset():
        resets.append(1)

    function = fails(1)
    action = RecoveryAction(RecoveryStrategy.RESET, reset_function=reset if is_async else lambda: resets.append(1))
    recovery.register_strategy("db", "*", action)
    assert await with_error_recovery("db", recovery=recovery)(function)() == "fine"
    assert (len(resets), len(function.calls)) == (1, 2)


async def test_scenario_44_fifty_failures_at_once_make_one_reset(recovery):
    resets, go = [], asyncio.Event()

    async def reset():
        resets.append(1)
        await go.wait()

    recovery.register_strategy("db", "*", RecoveryAction(RecoveryStrategy.RESET, reset_function=reset))

    @with_error_recovery("db", recovery=recovery)
    async def query():
        if not go.is_set():
            raise ConnectionError("stale")
        return "rows"

    tasks = [asyncio.create_task(query()) for _ in range(50)]
    for _ in range(10):
        await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(*tasks) == ["rows"] * 50
    assert len(resets) == 1


async def test_a_reset_that_does_not_help_lets_the_new_error_out(recovery):
    recovery.register_strategy("db", "*", RecoveryAction(RecoveryStrategy.RESET, reset_function=lambda: None))
    with pytest.raises(ConnectionError, match="failure 2"):
        await with_error_recovery("db", recovery=recovery)(fails(9))()


# --- notify ---------------------------------------------------------------------------------------------------------


async def test_notify_goes_to_the_log_and_the_error_comes_out(recovery, log):
    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.NOTIFY))
    with pytest.raises(ConnectionError):
        await with_error_recovery("a", "call", ErrorSeverity.CRITICAL, recovery=recovery)(fails(9))()
    (level, event, facts), *_ = log.lines
    assert (level, event, facts["severity"], facts["operation"]) == (
        "error",
        "component.needs_attention",
        "critical",
        "call",
    )


async def test_channels_that_nobody_knows_go_to_the_log_and_are_named(recovery, log):
    action = RecoveryAction(RecoveryStrategy.LOG_ONLY, notify_channels=["log", "pager"], fallback_function=lambda: "ok")
    recovery.register_strategy("a", "*", action)
    assert await recovery.handle_error(OSError(), "a", "b") == "ok"
    assert log.lines[0] == ("warning", "notification.channel_unknown", {"channels": "pager", "goes_to": "log"})
    assert log.events()[1:] == ["component.failed", "component.needs_attention"]


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()
        self.server.arrived.release()

    def log_message(self, *_args):
        pass


@pytest.fixture
def hook():
    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        server.bodies, server.arrived = [], threading.Semaphore(0)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("is_plain", [True, False])
async def test_a_webhook_is_called_once_and_its_caller_does_not_wait(recovery, hook, tmp_path, is_plain):
    page = tmp_path / "page.json"
    channels = [f"http://127.0.0.1:{hook.server_port}/hook", f"command:sh -c 'cat > {page}.new; mv {page}.new {page}'"]
    action = RecoveryAction(RecoveryStrategy.NOTIFY, notify_channels=channels, fallback_function=lambda: "cached")
    recovery.register_strategy("a", "*", action)
    if is_plain:
        call = with_error_recovery("a", recovery=recovery)(plain_fails(9))
        assert [call(), call()] == ["cached"] * 2
    else:
        call = with_error_recovery("a", recovery=recovery)(fails(9))
        assert [await call(), await call()] == ["cached"] * 2
    assert await asyncio.to_thread(hook.arrived.acquire, timeout=10)
    for thread in threading.enumerate():
        if thread.name == "notify":
            await asyncio.to_thread(thread.join, 10)
    assert [body["error"] for body in hook.bodies] == ["ConnectionError"]
    assert json.loads(page.read_text())["component"] == "a"


# --- plain functions ------------------------------------------------------------------------------------------------


def test_plain_functions_wait_on_their_own_thread(recovery, waits):
    function = plain_fails(2)
    assert with_error_recovery("a", recovery=recovery)(function)(1, key=2) == "fine"
    assert len(function.calls) == 3
    assert len(waits) == 2


def test_plain_functions_raise_what_they_raised_last(recovery):
    with pytest.raises(ConnectionError, match="failure 3"):
        with_error_recovery("a", recovery=recovery)(plain_fails(9))()
    with pytest.raises(ValueError, match="failure 1"):
        with_error_recovery("a", recovery=recovery)(plain_fails(9, error=ValueError))()


def test_a_plain_function_may_run_an_event_loop_of_its_own_in_each_attempt(recovery):
    calls = []

    async def inner():
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError
        return "fine"

    @with_error_recovery("a", recovery=recovery)
    def outer():
        return asyncio.run(inner())

    assert outer() == "fine"


def test_scenario_40_an_async_fallback_of_a_plain_function_may_wait_where_no_loop_runs(recovery):
    async def fallback():
        await asyncio.sleep(0)
        return "cached"

    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.FALLBACK, fallback_function=fallback))
    assert with_error_recovery("a", recovery=recovery)(plain_fails(9))() == "cached"


async def test_scenario_41_a_plain_function_on_a_loops_thread_never_waits(recovery, waits, log):
    function = plain_fails(1)
    action = RecoveryAction(RecoveryStrategy.RETRY, retry_delay=60.0, fallback_function=lambda: "cached")
    recovery.register_strategy("a", "*", action)
    assert with_error_recovery("a", recovery=recovery)(function)() == "cached"
    assert (len(function.calls), waits) == (1, [])
    (level, event, facts) = log.lines[0]
    assert (level, event) == ("warning", "recovery.strategy_failed")
    assert "would block the event loop; call the function through asyncio.to_thread" in facts["error"]


async def test_scenario_41_a_plain_function_on_a_loops_thread_is_retried_where_that_needs_no_wait(recovery):
    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.RETRY, retry_delay=0.0))
    assert with_error_recovery("a", recovery=recovery)(plain_fails(2))() == "fine"


async def test_scenario_41_an_async_fallback_that_waits_cannot_on_a_loops_thread(recovery):
    async def fallback():
        await asyncio.sleep(1)

    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.FALLBACK, fallback_function=fallback))
    with pytest.raises(Exception, match="would block the event loop") as failure:
        with_error_recovery("a", recovery=recovery)(plain_fails(9))()
    assert str(failure.value.__cause__) == "failure 1"


async def test_scenario_41_what_will_not_be_told_to_stop_waiting_is_stopped(recovery):
    async def fallback():
        while True:
            try:
                await asyncio.sleep(1)
            except Exception:
                continue

    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.FALLBACK, fallback_function=fallback))
    with pytest.raises(Exception, match="would block the event loop"):
        with_error_recovery("a", recovery=recovery)(plain_fails(9))()


def test_scenario_41_retries_of_a_plain_function_in_a_coroutine_wait_without_blocking_the_loop(clock):
    recovery = AutonomousErrorRecovery(clock=clock, rng=Halves())
    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.RETRY, 3, 8.0))
    seen = []

    async def ticks():
        while True:
            await asyncio.sleep(0.01)
            seen.append(clock.monotonic_s())

    async def main():
        ticking = asyncio.create_task(ticks())
        result = await recovery.handle_error(OSError(), "a", "b", function=plain_fails(1))
        ticking.cancel()
        return result

    assert run_with_time_travel(main(), clock) == "fine"
    assert seen[-1] - seen[0] > 11
    assert max(after - before for before, after in itertools.pairwise(seen)) < 0.011


def test_eight_threads_of_failing_calls_are_counted_exactly(recovery):
    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.LOG_ONLY))

    @with_error_recovery("a", recovery=recovery)
    def fail():
        raise OSError("down")

    def work():
        for _ in range(200):
            with pytest.raises(OSError, match="down"):
                fail()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = recovery.get_error_stats()
    assert stats["total_errors"] == stats["by_component"]["a"] == stats["recent_errors"][0]["count"] == 1600
    assert stats["strategies"] == {"log_only": 1600}


# --- statistics, log ------------------------------------------------------------------------------------------------


async def test_error_stats_are_plain_values(recovery):
    assert recovery.get_error_stats()["recovery_ratio"] == 0.0
    await recovery.handle_error(OSError("x 1"), "a", "b", ErrorSeverity.HIGH, None, fails(0))
    with pytest.raises(KeyError):
        await recovery.handle_error(KeyError("y"), "c", "d", function=fails(9, error=KeyError))
    stats = recovery.get_error_stats()
    assert json.loads(json.dumps(stats)) == stats
    assert (stats["total_errors"], stats["recovered_errors"], stats["recovery_ratio"]) == (2, 1, 0.5)
    assert stats["by_type"] == {"OSError": 1, "KeyError": 1}
    assert stats["recent_errors"][0]["message"] == "x 1"


async def test_scenario_43_escalations_and_successes_reach_the_log(recovery, log, clock):
    function = fails(5, error=ValueError)
    call = with_error_recovery("a", recovery=recovery)(function)
    for _ in range(5):
        with pytest.raises(ValueError, match="failure"):
            await call()
    assert recovery.get_error_stats()["escalated"] == {"a": "notify"}
    await call()
    clock.advance(60)
    await call()
    assert log.events() == ["recovery.escalated", "component.needs_attention", "recovery.deescalated"]
    assert recovery.get_error_stats()["escalated"] == {}


def test_a_plain_functions_successes_count_as_well(recovery, clock):
    call = with_error_recovery("a", recovery=recovery)(plain_fails(1))
    call()
    clock.advance(60)
    call()
    assert "a" in recovery.engine.troubled
    clock.advance(60)
    call()
    assert "a" not in recovery.engine.troubled


async def test_the_log_is_structlogs_where_that_is_configured_and_loggings_where_not(caplog):
    recovery = AutonomousErrorRecovery()
    recovery.register_strategy("a", "*", RecoveryAction(RecoveryStrategy.LOG_ONLY))
    structlog.reset_defaults()
    with caplog.at_level(logging.DEBUG, "rebellion"):
        await recovery.handle_error(OSError("first"), "a", "b")
    assert "component.failed component='a' operation='b'" in caplog.text
    with structlog.testing.capture_logs() as captured:
        await recovery.handle_error(OSError("second"), "a", "b")
    structlog.reset_defaults()
    assert captured[0]["event"] == "component.failed"


def test_each_level_of_the_librarys_log_is_that_of_logging(caplog):
    from agent.resilience.library_host import LibraryHost, LibraryLog

    structlog.reset_defaults()
    log = LibraryLog()
    with caplog.at_level(logging.DEBUG, "rebellion"):
        for level in ("debug", "info", "warning", "error"):
            getattr(log, level)("it.happened")
        LibraryHost("notify", clock=FakeClock(), rng=random.Random(1), log=log).emit("it.was_emitted")
    assert [record.levelname for record in caplog.records] == ["DEBUG", "INFO", "WARNING", "ERROR", "INFO"]


async def test_a_library_has_no_state_folder_and_runs_blocking_calls_on_a_thread():
    from agent.resilience.library_host import LibraryHost

    host = LibraryHost("notify", clock=FakeClock(), rng=random.Random(1), log=Log())
    with pytest.raises(RuntimeError, match="'notify': a program that uses the library has no state folder"):
        _ = host.state_dir
    assert await host.run_blocking(functools.partial(lambda: threading.current_thread().name)) != "MainThread"
