"""Every error code and SCIM error that the code base can answer, found in its syntax trees.

A code is a text in the source: the `code` of an error, of a `FieldError` or of a written body, or the default
of an error class. What is computed is followed to where it is given; what cannot be followed is an error, so
that no code can be invented where nobody sees it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from syncline.core import errors
from syncline.core.errors import SynclineError
from syncline.web import connections

SOURCE = Path(errors.__file__).resolve().parents[1]
ANY = "*"
"""Stands in a code for a part that is the name of a field."""


class Untraceable(Exception):
    """A code that is computed in a way that cannot be followed."""


@dataclass(slots=True)
class Found:
    """Codes of errors with their statuses, codes of fields, and SCIM statuses with their keyword or "".

    A code without a status is one that a body is written with, where the status is not next to it.
    """

    codes: dict[str, set[int]] = field(default_factory=dict)
    field_codes: set[str] = field(default_factory=set)
    scim: set[tuple[int, str]] = field(default_factory=set)


@cache
def found() -> Found:
    """Return everything that the product can answer."""
    result = Found()
    statuses = {kind.__name__: kind.status for kind in _subclasses(SynclineError)}
    for kind in _subclasses(SynclineError):
        result.codes.setdefault(kind.default_code, set()).add(kind.status)
    for path in sorted(SOURCE.rglob("*.py")):
        _Reader(path, statuses, result).read()
    # The one place where the status is a value that came over a call: the refusals of connections.
    for status, code in connections._CODES.items():
        result.codes.setdefault(code, set()).add(status)
        result.scim.add((status, ""))
    return result


def _subclasses(kind: type[SynclineError]) -> Iterator[type[SynclineError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _subclasses(child)


class _Reader:
    """Reads one module."""

    def __init__(self, path: Path, statuses: Mapping[str, int], result: Found) -> None:
        """`statuses`: those of the error classes, by name."""
        self._path = path
        self._tree = ast.parse(path.read_text("utf-8"))
        self._statuses = statuses
        self._result = result

    def read(self) -> None:
        """Add what the module answers."""
        for outer in [self._tree, *(node for node in ast.walk(self._tree) if _is_function(node))]:
            for node in _own_nodes(outer):
                if isinstance(node, ast.Call):
                    self._read_call(node, outer)
                elif isinstance(node, ast.Dict) and "web" in self._path.parts:
                    self._read_body(node, outer)

    def _read_call(self, call: ast.Call, outer: ast.AST) -> None:
        name = _called(call)
        if name == "FieldError":
            self._result.field_codes |= self._texts(_argument(call, "code", 1), outer)
        elif name == "ScimError":
            self._read_scim(call)
        elif name in self._statuses:
            given = _argument(call, "code", None)
            for text in self._texts(given, outer) if given is not None else ():
                self._result.codes.setdefault(text, set()).add(self._statuses[name])

    def _read_scim(self, call: ast.Call) -> None:
        status, keyword = _argument(call, "status", 0), _argument(call, "scim_type", 2)
        if isinstance(status, ast.Constant) and isinstance(status.value, int):
            text = keyword.value if isinstance(keyword, ast.Constant) and keyword.value else ""
            self._result.scim.add((status.value, str(text)))
        elif self._path.name != "connections.py":
            raise Untraceable(f"{self._path}:{call.lineno}: the status of a ScimError")

    def _read_body(self, node: ast.Dict, outer: ast.AST) -> None:
        written = {
            key.value: value
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
        }
        code = written.get("code")
        # `error.code` is written elsewhere, and connections are read as a whole.
        if "message" in written and not isinstance(code, ast.Attribute | ast.Subscript):
            for text in self._texts(code, outer):
                # A sentence about a code is none.
                if " " not in text:
                    self._result.codes.setdefault(text, set())

    def _texts(self, node: ast.expr | None, outer: ast.AST) -> set[str]:
        """Return the texts an expression can be."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return {node.value}
        if isinstance(node, ast.IfExp):
            return self._texts(node.body, outer) | self._texts(node.orelse, outer)
        if isinstance(node, ast.JoinedStr):
            return self._joined(node, outer)
        if isinstance(node, ast.Name) and isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
            return self._given(node.id, outer)
        if isinstance(node, ast.Constant) and node.value is None:
            return set()
        line = node.lineno if node is not None else 0
        raise Untraceable(f"{self._path}:{line}: a code that is computed")

    def _joined(self, node: ast.JoinedStr, outer: ast.AST) -> set[str]:
        """Return the forms of an f-string; a part that cannot be known is `ANY`."""
        forms = {""}
        for part in node.values:
            if isinstance(part, ast.Constant):
                endings = {str(part.value)}
            else:
                assert isinstance(part, ast.FormattedValue)
                endings = self._texts(part.value, outer) if isinstance(part.value, ast.IfExp) else {ANY}
            forms = {form + ending for form in forms for ending in endings}
        return forms

    def _given(self, name: str, outer: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
        """Return what the callers in this module pass for a parameter."""
        arguments = [one.arg for one in (*outer.args.posonlyargs, *outer.args.args) if one.arg != "self"]
        keywords = [one.arg for one in outer.args.kwonlyargs]
        if name not in (*arguments, *keywords):
            raise Untraceable(f"{self._path}:{outer.lineno}: {name} in {outer.name}")
        position = arguments.index(name) if name in arguments else None
        texts: set[str] = set()
        for call in (node for node in ast.walk(self._tree) if isinstance(node, ast.Call)):
            given = _argument(call, name, position) if _called(call) == outer.name else None
            if given is not None:
                texts |= self._texts(given, self._tree)
        return texts


def _own_nodes(outer: ast.AST) -> Iterator[ast.AST]:
    """Walk a module or function without the functions inside it."""
    todo = list(ast.iter_child_nodes(outer))
    while todo:
        node = todo.pop()
        yield node
        if not _is_function(node):
            todo.extend(ast.iter_child_nodes(node))


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _argument(call: ast.Call, name: str, position: int | None) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is not None and len(call.args) > position:
        return call.args[position]
    return None
