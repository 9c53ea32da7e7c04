"""Real programs: good ones, and all that can be wrong with one."""

import sys

import psutil
import pytest

from agent.api import CollectError
from agent.model import Kind
from agent.testing.collector_suite import check_collector
from agent.testing.recorder import collect
from plugins.collectors.exec import Config
from plugins.collectors.exec.collector import Exec


async def run(context, code, **keys):
    return await collect(Exec(Config(command=(sys.executable, "-c", code), **keys), context))


async def test_an_object_of_numbers_is_a_gauge_each(collector_context):
    found = await run(collector_context, 'print(\'{"queue_length": 3, "age_s": 0.5}\')', labels={"queue": "mail"})
    assert found.values == {'queue_length{queue="mail"}': 3.0, 'age_s{queue="mail"}': 0.5}


async def test_it_keeps_its_contract(collector_context):
    config = Config(command=(sys.executable, "-c", "print('{\"queue_length\": 3}')"))
    report = await check_collector(Exec, config, context=collector_context)
    assert report.last == {"queue_length": 3.0}


async def test_an_array_says_labels_units_and_kinds(collector_context):
    told = '[{"name": "sent_total", "value": 7, "labels": {"to": "a"}, "unit": "mails", "kind": "counter"}]'
    (series, value), *_ = (await run(collector_context, f"print({told!r})")).samples
    assert (str(series), series.unit, series.kind, value) == ('sent_total{to="a"}', "mails", Kind.COUNTER, 7.0)


async def test_prometheus_text_is_read_too(collector_context):
    found = await run(collector_context, "print('# TYPE a_total counter\\na_total 4')", format="prometheus")
    assert found.values == {"a_total": 4.0}


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import sys; print('no quota left', file=sys.stderr); sys.exit(3)", "exit code 3: 'no quota left'"),
        ("print('hello')", "wrote no json"),
        ('print(\'{"a": "text"}\')', "wrote no json"),
        ("print('x' * 5000)", "more than 1024 bytes"),
    ],
)
async def test_a_program_that_fails_is_an_error_in_its_words(collector_context, code, why):
    with pytest.raises(CollectError, match=why):
        await run(collector_context, code, max_bytes=1024)


async def test_a_program_that_hangs_is_killed_with_what_it_started(collector_context, tmp_path):
    code = (
        f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE);"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid)); child.wait()"
    )
    with pytest.raises(CollectError, match="was killed after 1 s"):
        await run(collector_context, code, timeout_s=1.0)
    pid = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_a_program_that_is_not_there_is_an_error_in_words(collector_context):
    with pytest.raises(CollectError, match="'/nowhere' cannot be run: No such file"):
        await collect(Exec(Config(command=("/nowhere",)), collector_context))


def test_no_command_is_refused():
    with pytest.raises(ValueError, match="command must name a program"):
        Config(command=())
