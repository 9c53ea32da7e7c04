"""Small changes to a program, one at a time, each of which a test ought to notice."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Mutant", "mutants_of"]

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.RShift: ast.LShift,
}
_NAMES = {"min": "max", "max": "min", "all": "any", "any": "all"}


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        module: Dotted name of the changed module.
        line: Where, in the unchanged source.
        change: What became of it, in a few words.
        source: The changed module.
    """

    module: str
    line: int
    change: str
    source: str


def mutants_of(module: str, source: str) -> Iterator[Mutant]:
    """Every change of a module: comparisons, operators, constants, conditions, results, and statements left out."""
    tree = ast.parse(source)
    places = [node for node in _that_run(tree) if hasattr(node, "lineno")]
    for place, node in enumerate(places):
        for change, count in _changes_of(node):
            changed = copy.deepcopy(tree)
            twin = [other for other in _that_run(changed) if hasattr(other, "lineno")][place]
            words = _apply(changed, twin, change, count)
            yield Mutant(module, node.lineno, words, ast.unparse(ast.fix_missing_locations(changed)))


def _that_run(tree: ast.AST) -> Iterator[ast.AST]:
    """What does something at run time and is no text: neither annotations, nor names to be exported, nor docstrings."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_inert(child):
                yield child
                yield from _that_run(child)


def _is_inert(node: ast.AST) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr)):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(
            isinstance(target, ast.Name) and target.id in ("__all__", "__slots__", "P", "T") for target in targets
        )
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name):
        return node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.FunctionDef):
        return node.name == "__repr__"
    return False


def _changes_of(node: ast.AST) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Compare):
        yield from (("compare", number) for number in range(len(node.ops)))
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _OPERATORS:
        yield ("operator", 0)
    elif isinstance(node, ast.BoolOp):
        yield ("and/or", 0)
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        yield ("negate", 0)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield ("drop sign", 0)
    elif isinstance(node, ast.Constant) and not isinstance(node.value, str) and node.value not in (None, ...):
        yield ("constant", 0)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in _NAMES:
        yield ("name", 0)
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield ("return None", 0)
    elif isinstance(node, ast.Expr) or (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute)):
        yield ("leave out", 0)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _apply(tree: ast.Module, node: ast.AST, change: str, number: int) -> str:
    """Change the node in its tree; what was done, in words."""
    before = ast.unparse(node).splitlines()[0][:70]
    if isinstance(node, ast.Compare):
        node.ops[number] = _COMPARISONS[type(node.ops[number])]()
    elif isinstance(node, (ast.BinOp, ast.AugAssign)):
        node.op = _OPERATORS[type(node.op)]()
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.Constant):
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1  # type: ignore[operator]  # numbers only
    elif isinstance(node, ast.Name):
        node.id = _NAMES[node.id]
    elif isinstance(node, ast.Return):
        node.value = ast.Constant(None)
    elif isinstance(node, ast.UnaryOp):
        _replace(tree, node, node.operand)
    else:
        _replace(tree, node, ast.Pass())
    return f"{change}: {before}"


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, ast.copy_location(new, old))
            elif isinstance(value, list) and any(item is old for item in value):
                value[:] = [ast.copy_location(new, old) if item is old else item for item in value]
