"""What `rebellion plugins new` writes, and what it refuses."""

from __future__ import annotations

import argparse
import compileall
import subprocess
import sys

import pytest
import tomli

from agent.cli import main
from agent.commands.new_plugin import KINDS, plugin_name, written_files

NAMES = {
    "collectors": "web_queue",
    "sinks": "archive",
    "sampling": "every_other",
    "recovery": "once_more",
    "commands": "how_long",
}


def new(*words: str) -> int:
    return main(["plugins", "new", *words])


@pytest.mark.parametrize("kind", KINDS.values())
def test_a_distribution_names_its_entry_point_and_is_good_python(kind, tmp_path, capsys):
    name = NAMES.get(kind, "leap")
    assert new(kind, name, "--dir", str(tmp_path)) == 0
    folder = tmp_path / f"rebellion-{name.replace('_', '-')}"
    said = capsys.readouterr().out
    assert said.startswith(f"written to {folder}\n")
    assert f'plugins = ["{name}"]' in said
    project = tomli.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {"rebellion.plugins": {name: f"rebellion_{name}"}}
    assert compileall.compile_dir(folder, quiet=2)
    for check in (["check", "--select", "E,F,I,UP,B,SIM,RET,PT,N"], ["format", "--check"]):
        command = [
            sys.executable,
            "-m",
            "ruff",
            *check,
            "--isolated",
            "--line-length",
            "120",
            "--no-cache",
            str(folder),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("word", "kind"), KINDS.items())
def test_the_word_and_the_section_mean_the_same(word, kind, tmp_path):
    for place, spelled in enumerate((word, kind)):
        assert new(spelled, "leap", "--dir", str(tmp_path / str(place))) == 0
        written = tmp_path / str(place) / "rebellion-leap"
        found = {str(path.relative_to(written)): path.read_text() for path in written.rglob("*") if path.is_file()}
        assert found == written_files(kind, "leap")


def test_what_is_there_is_left_as_it_is(tmp_path, capsys):
    (tmp_path / "rebellion-leap").mkdir()
    assert new("sink", "leap", "--dir", str(tmp_path)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("rebellion-leap exists and is left as it is; choose another NAME or --dir")
    assert list((tmp_path / "rebellion-leap").iterdir()) == []


def test_the_name_of_a_built_in_is_refused_for_its_own_kind_only(tmp_path, capsys):
    assert new("sink", "file", "--dir", str(tmp_path)) == 1
    assert "taken by plugins.sinks.file, which comes with the agent; choose another" in capsys.readouterr().err
    assert new("collector", "file", "--dir", str(tmp_path)) == 0


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert new("sink", "leap", "--dir", str(tmp_path / "file")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "Not a directory" in line


@pytest.mark.parametrize("good", ["a", "cpu", "web_queue", "http2", "a1_b2"])
def test_a_name_is_lower_snake_case(good):
    assert plugin_name(good) == good


@pytest.mark.parametrize(
    ("bad", "guess"),
    [
        ("web-queue", "'web_queue' would do"),
        ("WebQueue", "'web_queue' would do"),
        ("2fast", "'fast' would do"),
        ("a__b", "'a_b' would do"),
        ("../evil", "'evil' would do"),
        ("_", "got '_'"),
        ("", "got ''"),
        ("ü", "got 'ü'"),
        ("leap\n", "'leap' would do"),
    ],
)
def test_another_is_refused_with_one_that_would_do(bad, guess):
    with pytest.raises(argparse.ArgumentTypeError, match="must be lower_snake_case") as raised:
        plugin_name(bad)
    assert guess in str(raised.value)
