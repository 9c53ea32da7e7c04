"""The six strategies, each through the built-in index, as the agent and the library load them."""

import asyncio
import http.server
import json
import os
import random
import subprocess
import sys
import threading

import msgspec
import pytest

from agent.builtin import BUILTIN, load_builtin
from agent.contracts import ErrorSeverity, RecoveryMethod, RecoveryOutcome, RecoveryRequest, RecoveryStep
from agent.errors import BreakerOpen, RetryableDelivery
from agent.resilience.deadline import deadline
from agent.testing.clock import FakeClock
from agent.testing.time_travel import run_with_time_travel

NAMES = BUILTIN["recovery"]
NEXT, RESOLVED = RecoveryStep.NEXT, RecoveryStep.RESOLVED


class Log:
    def __init__(self):
        self.lines = []

    def __getattr__(self, level):
        return lambda event, **facts: self.lines.append((level, event, facts))


class Context:
    name = "test"

    def __init__(self):
        self.clock = FakeClock(0.0)
        self.rng = random.Random(1)
        self.log = Log()

    async def run_blocking(self, function, *args):
        return await asyncio.to_thread(function, *args)


@pytest.fixture
def context():
    return Context()


def make(name, context, **config):
    registered = load_builtin("recovery", name)
    return registered.factory(registered.config(**config) if registered.config else None, context)


def request(error=None, **means):
    return RecoveryRequest("sink:hub", "deliver", error or ConnectionError("refused"), fingerprint="f00d", **means)


def calling(*outcomes):
    """A call that gives or raises these, one after the other."""
    left = list(outcomes)

    async def call():
        outcome = left.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    call.left = left
    return call


