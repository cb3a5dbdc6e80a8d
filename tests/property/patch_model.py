"""What a PATCH of a user must come to, written down a second time and as plainly as the contract puts it.

The model never reads a path or a filter from text: an operation reaches it as the parts that the text was
spelled from. It follows the table of `scim.md` §7.2 and the rules of §6 and nothing of the product's code.
Where the contract leaves the effect open it raises `Open`, and the test looks no further.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Entry = dict[str, Any]
Document = dict[str, Any]
Test = Callable[[Entry], bool]

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
FOREIGN = "urn:okta:acme:2.0:user:custom"

TEXT, FLAG, COMPLEX, MANY, UNKNOWN = "text", "flag", "complex", "many", "unknown"


class Open(Exception):
    """The contract does not say what this operation comes to."""


class Refused(Exception):
    """The request is refused with this `scimType`, and nothing of it is applied."""


@dataclass(frozen=True)
class Attribute:
    """An attribute as the model knows it: where it stands, its kind, and which sub-attributes are flags."""

    name: str
    kind: str
    urn: str | None = None
    required: bool = False
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Condition:
    """A value filter: what it asks of an entry, and its terms if it is nothing but `eq` joined by `and`."""

    test: Test
    terms: tuple[tuple[str, Any], ...] | None


@dataclass(frozen=True)
class Step:
    """One change of one attribute: the parts of an operation, whatever text they were spelled as."""

    op: str
    attribute: Attribute
    condition: Condition | None = None
    sub: str | None = None
    value: Any = None


def apply(document: Document, steps: Sequence[Step]) -> Document:
    """Return the document after the steps, in order. Raises `Refused` or `Open`."""
    found = {name: dict(part) if name.startswith("urn:") else part for name, part in document.items()}
    for step in steps:
        holder = found if step.attribute.urn is None else found.setdefault(step.attribute.urn, {})
        _apply(holder, step)
        if step.attribute.urn is not None and not holder:
            del found[step.attribute.urn]
    return found


def _apply(holder: Document, step: Step) -> None:
    name, before = step.attribute.name, holder.get(step.attribute.name)
    change = _remove if step.op == "remove" else _set
    after = change(step, before)
    if is_absent(after):
        if step.attribute.required:
            raise Refused("invalidValue")
        holder.pop(name, None)
    else:
        holder[name] = after


def is_absent(value: Any) -> bool:
    """Tell whether a value says nothing: null, "", [], {} and whatever holds nothing else."""
    if isinstance(value, dict):
        return all(is_absent(part) for part in value.values())
    if isinstance(value, list):
        return all(is_absent(part) for part in value)
    return value is None or value == ""


# Values as they are stored (§6)


def _text(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if is_absent(value):
        return None
    if isinstance(value, dict | list):
        raise Refused("invalidValue")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _flag(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if is_absent(value):
        return None
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, bool):
        return value
    raise Refused("invalidValue")


def _as_sent(value: Any) -> Any:
    return value


def _part(attribute: Attribute, name: str, value: Any) -> Any:
    return _flag(value) if name in attribute.flags else _text(value)


def _parts(attribute: Attribute, value: Entry) -> Entry:
    """The sub-attributes of an object that say something."""
    found = {name: _part(attribute, name, part) for name, part in value.items()}
    return {name: part for name, part in found.items() if part is not None}


def _entry(attribute: Attribute, value: Any) -> Entry:
    """An entry as sent: an object, or a plain value."""
    return _parts(attribute, value if isinstance(value, dict) else {"value": value})


def _entries(attribute: Attribute, value: Any) -> list[Entry]:
    given = value if isinstance(value, list) else [value]
    found = [_entry(attribute, one) for one in given if not is_absent(one)]
    return [entry for entry in found if not _says_nothing(entry)]


def _says_nothing(entry: Entry) -> bool:
    return set(entry) <= {"type", "primary"}


def _one_primary(entries: list[Entry], winner: Entry | None = None) -> list[Entry]:
    """At most one entry is primary: the one set last, which is the last in the array if one array set all."""
    primaries = [entry for entry in entries if entry.get("primary") is True]
    if len(primaries) < 2:
        return entries
    kept = primaries[-1] if winner is None else winner
    return [
        entry if entry is kept or entry.get("primary") is not True else entry | {"primary": False}
        for entry in entries
    ]


# add and replace


def _set(step: Step, before: Any) -> Any:
    attribute, value = step.attribute, step.value
    if attribute.kind == MANY:
        return _set_many(step, before or [])
    if step.sub is not None:
        part = _part(attribute, step.sub, value)
        if part is None and step.op == "add":
            return before
        return _with(before or {}, step.sub, part)
    if attribute.kind == COMPLEX:
        return _merged(step, before or {})
    read = {FLAG: _flag, TEXT: _text}.get(attribute.kind, _as_sent)
    after = read(value)
    if is_absent(after) and attribute.name == "active":
        raise Open
    return before if step.op == "add" and is_absent(after) else after


def _merged(step: Step, before: Entry) -> Entry:
    value = step.value
    if not isinstance(value, dict) or not value:
        raise Open
    merged = dict(before)
    for name, part in value.items():
        if is_absent(part) and step.op == "add":
            raise Open
        merged = _with(merged, name, _part(step.attribute, name, part))
    return merged


def _with(before: Entry, name: str, part: Any) -> Entry:
    """The object with one part set, or without it if there is nothing to set."""
    after = {**before, name: part}
    return after if part is not None else {other: held for other, held in after.items() if other != name}


def _set_many(step: Step, before: list[Entry]) -> list[Entry]:
    attribute, value = step.attribute, step.value
    if step.condition is not None:
        return _set_matching(step, step.condition, before)
    if step.sub is not None:
        raise Open
    given = _entries(attribute, value)
    return _appended(before, given) if step.op == "add" else _one_primary(given)


def _appended(before: list[Entry], given: Iterable[Entry]) -> list[Entry]:
    found, winner = list(before), None
    for entry in given:
        at = next((n for n, held in enumerate(found) if _is_same(held, entry)), None)
        if at is None:
            found.append(entry)
        else:
            entry = found[at] = {**found[at], **entry}
        if entry.get("primary") is True:
            winner = entry
    return _one_primary(found, winner)


def _is_same(held: Entry, given: Entry) -> bool:
    """Equal in `value` and `type`; entries without a value (addresses) are equal if they say the same."""
    if "value" not in held and "value" not in given:
        return {**held, "primary": 0} == {**given, "primary": 0}
    return (held.get("value"), _folded(held.get("type"))) == (given.get("value"), _folded(given.get("type")))


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _set_matching(step: Step, condition: Condition, before: list[Entry]) -> list[Entry]:
    if not any(condition.test(entry) for entry in before):
        return _created(step, condition, before)
    after: list[Entry] = []
    winner: Entry | None = None
    for held in before:
        entry = _changed(step, condition, held) if condition.test(held) else held
        if entry is None or (entry is not held and _says_nothing(entry)):
            continue
        after.append(entry)
        # Of several that one operation makes primary it is the last, however often it is sent.
        if entry is not held and entry.get("primary") is True:
            winner = entry
    return _one_primary(after, winner)


def _changed(step: Step, condition: Condition, held: Entry) -> Entry | None:
    """An entry that the filter matches, after the operation; None if nothing is left of it."""
    value = step.value
    if step.sub is not None:
        part = _part(step.attribute, step.sub, value)
        return held if part is None and step.op == "add" else _with(held, step.sub, part)
    if is_absent(value):
        return held if step.op == "add" else None
    given = _entry(step.attribute, value)
    if step.op == "add":
        return {**held, **given}
    if any(name not in given for name, _ in condition.terms or ()):
        # May what the filter says of the entry be lost with the entry that it chose?
        raise Open
    return given


def _created(step: Step, condition: Condition, before: list[Entry]) -> list[Entry]:
    if condition.terms is None:
        raise Refused("noTarget")
    described = _entry(step.attribute, dict(condition.terms))
    if is_absent(step.value):
        if not _says_nothing(described):
            raise Open
        return before
    given = {step.sub: step.value} if step.sub is not None else step.value
    entry = {**described, **_entry(step.attribute, given)}
    if _says_nothing(entry):
        return before
    if step.op == "replace" and step.sub is None and any(_is_same(held, entry) for held in before):
        # Does it take the place of the entry that is the same, or is it merged with that one?
        raise Open
    # Sent again, the request must end in the same state (§7.3): what is there already is not created twice.
    return _appended(before, [entry])


# remove


def _remove(step: Step, before: Any) -> Any:
    attribute = step.attribute
    if attribute.required:
        raise Refused("mutability")
    if before is None:
        return None
    if attribute.kind == MANY:
        return _removed_many(step, before)
    if step.sub is not None:
        return {name: part for name, part in before.items() if name != step.sub}
    if attribute.name == "active":
        raise Open
    return None


def _removed_many(step: Step, before: list[Entry]) -> list[Entry]:
    condition, sub = step.condition, step.sub
    if condition is None and sub is None:
        if step.value is None:
            return []
        listed = step.value if isinstance(step.value, list) else [step.value]
        return [entry for entry in before if not any(_is_listed(entry, one) for one in listed)]
    if condition is None:
        raise Open
    after: list[Entry] = []
    for entry in before:
        if not condition.test(entry):
            after.append(entry)
        elif sub is not None:
            left = {name: part for name, part in entry.items() if name != sub}
            after += [] if _says_nothing(left) else [left]
    return after


def _is_listed(entry: Entry, wanted: Any) -> bool:
    """Tell whether an entry is the one that a removal lists: by its value, or by all that is said of it."""
    if not isinstance(wanted, dict):
        return bool(entry.get("value") == wanted)
    said = {name: part for name, part in wanted.items() if name in ("value", "type")}
    if "value" not in wanted:
        said = wanted
    return all(_folded(entry.get(name)) == _folded(part) for name, part in said.items())
