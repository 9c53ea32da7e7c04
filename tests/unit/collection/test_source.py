import pytest

from agent.collection.source import SeriesSource
from agent.errors import ContractError, SeriesLimitExceeded
from agent.model import Kind


def test_same_name_and_labels_give_the_same_series():
    source = SeriesSource("x", 10)
    assert source.series("a", labels={"p": "1", "q": "2"}) is source.series("a", labels={"q": "2", "p": "1"})
    assert source.series("a") is not source.series("a", labels={"p": "1"})


def test_instance_labels_stand_on_every_series():
    source = SeriesSource("x", 10, {"instance": "two"})
    assert str(source.series("a", labels={"z": "1"})) == 'a{instance="two",z="1"}'
    assert source.family("b", label="c")["1"].labels == (("c", "1"), ("instance", "two"))


def test_the_cap_refuses_one_more_and_names_the_key_to_change():
    source = SeriesSource("greedy", 2)
    family = source.family("a", label="n", unit="s", kind=Kind.RATE)
    assert family["1"].kind is Kind.RATE
    assert family["2"] is family["2"]
    with pytest.raises(SeriesLimitExceeded, match=r"'greedy' may have 2 series \(max_series\).*: a"):
        family["3"]
    assert len(source) == 2


def test_a_forgotten_series_frees_its_place_and_comes_back_as_a_new_one():
    source = SeriesSource("x", 1)
    family = source.family("a", label="n")
    old = family["1"]
    source.forget(old)
    assert family["2"].labels == (("n", "2"),)
    source.forget(old)
    assert len(source) == 1


@pytest.mark.parametrize("name", ["", "Load", "load-1m", "1load", "load 1m", "x" * 200, "läufe", 7])
def test_a_name_that_is_not_lower_snake_case_is_refused_with_what_was_got(name):
    with pytest.raises(ContractError, match="must be lower_snake_case"):
        SeriesSource("x", 10).series(name)


def test_label_names_are_checked_and_values_made_printable_and_short():
    source = SeriesSource("x", 10)
    with pytest.raises(ContractError, match=r"label name must be lower_snake_case \(got 'Core'\)"):
        source.series("a", labels={"Core": "1"})
    series = source.series("a", labels={"path": "/mnt/\x1b[31m\n" + "y" * 400, "raw": "\udcff"})
    values = dict(series.labels)
    assert values["path"].startswith("/mnt/\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}y")
    assert len(values["path"]) == 256
    assert values["raw"] == "?"


def test_a_seventeenth_label_is_refused():
    with pytest.raises(ContractError, match="at most 16 labels"):
        SeriesSource("x", 10).series("a", labels={f"l{n}": "" for n in range(17)})
