"""PATCH: operations read once, applied in order to a copy, all or nothing (`scim.md` §7.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from syncline.core.json import Json
from syncline.core.scim.assign import Document, assign, read, refuse_read_only, unset, write
from syncline.core.scim.errors import (
    invalid_path,
    invalid_syntax,
    invalid_value,
    mutability,
    no_target,
)
from syncline.core.scim.expand import expand
from syncline.core.scim.filter import Comparison, Filter, Operator, Or, equality_terms
from syncline.core.scim.members import (
    AddMembers,
    ClearMembers,
    MemberStep,
    RemoveMatching,
    RemoveMembers,
    ReplaceMembers,
)
from syncline.core.scim.names import AttributePath
from syncline.core.scim.normalize import is_never_taken, is_password, member_ids, without_password
from syncline.core.scim.path import PatchPath, parse_path
from syncline.core.scim.quirks import Quirks, quirk
from syncline.core.scim.schema import ENTERPRISE_URN, PATCH_OP_URN, ResourceKind, is_core_urn

Op = Literal["add", "replace", "remove"]
_MISSING = object()
_NO_STATE = "active must be true or false; it cannot be cleared."


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on attributes other than members; `value` is None for a removal of everything."""

    index: int
    op: Op
    path: str | None
    value: Json


@dataclass(frozen=True, slots=True)
class PatchRequest:
    """A PATCH body that can be read: operations on attributes, and steps on a group's members."""

    kind: ResourceKind
    operations: tuple[Operation, ...]
    member_steps: tuple[MemberStep, ...] = ()
    quirks: frozenset[str] = frozenset()

    @property
    def only_members(self) -> bool:
        """Whether nothing but members is asked about."""
        return not self.operations


@dataclass(frozen=True, slots=True)
class Patched:
    """A document after a PATCH, its raw form (None if equal to the document), and what was needed."""

    document: Document
    raw: Document | None
    quirks: frozenset[str]
    member_steps: tuple[MemberStep, ...] = ()


@quirk("M-02", "`operations` in lower case, no `schemas`")
@quirk("G-05", "`op` in any case")
def parse_operations(body: Json, kind: ResourceKind) -> PatchRequest:
    """Read a PatchOp body.

    Raises `ScimError` 400: `invalidSyntax` for a body or `op` that is none, `invalidValue` for a missing
    value, `invalidPath`, `noTarget` for a removal without path. Details name the operation's index.
    """
    fields = _fields(body)
    quirks = Quirks()
    if PATCH_OP_URN not in _texts(fields.get("schemas")):
        quirks.note("M-02")
    listed = fields.get("operations")
    if isinstance(listed, dict):
        listed = [listed]
    if not isinstance(listed, list):
        raise invalid_syntax("The body must carry an array of Operations.")
    operations: list[Operation] = []
    steps: list[MemberStep] = []
    for index, entry in enumerate(listed):
        operation = _operation(entry, index, quirks)
        if kind is ResourceKind.GROUP:
            operations.extend(_without_members(operation, steps, quirks))
        else:
            operations.append(operation)
    return PatchRequest(kind, tuple(operations), tuple(steps), frozenset(quirks))


def patch_user(
    document: Document, raw: Document | None, request: PatchRequest, *, user_id: str | None = None
) -> Patched:
    """Apply a request to a user's document; the arguments stay as they are.

    A request that names another id than `user_id` is refused. Raises `ScimError` 400 naming the operation;
    then nothing has been applied.
    """
    return _patched(user_id, document, raw, request)


def patch_group(group_id: str, document: Document, raw: Document | None, request: PatchRequest) -> Patched:
    """Apply a request to a group's document; its members are left to `member_steps`. Raises as above."""
    return _patched(group_id, document, raw, request)


def _patched(
    resource_id: str | None, document: Document, raw: Document | None, request: PatchRequest
) -> Patched:
    work = _Work(resource_id, document, raw, request)
    for operation in request.operations:
        work.apply(operation)
    return Patched(work.document, work.raw, frozenset(work.quirks), request.member_steps)


