"""PATCH operations in every spelling that the contract accepts, each with the steps it means to the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.property.patch_model import (
    COMPLEX,
    ENTERPRISE,
    FLAG,
    FOREIGN,
    MANY,
    TEXT,
    UNKNOWN,
    Attribute,
    Condition,
    Document,
    Entry,
    Step,
    Test,
)

USER = "urn:ietf:params:scim:schemas:core:2.0:User"

_PRIMARY = frozenset({"primary"})
USER_NAME = Attribute("userName", TEXT, required=True)
SINGLE = (
    USER_NAME,
    Attribute("displayName", TEXT),
    Attribute("title", TEXT),
    Attribute("externalId", TEXT),
    Attribute("active", FLAG),
    Attribute("department", TEXT, ENTERPRISE),
    Attribute("employeeNumber", TEXT, ENTERPRISE),
    Attribute("shoeSize", UNKNOWN),
    Attribute("costPool", UNKNOWN, FOREIGN),
)
STRUCTURED = (Attribute("name", COMPLEX), Attribute("manager", COMPLEX, ENTERPRISE))
SEVERAL = tuple(Attribute(name, MANY, flags=_PRIMARY) for name in ("emails", "roles", "addresses"))
ATTRIBUTES = (*SINGLE, *STRUCTURED, *SEVERAL)

# No two of them differ by letter case alone: whether such entries are the same is another question.
_VALUES = ("ada@x.io", "bo@x.io", "cy@x.io")
_TYPES = ("work", "home")
_WORDS = ("Ada", "Bo", "x y", "Ünal", "7")
_ENTRY_PARTS: dict[str, dict[str, Sequence[Any]]] = {
    "emails": {"value": _VALUES, "type": _TYPES, "display": _WORDS, "primary": (True, "True", False)},
    "roles": {"value": ("admin", "guest"), "type": _TYPES, "primary": (True, "false"), "colour": _WORDS},
    "addresses": {"locality": _WORDS, "region": _WORDS, "type": _TYPES, "primary": (True, False)},
}
_OBJECT_PARTS = {"name": ("givenName", "familyName", "formatted"), "manager": ("value", "displayName")}
_NOTHING: tuple[Any, ...] = (None, "", {}, [])


@dataclass(frozen=True)
class Operation:
    """An operation as a client sends it, and what it means."""

    sent: dict[str, Any]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Target:
    """Where an operation points: the parts, and one spelling of them."""

    attribute: Attribute
    text: str
    condition: Condition | None = None
    sub: str | None = None


# Values


def _texts() -> st.SearchStrategy[Any]:
    return st.sampled_from(_WORDS)


@cache
def _values(attribute: Attribute, sub: str | None) -> st.SearchStrategy[Any]:
    """Values that mean something to a single attribute or sub-attribute, or nothing, or are refused."""
    if sub in attribute.flags or attribute.kind == FLAG:
        return st.sampled_from([True, False, "True", "FALSE", [True], "maybe", {"a": "b"}])
    if attribute.kind == UNKNOWN:
        return st.sampled_from([*_WORDS, 7, True, None, ""])
    if attribute.kind == MANY and sub in _ENTRY_PARTS[attribute.name]:
        return st.sampled_from([*_ENTRY_PARTS[attribute.name][str(sub)], *_NOTHING])
    return _texts() | st.sampled_from([7, 1.5, True, ["Ada"], *_NOTHING, {"a": "b"}, ["Ada", "Bo"]])


@cache
def _objects(attribute: Attribute) -> st.SearchStrategy[Any]:
    part = _texts() | st.sampled_from([None, "", 7, ["Bo"], {"a": "b"}])
    names = _OBJECT_PARTS[attribute.name]
    return st.dictionaries(st.sampled_from(names), part, min_size=1)


@cache
def entries(attribute: Attribute) -> st.SearchStrategy[Entry]:
    """Entries of a multi-valued attribute as a client may send them."""
    parts = _ENTRY_PARTS[attribute.name]
    return st.fixed_dictionaries(
        {}, optional={name: st.sampled_from([*pool, None, ""]) for name, pool in parts.items()}
    )


@cache
def _arrays(attribute: Attribute) -> st.SearchStrategy[Any]:
    one = entries(attribute)
    if attribute.name != "addresses":
        one = one | st.sampled_from(_ENTRY_PARTS[attribute.name]["value"])
    return st.lists(one, min_size=1, max_size=3) | one | st.sampled_from(_NOTHING)


# Filters


@st.composite
def conditions(draw: st.DrawFn, attribute: Attribute) -> tuple[str, Condition]:
    """A value filter as text, with what it means."""
    if draw(st.booleans()):
        names = draw(st.lists(_sub_names(attribute), min_size=1, max_size=2, unique=True))
        parts = [draw(_equality(attribute, name)) for name in names]
        tests = [test for _, _, test in parts]
        text = draw(st.sampled_from([" and ", " AND "])).join(text for text, _, _ in parts)
        terms = tuple((name, literal) for name, (_, literal, _) in zip(names, parts, strict=True))
        return text, Condition(lambda entry: all(test(entry) for test in tests), terms)
    text, test = draw(_tests(attribute))
    return text, Condition(test, None)


@cache
def _sub_names(attribute: Attribute) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(_ENTRY_PARTS[attribute.name]))


@st.composite
def _equality(draw: st.DrawFn, attribute: Attribute, name: str) -> tuple[str, Any, Test]:
    written = _any_case(draw, name) if name != "colour" else name
    if name in attribute.flags:
        literal = draw(st.booleans())
        text = draw(st.sampled_from([f"{literal}".lower(), f'"{literal}"']))
        return f"{written} eq {text}", literal, lambda entry: entry.get(name) is literal
    wanted = str(draw(st.sampled_from(_ENTRY_PARTS[attribute.name][name])))
    shown = draw(st.sampled_from([wanted, wanted.swapcase()])) if name == "type" else wanted
    return f'{written} eq "{shown}"', shown, lambda entry: _folded(entry.get(name)) == shown.casefold()


@st.composite
def _tests(draw: st.DrawFn, attribute: Attribute) -> tuple[str, Test]:
    """Filters that are more than equalities, so that no entry can be made of them."""
    name = draw(_sub_names(attribute).filter(lambda found: found not in attribute.flags))
    part = str(draw(st.sampled_from(_ENTRY_PARTS[attribute.name][name])))
    middle = part[1:3] or part
    plain, _, equal = draw(_equality(attribute, name))
    other, _, second = draw(_sub_names(attribute).flatmap(lambda sub: _equality(attribute, sub)))
    written = name
    choices: list[tuple[str, Test]] = [
        (f'{written} ne "{part}"', lambda entry: _folded(entry.get(name)) != part.casefold()),
        (f'{written} co "{middle}"', lambda entry: middle.casefold() in _folded(entry.get(name), "\0")),
        (
            f'{written} sw "{part[:2].upper()}"',
            lambda entry: _folded(entry.get(name), "\0").startswith(part[:2].casefold()),
        ),
        (f"{written} PR", lambda entry: name in entry),
        (f"not ({plain})", lambda entry: not equal(entry)),
        (f"{plain} or {other}", lambda entry: equal(entry) or second(entry)),
        (f"({plain}) and not ({other})", lambda entry: equal(entry) and not second(entry)),
    ]
    return draw(st.sampled_from(choices))


def _folded(value: Any, absent: str = "") -> str:
    return value.casefold() if isinstance(value, str) else absent


# Targets


def _any_case(draw: st.DrawFn, name: str) -> str:
    return draw(st.sampled_from([name, name.lower(), name.upper()]))


def _head(draw: st.DrawFn, attribute: Attribute) -> str:
    if attribute.kind == UNKNOWN:
        joint = draw(st.sampled_from(":."))
        return attribute.name if attribute.urn is None else f"{attribute.urn}{joint}{attribute.name}"
    name = _any_case(draw, attribute.name)
    urn = attribute.urn or USER
    qualified = [f"{urn}:{name}", f"{urn}.{name}", f"{urn.upper()}:{name}"]
    return draw(st.sampled_from([name, name, *qualified]))


@st.composite
def targets(draw: st.DrawFn, attribute: Attribute) -> Target:
    """An attribute, one of its parts, or some of its entries, in some spelling."""
    head = _head(draw, attribute)
    if attribute.kind == COMPLEX and draw(st.booleans()):
        sub = draw(st.sampled_from(_OBJECT_PARTS[attribute.name]))
        return Target(attribute, f"{head}.{_any_case(draw, sub)}", None, sub)
    if attribute.kind == MANY and draw(st.integers(0, 2)):
        text, condition = draw(conditions(attribute))
        if draw(st.booleans()):
            sub = draw(_sub_names(attribute).filter(lambda found: found != "colour"))
            return Target(attribute, f"{head}[{text}].{_any_case(draw, sub)}", condition, sub)
        return Target(attribute, f"{head}[{text}]", condition)
    return Target(attribute, head)


# Entries of arrays are where most can go wrong.
_ANYWHERE = st.sampled_from(ATTRIBUTES).flatmap(targets) | st.sampled_from(SEVERAL).flatmap(targets)


def values(target: Target) -> st.SearchStrategy[Any]:
    """Values for an add or a replace of the target."""
    attribute = target.attribute
    if target.sub is not None:
        return _values(attribute, target.sub)
    if attribute.kind == COMPLEX:
        return _objects(attribute)
    if attribute.kind != MANY:
        return _values(attribute, None)
    if target.condition is None:
        return _arrays(attribute)
    # A value that repeats what the filter asks for leaves no doubt about what replaces the entry.
    terms = dict(target.condition.terms or ())
    restated = entries(attribute).map(lambda entry: {**entry, **terms})
    return restated | restated | entries(attribute) | st.sampled_from(_NOTHING)


# Operations


@st.composite
def operations(draw: st.DrawFn, at: st.SearchStrategy[Target] = _ANYWHERE) -> Operation:
    """One operation, of any kind the table of the contract knows."""
    verb = draw(st.sampled_from(["add", "replace", "remove"]))
    written = draw(st.sampled_from([verb, verb.capitalize(), verb.upper()]))
    if verb != "remove" and draw(st.integers(0, 3)) == 0:
        return _without_path(draw, verb, written)
    if draw(st.integers(0, 11)) == 0 and verb != "remove":
        path, value = draw(st.sampled_from(_IGNORED))
        return Operation({"op": written, "path": path, "value": value}, ())
    target = draw(at)
    sent: dict[str, Any] = {"op": written, "path": target.text}
    value = draw(_listed(target) if verb == "remove" else values(target))
    if verb != "remove" or value is not None:
        sent["value"] = value
    return Operation(sent, (Step(verb, target.attribute, target.condition, target.sub, value),))


@st.composite
def repeatable(draw: st.DrawFn) -> Operation:
    """One operation with a path that does not take away what its own filter looks for."""
    operation = draw(operations().filter(lambda found: "path" in found.sent and len(found.steps) == 1))
    step = operation.steps[0]
    if step.op == "remove" or step.condition is None:
        return operation
    terms = dict(step.condition.terms or ())
    if not terms or not terms.keys() <= {"value", "type", "locality"}:
        # An entry that is the same and lacks another term is found the second time only.
        return draw(repeatable())
    if step.sub is not None:
        value = terms.get(step.sub, step.value)
    else:
        value = {**(step.value if isinstance(step.value, dict) else {}), **terms}
    return Operation({**operation.sent, "value": value}, (dataclasses.replace(step, value=value),))


_IGNORED = (
    ("password", "secret"),
    ("schemas", ["urn:x"]),
    ("groups", [{"value": "1"}]),
    ("meta", {"version": "1"}),
)


def _listed(target: Target) -> st.SearchStrategy[Any]:
    """What a removal lists: nothing mostly, else entries or plain values of a whole attribute."""
    attribute = target.attribute
    if attribute.kind != MANY or target.condition is not None:
        return st.none()
    parts = _ENTRY_PARTS[attribute.name]
    if "value" in parts:
        value = st.sampled_from(parts["value"])
        one = value | st.fixed_dictionaries({"value": value}, optional={"type": st.sampled_from(_TYPES)})
    else:
        one = st.fixed_dictionaries(
            {"locality": st.sampled_from(_WORDS)}, optional={"type": st.sampled_from(_TYPES)}
        )
    return st.none() | st.lists(one, min_size=1, max_size=2) | one


def _without_path(draw: st.DrawFn, verb: str, written: str) -> Operation:
    """An operation whose value names its targets, at top level or below the URN of their schema."""
    chosen = draw(st.lists(st.sampled_from(ATTRIBUTES), min_size=1, max_size=3, unique=True))
    sent: dict[str, Any] = {}
    steps = []
    for attribute in chosen:
        target = draw(targets(attribute))
        value = draw(values(target))
        steps.append(Step(verb, attribute, target.condition, target.sub, value))
        bare = target.condition is None and target.sub is None
        if bare and attribute.urn != FOREIGN and draw(st.integers(0, 3)) == 0 and attribute.kind != UNKNOWN:
            sent[attribute.urn or USER] = {attribute.name: value}
            if len(chosen) > 1:
                break
        else:
            sent[target.text] = value
    return Operation({"op": written, "value": sent}, tuple(steps))


def entry_operations() -> st.SearchStrategy[Operation]:
    """Operations on the entries of one attribute, so that they meet what others have left."""
    return operations(st.just(SEVERAL[0]).flatmap(targets)).filter(lambda found: "path" in found.sent)


# Documents

_HELD = st.lists(
    st.sampled_from([one for one in ATTRIBUTES if one.name not in ("userName", "active")])
    | st.sampled_from(SEVERAL),
    max_size=6,
    unique=True,
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A normalized document of a user, as the store holds it."""
    found: Document = {"userName": "ada", "active": draw(st.booleans())}
    for attribute in draw(_HELD):
        holder = found if attribute.urn is None else found.setdefault(attribute.urn, {})
        holder[attribute.name] = draw(_stored(attribute))
    return found


def entry_documents() -> st.SearchStrategy[Document]:
    """Documents of little but the entries of that attribute."""
    return _stored(SEVERAL[0]).map(lambda found: {"userName": "ada", "active": True, SEVERAL[0].name: found})


@cache
def _stored(attribute: Attribute) -> st.SearchStrategy[Any]:
    if attribute.kind == COMPLEX:
        return st.dictionaries(st.sampled_from(_OBJECT_PARTS[attribute.name]), _texts(), min_size=1)
    if attribute.kind != MANY:
        return _texts()
    parts = {
        name: st.sampled_from([one for one in pool if not isinstance(one, str) or name != "primary"])
        for name, pool in _ENTRY_PARTS[attribute.name].items()
    }
    needed = "value" if "value" in parts else "locality"
    entry = st.fixed_dictionaries({needed: parts.pop(needed)}, optional=parts)
    return st.lists(entry, min_size=1, max_size=3).map(_with_one_primary)


def _with_one_primary(given: list[Entry]) -> list[Entry]:
    first = next((entry for entry in given if entry.get("primary") is True), None)
    return [
        entry if entry is first or entry.get("primary") is not True else entry | {"primary": False}
        for entry in given
    ]
