"""Filters hold for every input: trees survive being written, nonsense ends in one kind of error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from syncline.core.json import Json
from syncline.core.scim.errors import ScimError
from syncline.core.scim.filter import (
    And,
    Comparison,
    Filter,
    Literal,
    Not,
    Operator,
    Or,
    Present,
    ValuePath,
    matches,
    parse_filter,
    parse_instant,
    to_text,
)
from syncline.core.scim.filter.nodes import conjunction, disjunction
from syncline.core.scim.names import AttributePath, parse_attribute
from syncline.core.scim.path import parse_path
from syncline.core.scim.schema import ENTERPRISE_URN, ResourceKind
from syncline.core.text import fold, index_key

Result = TypeVar("Result")

USER = ResourceKind.USER
TEXTS = ["userName", "name.familyName", "emails.value", "externalId", f"{ENTERPRISE_URN}:department", "x.y"]
STRINGS = [parse_attribute(text, USER) for text in TEXTS]
EQUALITIES = [Operator.EQ, Operator.NE]

stored_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
comparisons = st.one_of(
    st.builds(Comparison, st.sampled_from(STRINGS), st.sampled_from(Operator), stored_text),
    st.builds(
        Comparison, st.just(parse_attribute("active", USER)), st.sampled_from(EQUALITIES), st.booleans()
    ),
    st.builds(
        Comparison,
        st.just(parse_attribute("shoeSize", USER)),
        st.sampled_from(Operator),
        st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False),
    ),
    st.builds(
        Comparison,
        st.just(parse_attribute("meta.created", USER)),
        st.sampled_from(Operator),
        st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    ),
    st.builds(Present, st.sampled_from(STRINGS)),
)


def nested(terms: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(terms, min_size=1, max_size=3)
    return several.map(conjunction) | several.map(disjunction) | terms.map(Not)


def inside(parent: AttributePath) -> st.SearchStrategy[Filter]:
    subs = st.sampled_from([parent.with_sub("value"), parent.with_sub("type"), parent.with_sub("colour")])
    tests = st.builds(Comparison, subs, st.sampled_from(Operator), stored_text) | st.builds(Present, subs)
    return st.recursive(tests, nested, max_leaves=4)


value_paths = st.sampled_from(["emails", "roles", "trees"]).flatmap(
    lambda name: st.builds(
        ValuePath,
        st.just(parse_attribute(name, USER)),
        inside(parse_attribute(name, USER)),
    )
)
filters: st.SearchStrategy[Filter] = st.recursive(comparisons | value_paths, nested, max_leaves=12)

words = st.sampled_from(
    [
        "and", "or", "not", "(", ")", "[", "]", "eq", "pr", "gt", '"a"', '"', "true", "null", "userName",
        "emails", "active", ".value", "urn:x:y", ENTERPRISE_URN, "1e5", "\\", "type", "meta.created", " ",
        "é", "\x00", "\ud800",
    ]
)  # fmt: skip
lookups = st.builds(
    "{} eq {}".format,
    st.sampled_from(
        ["userName", "USERNAME", "emails", "emails.value", "active", "meta.created", "externalId", "manager",
         "department", "groups", "nothing", "true", "true.x", "null", "userName.x", "name"]
    ),
    stored_text.map(json.dumps) | stored_text.map(lambda text: f'"{text}"') | words,
)  # fmt: skip
nonsense = (
    st.text(max_size=60)
    | st.lists(words, max_size=25).map(" ".join)
    | st.lists(words, max_size=25).map("".join)
)

json_values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "type", "familyName", "department", "created"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
resources: st.SearchStrategy[dict[str, Json]] = st.dictionaries(
    st.sampled_from(["userName", "name", "emails", "roles", "active", "externalId", ENTERPRISE_URN]),
    json_values,
)


def any_case(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text, text.lower(), text.upper(), text.swapcase()])


@st.composite
def spelled(draw: st.DrawFn, term: Filter, *, inside: bool = False) -> str:
    """A filter's tree in one of the spellings that the contract accepts."""
    match term:
        case Comparison(path, operator, value):
            literal = draw(literals(path, value))
            return f"{draw(names(path, inside=inside))} {draw(any_case(operator))} {literal}"
        case Present(path):
            return f"{draw(names(path, inside=inside))} " + draw(st.sampled_from(["pr", "PR", "ne null"]))
        case Not(Present(path)) if draw(st.booleans()):
            return f"{draw(names(path, inside=inside))} EQ Null"
        case Not(inner):
            return f"{draw(any_case('not'))} ({draw(spelled(inner, inside=inside))})"
        case ValuePath(path, inner):
            return f"{draw(names(path, inside=False))}[ {draw(spelled(inner, inside=True))} ]"
        case And(terms) | Or(terms):
            word = "and" if isinstance(term, And) else "or"
            parts = [draw(spelled(part, inside=inside)) for part in terms]
            shown = [
                f"({text})" if isinstance(part, Or) or draw(st.booleans()) else text
                for text, part in zip(parts, terms, strict=True)
            ]
            return f"  {draw(any_case(word))} ".join(shown)