class _Work:
    """The copy of one resource that operations are applied to."""

    def __init__(
        self, resource_id: str | None, document: Document, raw: Document | None, request: PatchRequest
    ) -> None:
        self.kind = request.kind
        self.document = dict(document)
        self.raw = raw if raw is None else dict(raw)
        self.quirks = Quirks(request.quirks)
        self._id = resource_id

    @quirk("E-03", "in order, on one copy")
    @quirk("G-16", "all or nothing")
    @quirk("O-09", "a replace without path")
    def apply(self, operation: Operation) -> None:
        extensions = [key for key in self.document if key[:4] == "urn:" and key != ENTERPRISE_URN]
        named = len(operation.value) if isinstance(operation.value, dict) else 0
        self.quirks.spend(len(self.document) + len(extensions) * (1 + named))
        if operation.path is None:
            if not isinstance(operation.value, dict):
                raise invalid_value(
                    f"Operation {operation.index}: without a path the value must be an object."
                )
            pairs = list(expand(operation.value, self.kind, extensions=extensions, quirks=self.quirks))
            for path, value in pairs:
                self._apply_to(path, operation.op, value)
            return
        path = parse_path(operation.path, self.kind, extensions=extensions, quirks=self.quirks)
        if path.attribute.is_whole_object and _is_modeled(path.attribute, self.kind):
            self._apply_to_schema(path, operation, extensions)
            return
        self._apply_to(path, operation.op, operation.value)

    def _apply_to_schema(self, path: PatchPath, operation: Operation, extensions: list[str]) -> None:
        """Apply an operation whose path is the URN of a schema we model."""
        if operation.op == "remove":
            if path.attribute.urn != ENTERPRISE_URN:
                raise mutability(f"{path.attribute.urn} cannot be removed.")
            unset(self.document, path, None, quirks=self.quirks)
            self._update_raw(path.attribute, _MISSING)
            return
        value: dict[str, Json] = {str(path.attribute.urn): operation.value}
        for inner, part in expand(value, self.kind, extensions=extensions, quirks=self.quirks):
            self._apply_to(inner, operation.op, part)

    def _apply_to(self, path: PatchPath, op: Op, value: Json) -> None:
        if is_never_taken(path):
            self._refuse_other_id(path, op, value)
            return
        if op == "remove":
            refuse_read_only(path)
            self._keep_required(path)
            unset(self.document, path, value, quirks=self.quirks)
            self._update_raw(path.attribute, _MISSING)
            return
        is_whole = path.value_filter is None and path.sub is None
        is_state = is_whole and path.attribute.urn is None and path.attribute.name == "active"
        if is_state and not _says(value):
            if op == "add":
                return
            raise invalid_value(_NO_STATE)
        value = without_password(path, value)
        assign(self.document, path, value, add=op == "add", quirks=self.quirks)
        if is_state and "active" not in self.document:
            raise invalid_value(_NO_STATE)
        self._keep_required(path)
        self._update_raw(path.attribute, value if is_whole else _MISSING)

    def _keep_required(self, path: PatchPath) -> None:
        definition = path.attribute.attribute
        if definition is None or not definition.required:
            return
        held = self.document.get(definition.name)
        if not isinstance(held, str) or not held.strip():
            raise invalid_value(f"{definition.name} is required and must not be blank.")

    @quirk("O-11", "an equal id is ignored, a differing one refused")
    def _refuse_other_id(self, path: PatchPath, op: Op, value: Json) -> None:
        name = path.attribute.name
        if is_password(name):
            self.quirks.note("O-02")
            return
        if op == "remove":
            raise mutability(f"{name} is read-only.")
        if name == "id" and self._id is not None and value is not None and value != self._id:
            raise mutability("id is read-only; the value differs from the id of the resource.")

    def _update_raw(self, path: AttributePath, sent: object) -> None:
        """Let the raw form follow: the value as sent where it names the whole attribute, else as stored."""
        if self.raw is not None:
            self.quirks.spend(3 * len(self.raw))
        if self.raw is None and sent is not _MISSING and _holds_equal(self.document, path, sent):
            return
        if self.raw is None:
            if sent is _MISSING:
                return
            self.raw = dict(self.document)
        held = None if path.is_whole_object else read(self.document, path)
        if path.is_whole_object:
            _forget(self.raw, str(path.urn))
            extension = next((k for k in self.document if k.lower() == str(path.urn).lower()), None)
            if extension is not None:
                self.raw[extension] = self.document[extension]
            return
        _forget_attribute(self.raw, path, self.kind)
        if held is not None:
            shown: Json = held
            if isinstance(sent, str | int | float | bool | list):
                shown = sent
            write(self.raw, path, shown)


