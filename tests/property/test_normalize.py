"""A body means the same however it is written, and reading what was read changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncline.core.json import Json, parse_json, stringify
from syncline.core.scim.errors import ScimError
from syncline.core.scim.normalize import normalize_user
from syncline.core.scim.resource import same
from tests.property.patch_model import ENTERPRISE, FOREIGN, Document
from tests.property.patch_operations import USER, documents

some = settings(max_examples=150)

_ENTERPRISE_NAMES = ("department", "employeeNumber", "manager")


@st.composite
def disguised(draw: st.DrawFn, document: Document) -> dict[str, Any]:
    """The same user as providers write it: other cases, text for booleans, lifted and nested names."""
    body: dict[str, Any] = {}
    nested: dict[str, Any] = {}
    for name, value in document.items():
        if name == ENTERPRISE and draw(st.booleans()):
            body.update(
                {
                    draw(st.sampled_from([inner, f"{ENTERPRISE}:{inner}"])): part
                    for inner, part in value.items()
                }
            )
        elif name.startswith("urn:") or name == "shoeSize":
            body[name] = value
        elif draw(st.integers(0, 4)) == 0:
            nested[name] = draw(_value(value))
        elif isinstance(value, dict) and draw(st.booleans()):
            body.update(
                {f"{name}.{_cased(draw, inner)}": draw(_value(part)) for inner, part in value.items()}
            )
        else:
            body[_cased(draw, name)] = draw(_value(value))
    if nested:
        body[USER] = nested
    body |= draw(st.sampled_from([{}, {"password": "secret", "id": None}, {"schemas": "urn:x"}]))
    body |= draw(st.sampled_from([{}, {"nickName": None}, {"ims": [{"type": "aim"}]}, {"locale": [""]}]))
    return body


def _cased(draw: st.DrawFn, name: str) -> str:
    return draw(st.sampled_from([name, name, name.upper(), name.lower()]))


def _value(value: Any) -> st.SearchStrategy[Any]:
    if isinstance(value, bool):
        return st.sampled_from([value, str(value), str(value).lower(), [value]])
    if isinstance(value, str):
        return st.sampled_from([value, value, [value]])
    if isinstance(value, dict):
        return st.just(value | {"middleName": ""} if "givenName" in value else value)
    if isinstance(value, list) and len(value) == 1:
        return st.sampled_from([value, value[0], [*value, {"type": "other"}, {}]])
    return st.just(value)


@some
@given(documents().flatmap(lambda found: st.tuples(st.just(found), disguised(found))))
def test_a_user_in_any_disguise_is_the_same_user(pair: tuple[Document, dict[str, Any]]) -> None:
    document, body = pair
    assert normalize_user(document).document == document
    read = normalize_user(body)
    assert read.document == document
    assert read.ignored == tuple(name for name in read.document if name in ("shoeSize", FOREIGN))
    assert "secret" not in stringify(read.raw)


json_values: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    # Beyond, a whole float is written as digits that are read as an integer too large for JavaScript.
    | st.floats(-(2.0**53) + 1, 2.0**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "7", "ß", "value", "urn:x"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@some
@given(json_values)
def test_what_is_written_as_json_is_read_as_it_was(value: Json) -> None:
    text = stringify(value)
    assert stringify(parse_json(text.encode())) == text


bodies = st.dictionaries(
    st.sampled_from(
        [
            "userName",
            "USERNAME",
            "active",
            "name",
            "emails",
            "emails.value",
            "manager",
            "department",
            ENTERPRISE,
        ]
    ),
    json_values,
)


@some
@given(bodies)
def test_reading_what_was_read_changes_nothing(body: dict[str, Json]) -> None:
    """Whatever can be read at all: the document that is stored reads as itself when it is sent back."""
    try:
        read = normalize_user({"userName": "ada", **body}).document
    except ScimError:
        return
    assert same(normalize_user(read).document, read)


@pytest.mark.parametrize("quirk", [{}, {"TITLE": None}])
def test_of_several_primary_entries_the_last_is_primary(quirk: dict[str, Json]) -> None:
    """Also where the body needs no leniency but this one, and so could be taken as it is."""
    emails: list[Json] = [{"value": f"{name}@x.io", "primary": True} for name in ("a", "b")]
    read = normalize_user({"userName": "ada", "emails": emails, **quirk})
    assert read.document["emails"] == [
        {"value": "a@x.io", "primary": False},
        {"value": "b@x.io", "primary": True},
    ]
