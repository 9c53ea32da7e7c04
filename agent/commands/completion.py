"""`rebellion completion`: what a shell needs in order to complete words of the command."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

__all__ = ["SHELLS", "completion_script", "every_parser"]

SHELLS = ("bash", "zsh", "fish")
FILES = {"config", "file", "other", "svg", "scores"}
FOLDERS = {"dir", "destination"}
"""Arguments whose values are files and folders, by destination."""


def completion_script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script, for `source`, or for the shell's own folder of completions.

    Args:
        parser: Of the whole command.
        shell: One of `SHELLS`.
    """
    import shtab

    for _, inner in every_parser(parser):
        for action in inner._actions:  # noqa: SLF001 - argparse has no other way to look at a parser
            if action.dest in FILES | FOLDERS:
                action.complete = shtab.FILE if action.dest in FILES else shtab.DIRECTORY  # type: ignore[attr-defined]  # shtab's
    script: str = shtab.complete(parser, shell=shell)
    return script.rstrip() + "\n"


def every_parser(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """The parser and all below it, each with the words that lead to it, in the order of the help."""
    yield words, parser
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to look at a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for word, inner in action.choices.items():
                yield from every_parser(inner, (*words, word))
