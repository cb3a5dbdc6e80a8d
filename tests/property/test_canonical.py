"""A body that is recognized as canonical is read as the lenient path reads it, and the usual ones are."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from syncline.core.scim.canonical import canonical_user
from syncline.core.scim.normalize import normalize_user
from tests.property.patch_model import ENTERPRISE, Document
from tests.property.patch_operations import USER, documents

_SCHEMAS = [[USER], [USER, ENTERPRISE], [], "urn:x", ["urn:x"], None]
_ODD: list[Any] = ["", None, [], {}, "true", True, 7, 1.5, ["x"], [["x"]], {"value": ""}, {"type": "work"}]


@st.composite
def bodies(draw: st.DrawFn) -> Document:
    """A user's body, most of it in the internal form, with something odd here and there."""
    body: Document = {"schemas": draw(st.sampled_from(_SCHEMAS)), **draw(documents())}
    for name in draw(st.lists(st.sampled_from(sorted(body)), max_size=2)):
        body[name] = draw(st.sampled_from(_ODD))
    return body | draw(
        st.sampled_from(
            [
                {},
                {"id": "01KA0Z3W8M6Q4T2R9X7V5B3N1A", "meta": {"version": "1"}, "groups": []},
                {"Title": "Clerk"},
                {"department": "Design"},
                {
                    "emails": [
                        {"value": "a@b.example", "primary": True},
                        {"value": "c@d.example", "primary": True},
                    ]
                },
                {"emails": [{"type": "work", "primary": True}]},
                {"emails": [{"value": "a@b.example", "verified": True}]},
                {ENTERPRISE: {"manager": {"value": "7", "$ref": "../Users/7", "displayName": "Ines"}}},
                {ENTERPRISE: {"manager": {"managerId": "7"}}},
                {ENTERPRISE: {}},
                {"urn:okta:acme:2.0:user:custom": {"costPool": "x"}},
            ]
        )
    )


@given(bodies())
def test_both_ways_read_the_same(body: Document) -> None:
    document = canonical_user(body)
    if document is None or not str(document.get("userName", "")).strip():
        return
    # A password is dropped, and sends the body the lenient way.
    lenient, quick = normalize_user(body | {"password": "never stored"}), normalize_user(body)
    assert quick.document == lenient.document
    assert list(quick.document) == list(lenient.document)
    assert quick.raw == lenient.raw
    assert quick.ignored == lenient.ignored
    assert quick.says_active == lenient.says_active
    assert quick.quirks == lenient.quirks - {"O-02"}


def test_what_the_big_providers_send_is_canonical() -> None:
    body: Document = {
        "schemas": [USER, ENTERPRISE],
        "externalId": "00u1",
        "userName": "mara@northwind.example",
        "active": True,
        "displayName": "Mara Feldmann",
        "name": {"givenName": "Mara", "familyName": "Feldmann"},
        "emails": [{"primary": True, "type": "work", "value": "mara@northwind.example"}],
        "phoneNumbers": [{"type": "mobile", "value": "+1 555 0000001"}],
        "groups": [],
        ENTERPRISE: {"department": "Design", "employeeNumber": "7"},
    }
    assert canonical_user(body) is not None
