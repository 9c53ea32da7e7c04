"""Stat files stay open, follow their process and never become many."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.collectors.processes.stat_files import StatFiles, open_count_allowed


@pytest.fixture
def child():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process


@pytest.fixture
def files():
    kept = StatFiles("/proc", max_open_count=2)
    yield kept
    kept.close()


def test_an_open_file_gives_what_is_true_now(files):
    pid = str(os.getpid())
    first = files.read(pid)
    sum(range(3_000_000))
    assert first.startswith(f"{pid} (".encode())
    assert files.read(pid) != first
    assert len(files) == 1


def test_a_process_that_ended_gives_nothing_and_frees_its_file(files, child):
    pid = str(child.pid)
    assert files.read(pid)
    child.communicate(b"\n")
    assert files.read(pid) == b""
    assert len(files) == 0


def test_beyond_the_most_files_are_read_and_closed(files):
    pids = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()][:3]
    assert len(pids) == 3
    assert all(files.read(pid) for pid in pids)
    assert len(files) == 2
    assert files.read(pids[2])
    assert len(files) == 2


def test_files_of_processes_that_are_gone_are_closed(files):
    pid = str(os.getpid())
    files.read(pid)
    files.keep_only([])
    assert len(files) == 0


def test_a_low_limit_of_open_files_is_shared_fairly(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (64, 64))
    assert open_count_allowed() == 16
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert open_count_allowed() == 256
