"""Files of the kernel are read whole, in as few calls as it takes, and what is picked out of them is what they say."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.procfs import ProcFile, key_values, picked

words = st.text("abcd_", min_size=1, max_size=3).map(str.encode)
tables = st.dictionaries(words, st.integers(0, 10**9).map(lambda number: str(number).encode()), min_size=1, max_size=8)


@given(tables, st.lists(words, max_size=5), st.sampled_from([b"%b %b", b"%b:   %b kB"]), st.booleans())
def test_what_is_picked_is_what_reading_everything_finds(table, keys, form, ends_with_newline):
    text = b"\n".join(form % pair for pair in table.items()) + b"\n" * ends_with_newline
    everything = key_values(text)
    assert everything == table
    assert picked(text, keys) == {key: everything[key] for key in keys if key in everything}


def test_nothing_is_picked_from_nothing():
    assert picked(b"", [b"a"]) == {}


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """Gives a file as the kernel does, as many whole lines as go into a page; counts the reads."""

    class Kernel:
        def __init__(self):
            self.lines = []
            self.reads = 0

        def file(self, **keys):
            path = tmp_path / "file"
            path.touch()
            return ProcFile(str(path), **keys)

        def pread(self, descriptor, size, offset):
            self.reads += 1
            rest = b"".join(self.lines)[offset:].splitlines(keepends=True)
            given = b""
            while rest and (not given or len(given) + len(rest[0]) <= 4096):
                given += rest.pop(0)
            return given

    made = Kernel()
    monkeypatch.setattr(os, "pread", made.pread)
    return made


def test_a_short_file_is_read_once(kernel):
    kernel.lines = [b"some avg10=0.00\n", b"full avg10=0.00\n"]
    assert kernel.file().read() == b"".join(kernel.lines)
    assert kernel.reads == 1


def test_a_long_file_is_read_to_its_end(kernel):
    kernel.lines = [b"%04d %b\n" % (number, b"x" * 100) for number in range(200)]
    assert kernel.file().read() == b"".join(kernel.lines)


def test_a_long_line_behind_short_ones_is_not_lost_where_lines_may_be_long(kernel):
    kernel.lines = [b"short\n", b"overlay %b\n" % (b"x" * 4090), b"last\n"]
    assert kernel.file(has_long_lines=True).read() == b"".join(kernel.lines)
