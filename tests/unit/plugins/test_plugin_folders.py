"""Every built-in plugin's folder: its README and its sample configuration against what the code has."""

import re
from pathlib import Path

import msgspec
import pytest
import tomli

from agent.builtin import BUILTIN, load_builtin
from agent.config.load import HOST_SECTION

PLUGINS = Path(__file__).parents[3] / "plugins"
EVERY = [(kind, name) for kind, names in BUILTIN.items() for name in names]


def uncommented(sample: str) -> str:
    """The sample with every `# key = value` line made to count; prose begins with `##`."""
    return re.sub(r"^# ?(?=[\w.\[\"-]+)", "", sample, flags=re.MULTILINE)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_the_readme_says_what_it_is_how_to_configure_it_and_shows_it(kind, name):
    text = (PLUGINS / kind / name / "README.md").read_text()
    assert text.startswith("# ")
    assert f"`{name}`" in text
    assert re.search(r"^## (Configuration|Example)", text, re.MULTILINE)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_the_sample_shows_every_key_with_its_default(kind, name):
    sample = (PLUGINS / kind / name / "sample.toml").read_text()
    config = load_builtin(kind, name).config
    section = tomli.loads(uncommented(sample))[kind][name]
    section = section[0] if isinstance(section, list) else section
    fields = {field.encode_name: field for field in msgspec.structs.fields(config)} if config else {}
    host = HOST_SECTION[kind].__struct_encode_fields__ if kind in HOST_SECTION else ()
    assert set(fields) <= set(section) <= {*fields, *host}
    required = {key for key, field in fields.items() if field.required}
    in_force = tomli.loads(sample).get(kind, {}).get(name, {})
    in_force = in_force[0] if isinstance(in_force, list) else in_force
    assert required <= set(in_force), "what must be set stands uncommented"
    for key, field in fields.items():
        if not field.required:
            assert section[key] == plain(default(field)), f"{kind}.{name}.{key}"


def plain(value):
    """A default as TOML would give it."""
    return list(value) if isinstance(value, tuple) else msgspec.to_builtins(value)


def default(field):
    """A field's default, made when it is made by a function."""
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def test_no_folder_is_without_a_place_in_the_index():
    folders = {(path.parent.parent.name, path.parent.name) for path in PLUGINS.glob("*/*/__init__.py")}
    assert folders == set(EVERY)