def _operation(entry: Json, index: int, quirks: Quirks) -> Operation:
    if not isinstance(entry, dict):
        raise invalid_syntax(f"Operation {index} must be an object.")
    fields = _fields(entry)
    named = fields.get("op")
    op = named.strip().lower() if isinstance(named, str) else None
    if op not in ("add", "replace", "remove"):
        raise invalid_syntax(f"Operation {index}: op must be add, replace or remove.")
    if named != op:
        quirks.note("G-05")
    path = fields.get("path")
    if path is not None and not isinstance(path, str):
        raise invalid_path(f"Operation {index}: the path must be a string.")
    path = path.strip() if path else None
    value = fields.get("value", _MISSING)
    if op == "remove":
        if not path:
            raise no_target(f"Operation {index}: a remove needs a path; nothing was removed.")
        return Operation(index, "remove", path, None if value is _MISSING else fields["value"])
    if value is _MISSING:
        raise invalid_value(f"Operation {index}: {op} needs a value.")
    return Operation(index, "add" if op == "add" else "replace", path or None, fields["value"])


def _without_members(operation: Operation, steps: list[MemberStep], quirks: Quirks) -> Iterator[Operation]:
    """Turn what an operation says about members into steps and yield the rest of it."""
    if operation.path is None:
        if not isinstance(operation.value, dict):
            raise invalid_value(f"Operation {operation.index}: without a path the value must be an object.")
        rest: Document = {}
        for key, value in operation.value.items():
            if key.lower() == "members" or _is_core_members(key):
                steps.extend(_whole_steps(operation.op, value, quirks))
            elif isinstance(value, dict) and is_core_urn(key, ResourceKind.GROUP):
                inner = Operation(operation.index, operation.op, None, value)
                for kept in _without_members(inner, steps, quirks):
                    rest[key] = kept.value
            else:
                rest[key] = value
        if rest or not operation.value:
            yield Operation(operation.index, operation.op, None, rest)
        return
    path = parse_path(operation.path, ResourceKind.GROUP, quirks=quirks)
    if path.attribute.urn is not None or path.attribute.name != "members":
        yield operation
    elif path.value_filter is None:
        if path.sub is not None and path.sub != "value":
            raise mutability(f"members.{path.sub} is made by the server.")
        steps.extend(_whole_steps(operation.op, operation.value, quirks))
    else:
        steps.extend(_filtered_steps(path, path.value_filter, operation, quirks))


def _is_core_members(key: str) -> bool:
    head, _, last = key.rpartition(":")
    return last.lower() == "members" and is_core_urn(head, ResourceKind.GROUP)


@quirk("G-13", "a bare remove empties the group")
@quirk("E-13", "removal by a value array")
@quirk("O-12", "in the order sent")
def _whole_steps(op: Op, value: Json, quirks: Quirks) -> Iterator[MemberStep]:
    if op == "remove":
        if value is None:
            quirks.note("G-13")
            yield ClearMembers()
        else:
            yield RemoveMembers(member_ids(value, quirks))
        return
    ids = member_ids(value, quirks)
    if op == "replace":
        yield ReplaceMembers(ids)
    elif ids:
        yield AddMembers(ids)


