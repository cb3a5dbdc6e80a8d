"""PATCH of users agrees with a model written from the contract, and leaves what it was given alone."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncline.core.commands import CreateUser, Decision, PatchUser
from syncline.core.json import Json
from syncline.core.model import InactiveUsers
from syncline.core.scim.errors import ScimError
from syncline.core.scim.normalize import normalize_user
from syncline.core.scim.patch import parse_operations, patch_user
from syncline.core.scim.resource import same
from syncline.core.scim.schema import PATCH_OP_URN, ResourceKind
from tests.property import patch_model as model
from tests.property.core_directory import CoreDirectory
from tests.property.patch_model import ENTERPRISE, Document
from tests.property.patch_operations import (
    Operation,
    documents,
    entry_documents,
    entry_operations,
    operations,
    repeatable,
)

many = settings(max_examples=200)
some = settings(max_examples=100)
requests = st.lists(operations(), min_size=1, max_size=4)

# What no reading of an operation can give a meaning, each with the word for it.
NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"op": "remove"}, "noTarget"),
    ({"op": "remove", "value": {"emails": [{"value": "ada@x.io"}]}}, "noTarget"),
    ({"op": "remove", "path": " "}, "noTarget"),
    ({"op": "set", "path": "title", "value": "x"}, "invalidSyntax"),
    ({"path": "title", "value": "x"}, "invalidSyntax"),
    ({"op": "add", "path": "title"}, "invalidValue"),
    ({"op": "replace", "value": "x"}, "invalidValue"),
    ({"op": "add", "value": ["title"]}, "invalidValue"),
    ({"op": "replace", "path": "emails[type eq", "value": "x"}, "invalidPath"),
    ({"op": "replace", "path": "emails[type eq \"work\"]]", "value": "x"}, "invalidPath"),
    ({"op": "remove", "path": 'userName[value eq "ada"]'}, "noTarget"),
    ({"op": "remove", "path": 'active[type eq "work"].x'}, "noTarget"),
    ({"op": "replace", "path": 'name[givenName eq "Ada"].familyName', "value": "x"}, "noTarget"),
    ({"op": "replace", "value": {"userName.a#b": "x"}}, "noTarget"),
    ({"op": "add", "path": "name..x", "value": "x"}, "invalidPath"),
    ({"op": "remove", "path": "userName"}, "mutability"),
    ({"op": "remove", "path": "id"}, "mutability"),
    ({"op": "replace", "path": "active", "value": "perhaps"}, "invalidValue"),
]  # fmt: skip


def patched(
    document: Document, sent: Sequence[dict[str, Any]], raw: Document | None = None
) -> Document | str:
    """The product's answer: the document afterwards, or the `scimType` of the refusal."""
    body: Json = {"schemas": [PATCH_OP_URN], "Operations": list(sent)}
    try:
        return patch_user(document, raw, parse_operations(body, ResourceKind.USER)).document
    except ScimError as error:
        return str(error.scim_type) if error.status == 400 else f"status {error.status}"


def settled(document: Document, asked: Sequence[Operation]) -> tuple[list[Operation], Document | str]:
    """The operations whose effect the contract settles, and what they come to together."""
    kept: list[Operation] = []
    for n, operation in enumerate(asked):
        try:
            document = model.apply(document, operation.steps)
        except model.Open:
            continue
        except model.Refused as refusal:
            return [*kept, *asked[n:]], str(refusal)
        kept.append(operation)
    return kept, document


@many
@given(documents(), requests)
def test_a_patch_comes_to_what_the_model_says(document: Document, asked: list[Operation]) -> None:
    kept, expected = settled(document, asked)
    assert patched(document, [operation.sent for operation in kept]) == expected


@many
@given(entry_documents(), st.lists(entry_operations(), min_size=1, max_size=3))
def test_a_patch_of_entries_comes_to_what_the_model_says(document: Document, asked: list[Operation]) -> None:
    kept, expected = settled(document, asked)
    assert patched(document, [operation.sent for operation in kept]) == expected


@some
@given(documents(), requests, st.booleans())
def test_a_patch_never_touches_what_it_was_given(
    document: Document, asked: list[Operation], has_raw: bool
) -> None:
    raw = deepcopy(document) | {"USERNAME": "ada"} if has_raw else None
    sent = [operation.sent for operation in asked]
    before = deepcopy((document, raw, sent))
    patched(document, sent, raw)
    assert (document, raw, sent) == before


