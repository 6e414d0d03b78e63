"""
Tests that a page names: `[folder/file.py::test_name](<way to tests/>folder/file.py)`, and whether each exists and runs.
"""

import ast
import re
from pathlib import Path
from typing import Final

_LINK: Final = re.compile(r"\[([\w/]+\.py)::([\w:]+)\]\(([\w./]+)\)")
_NOT_RUN: Final = frozenset({"skip", "xfail", "skipTest"})


def wrong_with(entry: str, tests: Path, *, way: str) -> str:
    """Return what is wrong with a link to one of these tests, or nothing; `way` leads from the page to them."""
    link = _LINK.fullmatch(entry)
    if link is None:
        return f"no link to a test: {entry}"
    file, name, target = link.groups()
    if way + file != target:
        return f"the link of {entry} leads to another file"
    if not (tests / file).is_file():
        return f"there is no {file}"
    tree = ast.parse((tests / file).read_text("utf-8"))
    scope: ast.AST = tree
    for part in name.split("::"):
        if _is_not_run(scope):
            return f"{file}::{name} is not run"
        scope = next((node for node in ast.iter_child_nodes(scope) if part in _names(node)), ast.Pass())
    if isinstance(scope, ast.Pass) or not name.rpartition(":")[2].startswith(("test", "Test")):
        return f"there is no test {name} in {file}"
    return f"{file}::{name} is not run" if _is_not_run(scope) else ""


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):  # TestTokenLife = TokenLife.TestCase
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case _:
            return []


def _is_not_run(scope: ast.AST) -> bool:
    """Whether a test, or all of a class or a file, is skipped or expected to fail, whatever the machine."""
    match scope:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            # A call in the body that stands in no `if` skips, too.
            calls = [node.value for node in scope.body if isinstance(node, ast.Expr)]
            marks = [*scope.decorator_list, *(call for call in calls if isinstance(call, ast.Call))]
        case ast.ClassDef():
            marks = [*scope.decorator_list, *_pytestmark(scope)]
        case ast.Module():
            marks = _pytestmark(scope)
        case _:
            return False
    return any(
        isinstance(node, ast.Attribute) and node.attr in _NOT_RUN and "pytest" in ast.unparse(node)
        for mark in marks
        for node in ast.walk(mark)
    )


def _pytestmark(scope: ast.Module | ast.ClassDef) -> list[ast.AST]:
    return [node for node in scope.body if "pytestmark" in _names(node)]
