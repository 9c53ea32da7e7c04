"""docs/knowing.md speaks of every detector, shows the pictures that are there, and has numbers that the code has too."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from agent.builtin import BUILTIN, load_builtin
from agent.host_health import SIGNALS

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "knowing.md").read_text()
SHOWN = re.findall(r"!\[[^\]]+\]\((pictures/[\w.-]+)\)", TEXT)


@pytest.mark.parametrize("name", BUILTIN["detectors"])
def test_every_detector_has_its_row_and_one_its_figures(name):
    assert f"| [`{name}`](../plugins/detectors/{name}/README.md)" in TEXT
    assert re.search(rf"^\| `{name}`[^|]*\|( [*\d.-]+ \|){{3}}", TEXT, re.MULTILINE)


def test_every_picture_is_shown_once_and_is_a_picture():
    assert sorted(SHOWN) == sorted(f"pictures/{path.name}" for path in (DOCS / "pictures").iterdir())
    for name in SHOWN:
        assert ElementTree.parse(DOCS / name).getroot().tag.endswith("svg")


def test_the_thresholds_told_are_those_in_force():
    for name, unit in (("robust", "120 values"), ("zscore", "120 values"), ("seasonal", "6 deviations")):
        config = load_builtin("detectors", name).config()
        row = next(line for line in TEXT.splitlines() if line.startswith(f"| [`{name}`]"))
        assert f"reaches {config.threshold:g}" in row
        assert unit in row


def test_every_signal_of_the_health_is_in_the_table():
    rows = re.findall(
        r"^\| `(\w+)`[^|]*\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", TEXT.partition("\n## Health")[2], re.MULTILINE
    )
    told = sorted((name, *map(float, numbers)) for name, *numbers in rows)
    assert told == sorted((key[0], one.good, one.bad, one.weight) for key, one in SIGNALS.items())
