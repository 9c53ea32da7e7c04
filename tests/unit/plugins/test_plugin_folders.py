"""Every built-in plugin's folder: its README and its sample configuration against what the code has."""

import re
from pathlib import Path

import pytest

from agent.builtin import BUILTIN, load_builtin
from agent.testing.sample_suite import check_sample

PLUGINS = Path(__file__).parents[3] / "plugins"
EVERY = [(kind, name) for kind, names in BUILTIN.items() for name in names]


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_the_readme_says_what_it_is_how_to_configure_it_and_shows_it(kind, name):
    text = (PLUGINS / kind / name / "README.md").read_text()
    assert text.startswith("# ")
    assert f"`{name}`" in text
    assert re.search(r"^## (Configuration|Example)", text, re.MULTILINE)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_the_sample_shows_every_key_with_its_default(kind, name):
    check_sample(PLUGINS / kind / name / "sample.toml", kind, name, load_builtin(kind, name).config)


def test_no_folder_is_without_a_place_in_the_index():
    folders = {(path.parent.parent.name, path.parent.name) for path in PLUGINS.glob("*/*/__init__.py")}
    assert folders == set(EVERY)
