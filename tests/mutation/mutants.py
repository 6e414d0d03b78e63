"""
Small wrong changes to a module, one at a time, as mutmut's operators make them.

Only mutmut's operators are used. Its runner leaves a frame of its own, with every argument as a local, in each call,
which is a leak to the hunt that runs in every test. Without its frames decorated functions, properties and constants
can be changed as well.
"""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import libcst as cst
import libcst.matchers as m
from attrs import frozen
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import deep_replace
from mutmut.mutation.mutators import mutation_operators

# A wrong type of these raises wherever it runs, and names given to the type checker do nothing.
_LEFT_ALONE: Final = frozenset({"isinstance", "len"})


@frozen
class Mutant:
    """One changed module, and how the change reads."""

    module: str
    #: Such as `Crew._start`; empty for what stands outside of functions.
    function: str
    #: The lines that differ, without their indentation, joined by one space each.
    was: str
    becomes: str
    #: The statement's lines: a test that runs none of them cannot notice.
    lines: range
    source: str

    @property
    def name(self) -> tuple[str, str, str, str]:
        """What it is known by in the list of survivors."""
        return self.module, self.function, self.was, self.becomes


class _Finder(cst.CSTVisitor):
    """Collects what may be changed: the old node, the new one, the function around it, the statement's lines."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, str, range]] = []
        self._path: list[str] = []
        self._depth_of_functions = 0
        self._statements: list[range] = [range(1, 2)]

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom) or _is_for_types(node):
            return False
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._path.append(node.name.value)
        if isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
            self._statements.append(self._lines_of(node))
        if isinstance(node, cst.Assign) and m.matches(node.value, m.Call(func=m.Name("TypeVar"))):
            return False
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Name):
            if node.func.value in _LEFT_ALONE:
                return False
            if node.func.value == "cast":  # does nothing; what it is done to may
                node.args[1].visit(self)
                return False
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                self.found += [
                    (node, changed, ".".join(self._path), self._statements[-1])
                    for changed in operator(node)
                    if not _is_only_louder(node, changed)
                ]
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef) and not _is_for_types(original_node):
            self._path.pop()
        if isinstance(original_node, cst.SimpleStatementLine | cst.BaseCompoundStatement) and not _is_for_types(
            original_node
        ):
            self._statements.pop()

    def _lines_of(self, node: cst.CSTNode) -> range:
        place = self.get_metadata(PositionProvider, node)
        body = getattr(node, "body", None)
        if isinstance(node, cst.BaseCompoundStatement) and isinstance(body, cst.CSTNode):
            # Of a compound statement its head only; what is inside has statements of its own.
            return range(
                place.start.line, max(place.start.line + 1, self.get_metadata(PositionProvider, body).start.line)
            )
        return range(place.start.line, place.end.line + 1)


def _is_for_types(node: cst.CSTNode) -> bool:
    """Whether nothing of it ever runs."""
    if isinstance(node, cst.If):
        return isinstance(node.test, cst.Name) and node.test.value == "TYPE_CHECKING"
    return isinstance(node, cst.ClassDef) and any(
        isinstance(base.value, cst.Name) and base.value.value == "Protocol" for base in node.bases
    )


def _is_only_louder(node: cst.CSTNode, changed: cst.CSTNode) -> bool:
    """Whether a text is changed to upper or lower case only; the same text is also changed altogether."""
    return (
        isinstance(node, cst.SimpleString)
        and isinstance(changed, cst.SimpleString)
        and node.value.lower() == changed.value.lower()
    )


def mutants_of(root: Path, module: str) -> Iterator[Mutant]:
    """Yield every change to `module`, a path below `root`."""
    source = (root / module).read_text()
    wrapper = MetadataWrapper(cst.parse_module(source))
    finder = _Finder()
    wrapper.visit(finder)
    before = source.splitlines()
    for node, changed, function, lines in finder.found:
        mutated = deep_replace(wrapper.module, node, changed)
        assert isinstance(mutated, cst.Module)
        after = mutated.code.splitlines()
        yield Mutant(
            module,
            function,
            was=_differing(after, before),
            becomes=_differing(before, after),
            lines=lines,
            source=mutated.code,
        )


def _differing(other: Sequence[str], these: Sequence[str]) -> str:
    """Return the lines of `these` that `other` lacks."""
    changes = difflib.SequenceMatcher(None, other, these, autojunk=False).get_opcodes()
    return " ".join(line.strip() for tag, _, _, begin, end in changes if tag != "equal" for line in these[begin:end])
