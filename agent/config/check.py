"""Walks a table beside the struct that it must fit, and collects every problem instead of the first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from agent.config.tree import KeyPath, Tree, dotted
from agent.config.wording import complaint, did_you_mean, masked, shown
from agent.errors import ConfigProblem

__all__ = ["Checker"]

StructType = TypeVar("StructType", bound=msgspec.Struct)

_UNUSABLE: Any = object()


class Checker:
    """Checks the values of one tree.

    Args:
        tree: Where the values come from; names the source of each problem.
        environ: For `$CREDENTIALS_DIRECTORY`.

    Attributes:
        problems: Everything found so far.
    """

    def __init__(self, tree: Tree, environ: Mapping[str, str]) -> None:
        self.problems: list[ConfigProblem] = []
        self._tree = tree
        self._credentials_dir = environ.get("CREDENTIALS_DIRECTORY", "")

    def report(self, path: KeyPath, message: str, hint: str = "") -> None:
        """Add a problem of the key at this path."""
        self.problems.append(ConfigProblem(self._tree.source_of(path), dotted(path), message, hint))

    def parse(
        self, struct: type[StructType], table: Any, path: KeyPath, *, also_known: tuple[str, ...] = ()
    ) -> StructType | None:
        """The struct that a table gives; None when it cannot be made. Problems are collected.

        Args:
            struct: What the table must fit.
            table: The value as it stands in the file.
            path: Where it stands.
            also_known: Keys that belong to somebody else: not this struct's, but offered when a key is misspelt.
        """
        if not isinstance(table, dict):
            self.report(path, f"must be a table (got {shown(str(path[-1]), table)})")
            return None
        before = len(self.problems)
        usable, missing = self._usable(struct, table, path, also_known)
        if missing:
            return None
        try:
            made = msgspec.convert(usable, struct)
        except msgspec.ValidationError as error:
            self._report_whole(struct, str(error), path)
            return None
        return made if len(self.problems) == before else None

    def _usable(
        self, struct: type[msgspec.Struct], table: Mapping[str, Any], path: KeyPath, also_known: tuple[str, ...]
    ) -> tuple[dict[str, Any], bool]:
        """The part of the table that is right by itself, and whether a key that must be set is missing."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
        usable = {}
        missing = False
        for key, value in table.items():
            if key not in fields:
                self.report((*path, key), "there is no such key", did_you_mean(key, {*fields, *also_known}))
                continue
            checked = self._check(fields[key].type, value, (*path, key))
            if checked is not _UNUSABLE:
                usable[key] = checked
            missing |= checked is _UNUSABLE and fields[key].required
        for key, field in fields.items():
            if field.required and key not in table:
                self.report((*path, key), "must be set")
                missing = True
        return usable, missing

    def _check(self, expected: Any, value: Any, path: KeyPath) -> Any:
        bare = get_args(expected)[0] if get_origin(expected) is Annotated else expected
        if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
            made = self.parse(bare, value, path)
            return _UNUSABLE if made is None else msgspec.to_builtins(made)
        inner = get_args(bare)
        if get_origin(bare) in {tuple, list} and isinstance(value, list):
            value = [self._check(inner[0], item, (*path, index)) for index, item in enumerate(value)]
            if any(item is _UNUSABLE for item in value):
                return _UNUSABLE
        elif get_origin(bare) is dict and inner[1] is not Any and isinstance(value, dict):
            value = {key: self._check(inner[1], item, (*path, key)) for key, item in value.items()}
            if any(item is _UNUSABLE for item in value.values()):
                return _UNUSABLE
        return self._check_leaf(expected, bare, value, path)

    def _check_leaf(self, expected: Any, bare: Any, value: Any, path: KeyPath) -> Any:
        key = str(path[-1])
        raw = self._tree.raw(path)
        if raw is not None and bare is str:
            value = raw if not isinstance(value, str) else value
        if isinstance(value, float) and not math.isfinite(value):
            self.report(path, f"must be a finite number (got {value})")
            return _UNUSABLE
        try:
            msgspec.convert(value, expected)
        except msgspec.ValidationError as error:
            self.report(path, complaint(error, bare, key, value))
            return _UNUSABLE
        if bare is str and value and key.endswith(("_file", "_dir")):
            return self._resolve(value, path)
        return value

    def _resolve(self, value: str, path: KeyPath) -> Any:
        """A path made absolute: a credential of that name, else beside the file that says it. Files must be readable."""
        place = Path(self._credentials_dir, value)
        if not self._credentials_dir or not place.is_file():
            place = (self._tree.folder_of(path) / value).absolute()
        if str(path[-1]).endswith("_file"):
            try:
                with place.open("rb"):
                    pass
            except OSError as error:
                self.report(path, f"cannot be read (got {value!r}): {error.strerror}", f"looked for {place}")
                return _UNUSABLE
        return str(place)

    def _report_whole(self, struct: type[msgspec.Struct], message: str, path: KeyPath) -> None:
        """A struct's own check failed; a message that begins with a key (`url must ...`) is put at that key."""
        key, _, rest = str(masked("", message)).partition(" ")
        if key.removesuffix(":") in struct.__struct_encode_fields__ and rest:
            self.report((*path, key.removesuffix(":")), rest)
        else:
            self.report(path, str(masked("", message)))