@quirk("E-13", "removal by a filter path")
@quirk("E-23", "add on a filter path")
def _filtered_steps(
    path: PatchPath, condition: Filter, operation: Operation, quirks: Quirks
) -> Iterator[MemberStep]:
    ids = _ids_of(condition)
    if operation.op == "remove":
        if path.sub is not None and path.sub != "value":
            raise mutability(f"members.{path.sub} is made by the server.")
        yield RemoveMembers(ids) if ids is not None else RemoveMatching(condition)
        return
    terms = equality_terms(condition)
    named = terms.get("value") if terms is not None else None
    if not isinstance(named, str):
        raise no_target(f"Operation {operation.index}: the filter of the path names no member.")
    given = operation.value
    if path.sub in (None, "value") and given is not None and given != "":
        wanted = member_ids(given if path.sub is None and _names_member(given) else named, quirks)
        if path.sub == "value":
            wanted = member_ids(given, quirks)
        if wanted != (named,):
            raise mutability(f"Operation {operation.index}: a member's value cannot be changed.")
    quirks.note("E-23")
    yield AddMembers((named,))


def _names_member(value: Json) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_names_member(entry) for entry in value)
    return isinstance(value, str) or (isinstance(value, dict) and any(k.lower() == "value" for k in value))


def _ids_of(condition: Filter) -> tuple[str, ...] | None:
    """Return the ids of a filter that is nothing but `value eq "id"`, alone or joined by `or`."""
    found: list[str] = []
    for term in condition.terms if isinstance(condition, Or) else (condition,):
        if (
            not isinstance(term, Comparison)
            or term.operator is not Operator.EQ
            or term.path.sub not in (None, "value")
            or not isinstance(term.value, str)
        ):
            return None
        found.append(term.value)
    return tuple(found)


def _says(value: Json) -> bool:
    """Tell whether a value for `active` says anything."""
    only = value[0] if isinstance(value, list) and len(value) == 1 else value
    return only is not None and only not in ("", [], {})


def _is_modeled(path: AttributePath, kind: ResourceKind) -> bool:
    return path.urn is not None and (path.urn == ENTERPRISE_URN or is_core_urn(path.urn, kind))


def _holds_equal(document: Mapping[str, Json], path: AttributePath, sent: object) -> bool:
    return not path.is_whole_object and read(document, path) == sent


def _forget_attribute(raw: Document, path: AttributePath, kind: ResourceKind) -> None:
    """Take an attribute out of a raw body, wherever and however the client had spelled it."""
    name = path.name.lower()
    spelled = (f"{name}.", f"{name}[")
    is_taken = path.urn is None or path.attribute is not None
    for key in list(raw):
        folded = key.lower()
        if folded[:4] != "urn:":
            if is_taken and (folded == name or folded.startswith(spelled)):
                del raw[key]
            continue
        value = raw[key]
        is_own_urn = folded == (path.urn or "").lower() or (path.urn is None and is_core_urn(key, kind))
        if isinstance(value, dict) and is_own_urn:
            kept = {k: v for k, v in value.items() if not _spells(k.lower(), name)}
            if kept:
                raw[key] = kept
            else:
                del raw[key]
        elif is_taken and _spells(folded.rpartition(":")[2], name):
            del raw[key]


def _spells(key: str, name: str) -> bool:
    return key == name or key.startswith((f"{name}.", f"{name}["))


def _forget(raw: Document, urn: str) -> None:
    for key in list(raw):
        if key.lower() == urn.lower():
            del raw[key]


def _fields(body: Json) -> dict[str, Json]:
    if not isinstance(body, dict):
        raise invalid_syntax("The body must be a JSON object.")
    return {key.lower(): value for key, value in body.items()}


def _texts(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]
