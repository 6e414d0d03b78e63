"""
Where the library makes its errors: read off its source, and noticed when it happens.

A place is the end of an expression in a file: both the syntax tree and a running frame know it exactly.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest
from attrs import field, frozen

import daxko_auth
from daxko_auth import DaxkoAuthError
from daxko_auth.model import errors

_LIBRARY: Final = Path(daxko_auth.__file__).parent
_ERRORS: Final = Path(errors.__file__)


@frozen
class Site:
    """A place in the source where an error gets its message."""

    file: str
    line: int
    column: int
    #: For people: the line where it begins.
    begins: int = field(eq=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.begins}"

    @classmethod
    def of(cls, path: Path, node: ast.expr) -> "Site":
        """Return where that expression ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return cls(str(path.relative_to(_LIBRARY)), node.end_lineno, node.end_col_offset, node.lineno)

    @classmethod
    def reached_by(cls, frame: FrameType) -> "Site":
        """Return what that frame is in the middle of."""
        position = list(frame.f_code.co_positions())[frame.f_lasti // 2]
        begins, ends, _, column = position
        path = Path(frame.f_code.co_filename).relative_to(_LIBRARY)
        return cls(str(path), ends or 0, column or 0, begins or 0)


def sites() -> set[Site]:
    """
    Return every place that constructs an error, calls a function that does nothing else, or words an error anew.

    Found by the names of the error classes, and by local names for one of several of them.
    """
    modules = {path: ast.parse(path.read_text("utf-8")) for path in _LIBRARY.rglob("*.py") if path != _ERRORS}
    kinds = {kind.__name__ for kind in _subclasses(DaxkoAuthError)}
    makers = {maker for module in modules.values() for maker in _makers(module, kinds)}
    return {Site.of(path, node) for path, module in modules.items() for node in _makings(module, kinds, makers)}


def _subclasses(kind: type[DaxkoAuthError]) -> Iterator[type[DaxkoAuthError]]:
    yield kind
    for each in kind.__subclasses__():
        if each.__module__.startswith("daxko_auth"):
            yield from _subclasses(each)


def _functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
        case _:
            return ""


def _kinds_in(function: ast.AST, kinds: set[str]) -> set[str]:
    """Return the names that stand for error classes in this function."""
    here = set(kinds)
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and not (isinstance(node.value, ast.Call) and _name(node.value.func) in kinds):
            mentioned = {_name(part) for part in ast.walk(node.value) if isinstance(part, ast.Name | ast.Attribute)}
            if mentioned & kinds:
                here |= {_name(target) for target in node.targets}
    return here


def _makers(module: ast.Module, kinds: set[str]) -> Iterator[str]:
    for function in _functions(module):
        returns = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
        here = _kinds_in(function, kinds)
        if returns and all(isinstance(made, ast.Call) and _name(made.func) in here for made in returns):
            yield function.name


def _makings(module: ast.Module, kinds: set[str], makers: set[str]) -> Iterator[ast.expr]:
    here = {function: _kinds_in(function, kinds) for function in _functions(module)}
    for scope, names in [(module, kinds), *here.items()]:
        for node in ast.walk(scope):
            match node:
                case ast.Call() if _name(node.func) in names | makers:
                    yield node
                # A log record has arguments as well.
                case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=named), attr="args") as reworded]) if (
                    named != "record"
                ):
                    yield reworded
                case _:
                    pass


class Reached:
    """The places that were reached while this watched."""

    def __init__(self) -> None:
        self.known = sites()
        self.sites: set[Site] = set()
        #: Where an error was made at a place that is not known.
        self.unknown: set[Site] = set()

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Notice whatever becomes of an error from here on."""
        construct, set_attribute = DaxkoAuthError.__init__, DaxkoAuthError.__setattr__

        def constructed(error: DaxkoAuthError, *args: Any, **options: Any) -> None:
            self._note(sys._getframe(1))
            construct(error, *args, **options)

        def reworded(error: DaxkoAuthError, name: str, value: object) -> None:
            if name == "args":
                self._note(sys._getframe(1))
            set_attribute(error, name, value)

        monkeypatch.setattr(DaxkoAuthError, "__init__", constructed)
        monkeypatch.setattr(DaxkoAuthError, "__setattr__", reworded)

    def _note(self, frame: FrameType | None) -> None:
        # Others listen as well, and the classes call each other.
        while frame is not None and not self._is_ours(frame) and _is_passed_through(frame):
            frame = frame.f_back
        if frame is not None and self._is_ours(frame) and Site.reached_by(frame) not in self.known:
            self.unknown.add(Site.reached_by(frame))
        while frame is not None and self._is_ours(frame):
            self.sites.add(Site.reached_by(frame))
            frame = frame.f_back

    def _is_ours(self, frame: FrameType) -> bool:
        path = Path(frame.f_code.co_filename)
        return path.is_relative_to(_LIBRARY) and path != _ERRORS


def _is_passed_through(frame: FrameType) -> bool:
    return frame.f_code.co_filename == str(_ERRORS) or "/tests/" in frame.f_code.co_filename