def names(path: AttributePath, *, inside: bool) -> st.SearchStrategy[str]:
    """A path in any letter case, and behind or without its URN; unknown names are what they are."""
    if inside:
        known = path.definition is not None
        return any_case(path.sub or path.name) if known else st.just(path.sub or path.name)
    dotted = f"{path.name}.{path.sub}" if path.sub else path.name
    if path.attribute is None:
        return st.just(dotted)
    urn = path.urn or USER.core_urn
    cased = any_case(dotted) if path.sub is None or path.definition is not None else st.just(dotted)
    return cased | st.builds("{}{}{}".format, any_case(urn), st.sampled_from(":."), cased)


def literals(path: AttributePath, value: Literal) -> st.SearchStrategy[str]:
    """A value as JSON writes it, with characters as they are or escaped; booleans also as text."""
    if isinstance(value, bool):
        return any_case(json.dumps(value)) | any_case(json.dumps(value)).map('"{}"'.format)
    if isinstance(value, str):
        return st.sampled_from([json.dumps(value), json.dumps(value, ensure_ascii=False)])
    return st.just(json.dumps(value))


def attempt(read: Callable[[str, ResourceKind], Result], text: str, kind: ResourceKind) -> Result | ScimError:
    try:
        return read(text, kind)
    except ScimError as error:
        return error


@given(filters)
def test_a_tree_survives_being_written_and_read(term: Filter) -> None:
    assert parse_filter(to_text(term), USER) == term


@given(nonsense, st.sampled_from(ResourceKind))
def test_any_text_is_a_filter_or_a_refusal(text: str, kind: ResourceKind) -> None:
    read = attempt(parse_filter, text, kind)
    if isinstance(read, ScimError):
        assert (read.status, read.scim_type) == (400, "invalidFilter")
    else:
        assert read is None or parse_filter(to_text(read), kind) == read


@given(lookups | nonsense, st.sampled_from(ResourceKind))
def test_a_space_behind_a_filter_means_nothing(text: str, kind: ResourceKind) -> None:
    """The lookups that providers make all day are read by a shorter way, which must not read differently."""
    read, spaced = attempt(parse_filter, text, kind), attempt(parse_filter, text + " ", kind)
    if isinstance(read, ScimError):
        assert isinstance(spaced, ScimError)
        return
    assert read == spaced


@given(filters, st.data())
def test_every_spelling_of_a_tree_is_read_as_that_tree(term: Filter, data: st.DataObject) -> None:
    assert parse_filter(data.draw(spelled(term)), USER) == term


@given(nonsense, st.sampled_from(ResourceKind))
def test_any_text_is_a_path_or_a_refusal(text: str, kind: ResourceKind) -> None:
    read = attempt(parse_path, text, kind)
    assert not isinstance(read, ScimError) or (read.status, read.scim_type) == (400, "invalidPath")


@given(filters, resources)
def test_a_filter_either_holds_or_its_negation_does(term: Filter, resource: dict[str, Json]) -> None:
    assert matches(term, resource, USER) is not matches(Not(term), resource, USER)


@given(resources, stored_text)
def test_not_equal_is_the_opposite_of_equal_for_single_values(resource: dict[str, Json], text: str) -> None:
    path = parse_attribute("userName", USER)
    if isinstance(resource.get("userName"), list):
        resource["userName"] = "x"
    equal = matches(Comparison(path, Operator.EQ, text), resource, USER)
    assert equal is not matches(Comparison(path, Operator.NE, text), resource, USER)


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_none(text: str) -> None:
    parse_instant(text)


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(stored_text, stored_text)
def test_index_keys_agree_with_folding(left: str, right: str) -> None:
    assert (index_key(left) == index_key(right)) is (fold(left) == fold(right))