@some
@given(documents(), st.lists(operations(), max_size=2), st.sampled_from(NONSENSE), st.data())
def test_one_operation_without_meaning_refuses_all_of_them(
    document: Document, asked: list[Operation], nonsense: tuple[dict[str, Any], str], data: st.DataObject
) -> None:
    kept, expected = settled(document, asked)
    sent = [operation.sent for operation in kept]
    sent.insert(data.draw(st.integers(0, len(sent))), nonsense[0])
    before = deepcopy(document)
    assert patched(document, sent) in {nonsense[1], expected if isinstance(expected, str) else nonsense[1]}
    assert document == before


@some
@given(
    documents(), st.lists(repeatable(), min_size=1, max_size=4, unique_by=lambda one: one.steps[0].attribute)
)
def test_a_patch_sent_again_changes_nothing(document: Document, asked: list[Operation]) -> None:
    sent = [operation.sent for operation in asked]
    once = patched(document, sent)
    if isinstance(once, str):
        return
    again = patched(once, sent)
    assert isinstance(again, dict), again
    assert same(once, again)


def test_a_patch_of_a_person_that_names_another_id_is_refused() -> None:
    """It was answered with 200 as if the id had been taken; for groups it was refused."""
    directory = CoreDirectory(InactiveUsers.KEEP)
    made = directory.submit(CreateUser(normalize_user({"userName": "ada"}))).result
    assert isinstance(made, Decision)
    assert made.user is not None
    for value, refused in ((made.user.id, False), ("01KA0YPX7B9D1F3H5K7M9Q1S3T", True)):
        fields: list[dict[str, Json]] = [
            {"path": "id", "value": value},
            {"value": {"id": value, "title": "x"}},
        ]
        for operation in fields:
            sent: Json = {"Operations": [{"op": "replace", **operation}]}
            asked = PatchUser(made.user.id, parse_operations(sent, ResourceKind.USER))
            result = directory.submit(asked).result
            assert isinstance(result, ScimError) is refused
            assert not isinstance(result, ScimError) or result.scim_type == "mutability"


def emails(*entries: dict[str, Any]) -> Document:
    return {"userName": "ada", "active": True, "emails": list(entries)}


@pytest.mark.parametrize("verb", ["add", "replace"])
@pytest.mark.parametrize("urn", [ENTERPRISE, "urn:ietf:params:scim:schemas:core:2.0:User"])
def test_a_dot_after_a_urn_is_a_colon_also_for_an_object(verb: str, urn: str) -> None:
    """`urn:…:User.manager` with an object was kept as an extension of that name, and the manager unset."""
    name, value = ("manager", {"value": "1"}) if urn == ENTERPRISE else ("name", {"givenName": "Ada"})
    found = patched({"userName": "ada", "active": True}, [{"op": verb, "value": {f"{urn}.{name}": value}}])
    assert isinstance(found, dict)
    assert (found[urn] if urn == ENTERPRISE else found)[name] == value
    assert f"{urn}.{name}" not in found


def test_an_address_that_is_removed_takes_no_other_of_its_type_along() -> None:
    """Removing one address of a type removed every address of that type."""
    document: Document = {
        "userName": "ada",
        "active": True,
        "addresses": [{"locality": "Bremen", "type": "work"}, {"locality": "Kiel", "type": "work"}],
    }
    listed = [{"locality": "Bremen", "type": "work"}]
    found = patched(document, [{"op": "remove", "path": "addresses", "value": listed}])
    assert isinstance(found, dict)
    assert found["addresses"] == [{"locality": "Kiel", "type": "work"}]


def test_two_entries_made_primary_by_one_operation_do_not_take_turns() -> None:
    """Each repetition of the request moved the flag to the other entry, and announced a change."""
    document = emails({"value": "a@x.io", "type": "work"}, {"value": "b@x.io", "type": "work"})
    sent = [{"op": "replace", "path": 'emails[type eq "work"].primary', "value": True}]
    once = patched(document, sent)
    assert isinstance(once, dict)
    assert patched(once, sent) == once


def test_an_entry_that_a_filter_path_creates_is_created_once() -> None:
    """A lost answer and its repetition left the new address twice: the old one, the filter, was gone."""
    document = emails({"value": "old@x.io", "type": "work"})
    value = {"value": "new@x.io", "type": "work"}
    sent = [{"op": "replace", "path": 'emails[value eq "old@x.io"]', "value": value}]
    once = patched(document, sent)
    assert once == emails(value)
    assert isinstance(once, dict)
    assert patched(once, sent) == once