@pytest.mark.parametrize("name", NAMES)
async def test_each_keeps_the_contract_and_is_cheap_without_means(name, context):
    method = make(name, context)
    assert isinstance(method, RecoveryMethod)
    outcome = await method.recover(request())
    assert isinstance(outcome, RecoveryOutcome)
    assert (outcome.step, outcome.error) == (NEXT, None)
    assert context.clock.monotonic_s() == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_importing_one_pulls_in_neither_numpy_nor_asyncio(name):
    code = (
        f"import sys, plugins.recovery.{name}; print(sorted({{'numpy', 'asyncio', 'websockets'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- retry ----------------------------------------------------------------------------------------------------------


def run(coroutine, context):
    return run_with_time_travel(coroutine, context.clock)


def test_scenario_31_retry_waits_a_tenth_and_two_tenths_and_resolves(context):
    method = make("retry", context, jitter_ratio=0.0)
    outcome = run(method.recover(request(call=calling(OSError(), "fine"))), context)
    assert outcome == RecoveryOutcome(RESOLVED, "fine", "attempt 3")
    assert context.clock.monotonic_s() == pytest.approx(0.3)


def test_scenario_31_retry_hands_on_the_last_error(context):
    last = OSError("third")
    outcome = run(make("retry", context).recover(request(call=calling(OSError("second"), last))), context)
    assert (outcome.step, outcome.error, outcome.note) == (NEXT, last, "stopped by attempts")


def test_scenario_34_retry_stops_where_its_deadline_would_pass(context):
    method = make("retry", context, jitter_ratio=0.0, first_wait_s=0.4, deadline_s=1.0, max_attempts=9)
    error = OSError("first")
    outcome = run(method.recover(request(error, call=calling(*[OSError(str(n)) for n in range(9)]))), context)
    assert outcome.note == "stopped by deadline"
    assert context.clock.monotonic_s() == pytest.approx(0.4)


def test_scenario_34_retry_heeds_the_deadline_of_its_caller(context):
    async def within():
        with deadline(0.05):
            return await make("retry", context, jitter_ratio=0.0).recover(request(call=calling("never")))

    assert run(within(), context).note == "stopped by deadline"


def test_scenario_35_retry_passes_cancellation_on_and_gives_its_token_back(context):
    method = make("retry", context, budget_tokens=14.0)

    async def cancel_during_the_call():
        task = asyncio.create_task(method.recover(request(call=asyncio.Event().wait)))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    for _ in range(3):
        run(cancel_during_the_call(), context)
    assert run(method.recover(request(call=calling("fine"))), context).value == "fine"


def test_scenario_36_each_component_has_a_budget_of_its_own(context):
    method = make("retry", context, budget_tokens=14.0)
    assert run(method.recover(request(call=calling(OSError()))), context).note == "stopped by budget"
    other = RecoveryRequest("sink:file", "deliver", OSError(), call=calling("fine"))
    assert run(method.recover(other), context).value == "fine"
    for _ in range(14):
        method.succeeded("sink:hub")
    method.succeeded("sink:nobody")
    assert run(method.recover(request(call=calling("fine"))), context).value == "fine"


def test_scenario_36_without_tokens_there_is_no_budget(context):
    method = make("retry", context, budget_tokens=0.0, max_attempts=100)
    assert run(method.recover(request(call=calling(*[OSError()] * 98, "fine"))), context).value == "fine"


def test_scenario_36_budgets_are_bounded_in_number(context):
    method = make("retry", context)
    for number in range(1100):
        run_request = RecoveryRequest(f"c{number}", "x", ValueError(), call=calling())
        asyncio.run(method.recover(run_request))
    assert len(method._budgets) == 1000


def test_scenario_38_retry_obeys_what_the_other_end_asks_for(context):
    method = make("retry", context, jitter_ratio=0.0)
    error = RetryableDelivery("busy", retry_after_s=7.0)
    assert run(method.recover(request(error, call=calling("fine"))), context).value == "fine"
    assert context.clock.monotonic_s() == 7.0


def test_scenario_41_retry_waits_as_its_caller_waits_and_a_refusal_costs_no_token(context):
    async def refuse(_seconds):
        raise RuntimeError("cannot wait here")

    method = make("retry", context, budget_tokens=14.0)
    with pytest.raises(RuntimeError, match="cannot wait here"):
        asyncio.run(method.recover(request(call=calling(), sleep=refuse)))
    assert run(method.recover(request(call=calling("fine"))), context).value == "fine"


# --- fallback, circuit break, reset, log ----------------------------------------------------------------------------


async def test_scenario_40_fallback_answers(context):
    outcome = await make("fallback", context).recover(request(fallback=calling("cached")))
    assert (outcome.step, outcome.value) == (RESOLVED, "cached")


async def test_scenario_40_a_fallback_that_fails_says_so_with_the_original_as_cause(context):
    error, failure = OSError("down"), KeyError("nothing cached")
    outcome = await make("fallback", context).recover(request(error, fallback=calling(failure)))
    assert (outcome.step, outcome.error, failure.__cause__) == (NEXT, failure, error)


async def test_circuit_break_trips_once_and_leaves_an_open_breaker_alone(context):
    tripped = []
    method = make("circuit_break", context)
    assert (await method.recover(request(trip=lambda: tripped.append(1)))).note == "breaker opened"
    open_error = BreakerOpen("hub", 1.0)
    assert (
        await method.recover(request(open_error, trip=lambda: tripped.append(1)))
    ).note == "the breaker is open already"
    assert tripped == [1]


async def test_scenario_44_reset_rebuilds_and_that_is_all_where_there_is_no_call(context):
    rebuilt = []

    async def reset():
        rebuilt.append(1)

    method = make("reset", context)
    assert (await method.recover(request(reset=reset))).step is RESOLVED
    assert (await method.recover(request(reset=reset, call=calling("fine")))).value == "fine"
    last = OSError("again")
    assert (await method.recover(request(reset=reset, call=calling(last)))).error is last
    assert rebuilt == [1, 1, 1]


def test_scenario_44_a_reset_that_hangs_is_cut_off(context):
    async def hang():
        await asyncio.sleep(3600)

    with pytest.raises(TimeoutError):
        run(make("reset", context, deadline_s=2.0).recover(request(reset=hang)), context)
    assert context.clock.monotonic_s() == 2.0


async def test_log_only_logs_one_of_equal_errors_a_minute_and_counts_the_rest(context):
    method = make("log_only", context, level="error")
    for _ in range(5):
        await method.recover(request())
        context.clock.advance(20)
    assert [(level, event, facts["equal_not_logged"]) for level, event, facts in context.log.lines] == [
        ("error", "component.failed", 0),
        ("error", "component.failed", 2),
    ]
    assert context.log.lines[0][2]["error"] == "ConnectionError: refused"


# --- notify ---------------------------------------------------------------------------------------------------------


async def test_scenario_43_notify_tells_once_a_minute_and_fingerprint(context):
    method = make("notify", context)
    for _ in range(5):
        await method.recover(request())
        context.clock.advance(20)
    await method.recover(RecoveryRequest("other", "x", OSError(), ErrorSeverity.HIGH, fingerprint="beef"))
    assert [facts["equal_not_sent"] for _, _, facts in context.log.lines] == [0, 2, 0]
    level, event, facts = context.log.lines[0]
    assert (level, event, facts["error"], facts["message"]) == (
        "error",
        "component.needs_attention",
        "ConnectionError",
        "refused",
    )


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_args):
        pass


