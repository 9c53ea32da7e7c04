"""`rebellion replay` as it is typed."""

from __future__ import annotations

import json

import pytest
from histories import JUMP_ROW, jumping

from agent.cli import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    lines = [f"{1_780_000_000 + 60 * row},{value:.4f}" for row, value in enumerate(jumping())]
    (tmp_path / "load.csv").write_text("time,load\n" + "\n".join(lines) + "\n")
    return tmp_path


def test_a_file_gives_a_summary_a_picture_and_scores(folder, capsys):
    words = ["--svg", str(folder / "out.svg"), "--scores", str(folder / "out.csv")]
    assert main(["replay", str(folder / "load.csv"), *words]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("load.csv: 400 rows, 1 series, ")
    assert said.err == ""
    assert (folder / "out.svg").read_text().count('class="mark" cx') == 2
    assert (folder / "out.csv").read_text().splitlines()[1 + JUMP_ROW].endswith(",1")


def test_json_is_all_that_is_printed_and_the_detector_may_be_chosen(folder, capsys):
    assert main(["replay", str(folder / "load.csv"), "--json", "--detector", "robust", "--ahead", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["detector"] == "robust"
    assert len(found["series"][0]["forecast"]["point"]) == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing.csv"], 1, "No such file or directory: 'nothing.csv'"),
        (["load.csv", "--ahead", "0"], 1, "rebellion: --ahead must be 1 row or more (got 0)"),
        (["load.csv", "--detector", "robus"], 78, "did you mean 'robust'?"),
        (["load.csv", "--limit", "full"], 2, "argument --limit: invalid float value: 'full'"),
        (["bad.csv"], 1, "rebellion: bad.csv:2: column 'load' must be a number, or empty (got 'much')"),
    ],
)
def test_what_is_wrong_costs_one_line(folder, monkeypatch, capsys, words, code, said):
    monkeypatch.chdir(folder)
    (folder / "bad.csv").write_text("time,load\n1,much\n")
    try:
        found = main(["replay", *words])
    except SystemExit as end:
        found = end.code
    told = capsys.readouterr()
    assert (found, told.out) == (code, "")
    assert said in told.err
    assert told.err.count("\n") == 1
