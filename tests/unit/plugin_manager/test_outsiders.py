from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from agent.errors import LoadError
from agent.plugin_manager import PluginManager

Distribution = Callable[[str, str], None]

SAMPLER = """
    import msgspec
    from agent.api import hookimpl

    class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        keep_ratio: float = 0.5

    def make(config, context):
        return (config, context)

    @hookimpl
    def rebellion_register_sampling_strategies(register):
        register("halving", make, config=Config)
"""


def refusal(plugins: tuple[str, ...] = (), plugins_dir: str = "") -> str:
    with pytest.raises(LoadError) as caught:
        PluginManager(plugins, plugins_dir)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_named_entry_point_is_loaded_and_registers_its_sampler(distribution: Distribution) -> None:
    distribution("halving", SAMPLER)
    manager = PluginManager(("halving",))
    registration = manager.find("sampling", "halving")
    assert registration.origin == "entry point outsider_halving"
    assert registration.config is not None
    assert registration.config().keep_ratio == 0.5
    assert ("halving", "entry point outsider_halving") in manager.available("sampling")


def test_entry_point_that_is_not_named_is_never_imported(distribution: Distribution) -> None:
    distribution("halving", SAMPLER)
    manager = PluginManager()
    assert "outsider_halving" not in sys.modules
    with pytest.raises(LoadError, match="there is none of that name"):
        manager.find("sampling", "halving")


def test_naming_an_entry_point_that_is_not_installed_suggests_the_nearest(distribution: Distribution) -> None:
    distribution("halving", SAMPLER)
    assert "did you mean 'halving'?" in refusal(("halvign",))


def test_outsider_that_raises_on_import_is_refused_by_name(distribution: Distribution) -> None:
    distribution("broken", "raise RuntimeError('no such\\ncard')")
    message = refusal(("broken",))
    assert message == "plugin 'broken': outsider_broken cannot be imported: RuntimeError: no such card"


def test_outsider_that_exits_on_import_is_refused_by_name(distribution: Distribution) -> None:
    distribution("leaver", "import sys; sys.exit(3)")
    assert "'leaver'" in refusal(("leaver",))


def test_outsider_that_raises_on_registration_is_refused_by_name(distribution: Distribution) -> None:
    distribution(
        "shaky",
        """
        from agent.api import hookimpl

        @hookimpl
        def rebellion_register_collectors(register):
            register("good", print)
            raise OSError("no such device")
        """,
    )
    message = refusal(("shaky",))
    assert message.startswith("plugin 'shaky': ")
    assert "rebellion_register_collectors raised OSError: no such device" in message


def test_outsider_that_fails_leaves_nothing_behind_and_others_load(distribution: Distribution) -> None:
    distribution("halving", SAMPLER)
    distribution(
        "shaky",
        """
        from agent.api import hookimpl

        @hookimpl
        def rebellion_on_event(event):
            pass

        @hookimpl
        def rebellion_register_collectors(register):
            register("good", print)
            raise OSError
        """,
    )
    manager = PluginManager()
    errors = manager.load_outsiders(("shaky", "missing", "halving"))
    assert [error.plugin for error in errors] == ["shaky", "missing"]
    assert manager.find("sampling", "halving").name == "halving"
    assert "good" not in dict(manager.available("collectors"))
    assert manager.observers() == []


def test_misspelt_hook_is_refused_with_the_right_name(distribution: Distribution) -> None:
    distribution(
        "typist",
        """
        from agent.api import hookimpl

        @hookimpl
        def rebellion_register_colectors(register):
            pass
        """,
    )
    message = refusal(("typist",))
    assert "unknown hook 'rebellion_register_colectors'" in message
    assert "did you mean 'rebellion_register_collectors'?" in message


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("def rebellion_register_sinks(register): pass", "rebellion_register_sinks is not marked with @hookimpl"),
        ("x = 1", "has no @hookimpl at all"),
    ],
)
def test_outsider_without_marked_hooks_is_refused(distribution: Distribution, source: str, complaint: str) -> None:
    distribution("silent", source)
    assert complaint in refusal(("silent",))


def test_hook_that_asks_for_an_argument_that_does_not_exist_is_refused(distribution: Distribution) -> None:
    source = "from agent.api import hookimpl\n@hookimpl\ndef rebellion_register_sinks(registrar): pass\n"
    distribution("asking", source)
    assert "registrar" in refusal(("asking",))


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("register('cpu', print)", "the name is taken by plugins.collectors.cpu"),
        ("register('Upper Case', print)", "lower_snake_case"),
        ("register('gpu', None)", "the factory is not callable"),
        ("register('gpu', print, config=dict)", "config must be a msgspec.Struct type"),
        ("register('gpu', print); register('gpu', print)", "the name is taken by"),
    ],
)
def test_registration_that_breaks_the_rules_is_refused(distribution: Distribution, call: str, complaint: str) -> None:
    source = f"from agent.api import hookimpl\n@hookimpl\ndef rebellion_register_collectors(register): {call}\n"
    distribution("rules", source)
    assert complaint in refusal(("rules",))


def test_single_file_plugins_are_loaded_from_the_folder(folder: Path) -> None:
    (folder / "halving.py").write_text(dedent(SAMPLER))
    (folder / "_helper.py").write_text("raise RuntimeError")
    manager = PluginManager((), str(folder))
    assert manager.find("sampling", "halving").origin == str(folder / "halving.py")


def test_unchanged_file_gives_the_same_factory_after_a_reload(folder: Path) -> None:
    (folder / "halving.py").write_text(dedent(SAMPLER))
    first = PluginManager((), str(folder)).find("sampling", "halving")
    second = PluginManager((), str(folder)).find("sampling", "halving")
    assert first == second


def test_changed_file_is_imported_again(folder: Path) -> None:
    file = folder / "halving.py"
    file.write_text(dedent(SAMPLER))
    first = PluginManager((), str(folder)).find("sampling", "halving")
    file.write_text(dedent(SAMPLER).replace("0.5", "0.25"))
    second = PluginManager((), str(folder)).find("sampling", "halving")
    assert first.config is not None
    assert second.config is not None
    assert (first.config().keep_ratio, second.config().keep_ratio) == (0.5, 0.25)


def test_broken_file_is_refused_with_its_path(folder: Path) -> None:
    (folder / "half.py").write_text("def (")
    assert str(folder / "half.py") in refusal((), str(folder))


def test_file_that_everybody_can_write_is_refused(folder: Path) -> None:
    file = folder / "halving.py"
    file.write_text(dedent(SAMPLER))
    file.chmod(0o666)
    assert "can be written by everybody" in refusal((), str(folder))


def test_folder_that_does_not_exist_is_refused(folder: Path) -> None:
    assert "is not a folder" in refusal((), str(folder / "nowhere"))