@pytest.fixture
def hook():
    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        server.got, server.status = [], 200
        server.url = f"http://127.0.0.1:{server.server_port}/page?team=a"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("is_in_file", [True, False])
async def test_notify_posts_json_to_the_webhook(context, hook, tmp_path, is_in_file):
    place = tmp_path / "url"
    place.write_text(hook.url + "\n")
    where = {"webhook_url_file": str(place)} if is_in_file else {"webhook_url": hook.url}
    outcome = await make("notify", context, channels=("webhook", "log"), **where).recover(request())
    assert outcome.note == "sent to webhook, log"
    (path, content_type, body) = hook.got[0]
    assert (path, content_type) == ("/page?team=a", "application/json")
    assert body == {
        "component": "sink:hub",
        "operation": "deliver",
        "severity": "medium",
        "error": "ConnectionError",
        "message": "refused",
        "fingerprint": "f00d",
        "failures": 1,
        "equal_not_sent": 0,
        "time_ns": 1_700_000_000_000_000_000,
    }


async def test_a_webhook_that_refuses_stops_no_other_channel(context, hook):
    hook.status = 500
    outcome = await make("notify", context, channels=("webhook", "log"), webhook_url=hook.url).recover(request())
    assert outcome.note == "sent to log"
    level, event, facts = context.log.lines[0]
    assert (level, event, facts["channel"]) == ("warning", "notification.failed", "webhook")
    assert "HTTP Error 500" in facts["error"]


async def test_an_address_in_a_file_must_be_an_address(context, tmp_path):
    place = tmp_path / "url"
    place.write_text("file:///etc/passwd")
    outcome = await make("notify", context, channels=("webhook",), webhook_url_file=str(place)).recover(request())
    assert outcome.note == "sent to nobody"
    assert "must be http:// or https://" in context.log.lines[0][2]["error"]


async def test_notify_gives_the_command_json_on_its_standard_input(context, tmp_path):
    place = tmp_path / "page.json"
    method = make("notify", context, channels=("command",), command=("sh", "-c", 'cat > "$0"', str(place)))
    assert (await method.recover(request())).note == "sent to command"
    assert json.loads(place.read_text())["fingerprint"] == "f00d"


@pytest.mark.parametrize(
    ("command", "message"),
    [(("false",), "'false' ended with exit code 1"), (("/no/such/program",), "FileNotFoundError")],
)
async def test_a_command_that_fails_is_logged(context, command, message):
    method = make("notify", context, channels=("command",), command=command)
    assert (await method.recover(request())).note == "sent to nobody"
    assert message in context.log.lines[0][2]["error"]


@pytest.fixture
def hanging(tmp_path):
    """A command that says its process id through a pipe and then hangs."""
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)

    async def pid():
        return int(await asyncio.to_thread(fifo.read_text))

    return ("sh", "-c", f"echo $$ > {fifo}; exec sleep 3600"), pid


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_command_that_hangs_is_killed(context, hanging):
    command, pid = hanging
    method = make("notify", context, channels=("command",), command=command, timeout_s=0.5)
    task = asyncio.create_task(method.recover(request()))
    process = await pid()
    assert (await task).note == "sent to nobody"
    assert "TimeoutError" in context.log.lines[0][2]["error"]
    assert not is_running(process)


async def test_a_cancelled_notification_kills_its_command(context, hanging):
    command, pid = hanging
    task = asyncio.create_task(make("notify", context, channels=("command",), command=command).recover(request()))
    process = await pid()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_running(process)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"channels": []}, "channels: must name at least one of log, webhook, command (got none)"),
        ({"channels": ["webhook"]}, "webhook_url: the channel webhook needs either webhook_url or webhook_url_file"),
        ({"channels": ["webhook"], "webhook_url": "http://a", "webhook_url_file": "b"}, "webhook_url: the channel webhook needs"),
        ({"webhook_url": "ftp://host/x"}, "webhook_url: must be http:// or https:// and name a host (got 'ftp')"),
        ({"webhook_url": "hooks.example"}, "webhook_url: must be http:// or https:// and name a host (got 'no scheme')"),
        ({"channels": ["command"]}, "command: the channel command needs a program to run (got none)"),
        ({"channels": ["email"]}, "Invalid enum value 'email'"),
        ({"timeout_s": 0}, "Expected `float` > 0"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_notify_is_refused(bad, message):
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.convert(bad, load_builtin("recovery", "notify").config)
    assert message in str(refusal.value)
