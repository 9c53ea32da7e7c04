import gc
import itertools
import tracemalloc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contracts import ErrorSeverity
from agent.resilience.history import ErrorHistory, error_text


def add(history, error, component="sink:hub", operation="deliver", now_ns=0):
    return history.add(component, operation, error, ErrorSeverity.MEDIUM, now_ns)


def test_scenario_42_equal_errors_are_grouped_whatever_numbers_they_hold():
    history = ErrorHistory()
    add(history, OSError("no answer in 17 ms at 0x7f01"), now_ns=5)
    record = add(history, OSError("no answer in 2000 ms at 0x7f99"), now_ns=9)
    assert (record.count, record.first_ns, record.last_ns) == (2, 5, 9)
    assert record.message == "no answer in 2000 ms at 0x7f99"
    assert len(history.records()) == 1


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (OSError("b"), {}),
        (ValueError("a"), {}),
        (OSError("a"), {"component": "sink:file"}),
        (OSError("a"), {"operation": "close"}),
    ],
)
def test_scenario_42_errors_of_another_kind_are_kept_apart(error, where):
    history = ErrorHistory()
    assert add(history, OSError("a")).fingerprint != add(history, error, **where).fingerprint
    assert [record.count for record in history.records()] == [1, 1]


def test_scenario_42_fingerprints_are_the_same_in_every_run():
    assert add(ErrorHistory(), OSError("a")).fingerprint == "92ebf9405909706b"


def test_scenario_42_a_million_errors_stay_within_a_thousand_records_and_five_megabytes():
    history = ErrorHistory(1000)
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = ["x" * 400 + "".join(three) for three in itertools.islice(itertools.product(letters, repeat=3), 2000)]
    errors = [OSError(text) for text in texts]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for error in errors:
        add(history, error)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    short = [OSError(text[-3:]) for text in texts[:20]]
    for _ in range(49_900):
        for error in short:
            add(history, error)
    assert history.total == 1_000_000
    assert len(history.records()) == 1000
    assert history.forgotten + sum(record.count for record in history.records()) == 1_000_000
    assert history.by_component() == {"sink:hub": 1_000_000}
    assert grown < 5_000_000


def test_scenario_42_neither_the_error_nor_its_traceback_is_kept_alive():
    class Held(Exception):
        pass

    history = ErrorHistory()

    def fail():
        held_by_the_frame = Held("inner")
        raise held_by_the_frame

    def note():
        try:
            fail()
        except Held as error:
            add(history, error)
            return weakref.ref(error)

    gone = note()
    gc.collect()
    assert gone() is None
    assert history.records()[0].message == "inner"


def test_scenario_42_a_message_is_cut_at_500_characters():
    assert len(add(ErrorHistory(), OSError("é" * 10_000)).message) == 500


def test_an_error_whose_text_raises_is_counted_all_the_same():
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError("no")

    assert error_text(Broken()) == "(no text: __str__ raised RuntimeError)"
    assert add(ErrorHistory(), Broken()).count == 1


def test_a_text_that_is_no_proper_unicode_is_taken_as_well():
    assert len(add(ErrorHistory(), OSError("\udcff")).fingerprint) == 16


def test_counts_by_name_are_bounded_and_lose_nothing():
    history = ErrorHistory(3)
    for name in "abcdea":
        add(history, OSError(), component=name)
    assert history.by_component() == {"a": 2, "b": 1, "c": 1, "(other)": 2}
    assert history.by_type() == {"OSError": 6}
    assert history.by_severity() == {"medium": 6}


def test_a_history_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"max_records must be >= 1 \(got 0\)"):
        ErrorHistory(0)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz"))), st.integers(1, 5))
def test_scenario_42_counts_are_exact_for_any_sequence(errors, max_records):
    history = ErrorHistory(max_records)
    for component, text in errors:
        add(history, OSError(text), component=component)
    assert len(history.records()) <= max_records
    assert history.total == len(errors) == history.forgotten + sum(record.count for record in history.records())
    assert sum(history.by_component().values()) == len(errors)
