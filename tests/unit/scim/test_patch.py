"""PATCH row by row of the contract's table, and the dialects that providers make of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncline.core.json import Json
from syncline.core.scim.errors import ScimError
from syncline.core.scim.members import (
    AddMembers,
    ClearMembers,
    RemoveMatching,
    RemoveMembers,
    ReplaceMembers,
    needs_all,
    resolve,
)
from syncline.core.scim.patch import Patched, parse_operations, patch_group, patch_user
from syncline.core.scim.schema import ENTERPRISE_URN, USER_URN, ResourceKind
from syncline.core.scim.v1 import patch_from_v1

MIRA: dict[str, Json] = {
    "userName": "mira",
    "active": True,
    "title": "Intern",
    "name": {"givenName": "Mira", "familyName": "Voss"},
    "emails": [
        {"value": "mira@northwind.example", "type": "work", "primary": True},
        {"value": "mira@home.example", "type": "home"},
    ],
    ENTERPRISE_URN: {"department": "Logistics"},
    "urn:okta:acme:2.0:user:custom": {"costPool": 4},
}


def op(op: str, path: str | None = None, *value: Json) -> dict[str, Json]:
    found: dict[str, Json] = {"op": op}
    if path is not None:
        found["path"] = path
    if value:
        found["value"] = value[0]
    return found


def patched(
    *operations: Json, document: dict[str, Json] = MIRA, raw: dict[str, Json] | None = None
) -> Patched:
    before = copy.deepcopy(document)
    found = patch_user(document, raw, parse_operations({"Operations": list(operations)}, ResourceKind.USER))
    assert document == before
    return found


def after(*operations: Json) -> dict[str, Any]:
    return patched(*operations).document


def refused(*operations: Json, kind: ResourceKind = ResourceKind.USER) -> tuple[int, str | None]:
    with pytest.raises(ScimError) as error:
        attempt(list(operations), kind)
    return error.value.status, error.value.scim_type


def attempt(operations: list[Json], kind: ResourceKind) -> Patched:
    request = parse_operations({"Operations": operations}, kind)
    if kind is ResourceKind.USER:
        return patch_user(MIRA, None, request)
    return patch_group("g", {"displayName": "Dispatch"}, None, request)


def outcome(operations: list[Json], kind: ResourceKind) -> Patched | ScimError:
    try:
        return attempt(operations, kind)
    except ScimError as error:
        return error


def members(*operations: Json) -> list[object]:
    return list(parse_operations({"Operations": list(operations)}, ResourceKind.GROUP).member_steps)


class TestUsers:
    def test_single_values_are_set_in_any_dialect(self) -> None:
        assert after(op("Replace", "TITLE", "Planner"))["title"] == "Planner"
        assert after(op("add", f"{USER_URN}:title", "Planner"))["title"] == "Planner"
        assert after(op("replace", None, {"title": "Planner"}))["title"] == "Planner"
        assert after(op("replace", None, {USER_URN: {"title": "Planner"}}))["title"] == "Planner"
        assert after(op("replace", "active", "False"))["active"] is False
        assert after(op("replace", None, {"active": ["False"]}))["active"] is False

    def test_complex_values_are_merged(self) -> None:
        assert after(op("replace", "name", {"familyName": "Vos"}))["name"] == {
            "givenName": "Mira",
            "familyName": "Vos",
        }
        assert after(op("replace", "name.familyName", "Vos"))["name"]["familyName"] == "Vos"
        assert after(op("replace", "name", {"familyName": None}))["name"] == {"givenName": "Mira"}
        assert after(op("replace", None, {"name.familyName": "Vos"}))["name"]["givenName"] == "Mira"

    def test_enterprise_attributes_are_found_however_they_are_named(self) -> None:
        for path in (
            f"{ENTERPRISE_URN}:department",
            f"{ENTERPRISE_URN}.department",
            "department",
            f"{ENTERPRISE_URN.upper()}:DEPARTMENT",
        ):
            assert after(op("replace", path, "Sales"))[ENTERPRISE_URN] == {"department": "Sales"}
        assert after(op("add", "manager", "m1"))[ENTERPRISE_URN]["manager"] == {"value": "m1"}
        assert after(op("add", f"{ENTERPRISE_URN}:manager", [{"value": "m1", "$ref": "x"}]))[ENTERPRISE_URN][
            "manager"
        ] == {"value": "m1", "$ref": "x"}
        assert after(op("replace", f"{ENTERPRISE_URN}:manager.value", "m2"))[ENTERPRISE_URN]["manager"] == {
            "value": "m2"
        }
        gone = after(op("remove", ENTERPRISE_URN))
        assert ENTERPRISE_URN not in gone
        assert ENTERPRISE_URN not in after(op("remove", "department"))

    def test_foreign_extensions_can_be_patched(self) -> None:
        urn = "urn:okta:acme:2.0:user:custom"
        assert after(op("replace", f"{urn}.costPool", 5))[urn] == {"costPool": 5}
        assert after(op("add", f"{urn}:floor", "2"))[urn] == {"costPool": 4, "floor": "2"}
        assert after(op("add", None, {urn: {"floor": "2"}}))[urn] == {"costPool": 4, "floor": "2"}
        assert urn not in after(op("remove", urn))

    def test_entries_are_appended_and_equal_ones_updated(self) -> None:
        added = after(op("add", "emails", [{"value": "m@x.example", "type": "other"}]))["emails"]
        assert [entry["value"] for entry in added] == [
            "mira@northwind.example",
            "mira@home.example",
            "m@x.example",
        ]
        same = after(op("add", "emails", {"value": "mira@home.example", "type": "home", "primary": True}))
        assert [entry.get("primary") for entry in same["emails"]] == [False, True]
        assert after(op("replace", "emails", [{"value": "m@x.example"}]))["emails"] == [
            {"value": "m@x.example"}
        ]

    def test_filters_choose_entries(self) -> None:
        work = 'emails[type eq "work"]'
        assert after(op("replace", f"{work}.value", "new@x.example"))["emails"][0] == {
            "value": "new@x.example",
            "type": "work",
            "primary": True,
        }
        assert after(op("replace", work, {"value": "new@x.example"}))["emails"][0] == {
            "value": "new@x.example",
            "type": "work",
        }
        assert after(op("add", work, {"display": "Work"}))["emails"][0]["display"] == "Work"
        assert len(after(op("remove", work))["emails"]) == 1
        assert len(after(op("remove", f"{work}.value"))["emails"]) == 1
        assert after(op("replace", 'emails[primary eq "True"].value', "p@x.example"))["emails"][0][
            "value"
        ] == ("p@x.example")

    def test_an_equality_filter_without_match_creates_and_later_operations_join(self) -> None:
        found = after(
            op("Add", 'addresses[type eq "work"].streetAddress', "1 Quay"),
            op("Add", 'addresses[type eq "work"].locality', "Oslo"),
        )
        assert found["addresses"] == [{"type": "work", "streetAddress": "1 Quay", "locality": "Oslo"}]
        assert refused(op("add", 'addresses[type ne "work"].locality', "Oslo"))[1] == "noTarget"
        assert (
            refused(op("replace", 'addresses[type eq "a" or type eq "b"]', {"locality": "x"}))[1]
            == "noTarget"
        )

    def test_removals(self) -> None:
        assert "title" not in after(op("remove", "title"))
        assert "emails" not in after(op("remove", "emails"))
        assert len(after(op("remove", "emails", [{"value": "mira@home.example"}]))["emails"]) == 1
        assert len(after(op("remove", "emails", "mira@home.example"))["emails"]) == 1
        assert after(op("remove", "emails", [{"value": "nobody@x.example"}])) == MIRA
        assert after(op("remove", "nickName")) == MIRA
        assert after(op("remove", 'emails[type eq "other"]')) == MIRA
        assert refused(op("remove")) == (400, "noTarget")
        assert refused(op("remove", None, {"title": "x"})) == (400, "noTarget")
        assert refused(op("remove", "userName")) == (400, "mutability")
        assert refused(op("remove", "id")) == (400, "mutability")

    def test_null_clears_on_replace_and_is_nothing_on_add(self) -> None:
        assert "title" not in after(op("replace", "title", None))
        assert "title" not in after(op("replace", "title", ""))
        assert after(op("add", "title", None))["title"] == "Intern"
        assert "emails" not in after(op("replace", "emails", []))
        assert refused(op("replace", "userName", None)) == (400, "invalidValue")
        assert refused(op("replace", "active", None)) == (400, "invalidValue")

    def test_what_cannot_be_done_is_refused(self) -> None:
        assert refused({"path": "title", "value": "x"}) == (400, "invalidSyntax")
        assert refused(op("move", "title", "x")) == (400, "invalidSyntax")
        assert refused("x") == (400, "invalidSyntax")
        assert refused(op("replace", "title")) == (400, "invalidValue")
        assert refused(op("replace", None, "x")) == (400, "invalidValue")
        assert refused(op("replace", "emails[type eq", "x")) == (400, "invalidPath")
        assert refused(op("replace", "title", {"a": 1})) == (400, "invalidValue")
        assert refused(op("replace", "title.x", "y")) == (400, "noTarget")
        assert refused(op("replace", "active", "perhaps")) == (400, "invalidValue")

    def test_a_refused_operation_undoes_the_ones_before(self) -> None:
        before = copy.deepcopy(MIRA)
        assert refused(op("replace", "title", "Planner"), op("replace", "active", "perhaps"))[0] == 400
        assert before == MIRA

    def test_read_only_things_are_ignored_and_passwords_dropped(self) -> None:
        assert after(op("add", "groups", [{"value": "g"}]), op("replace", "meta", {"x": 1})) == MIRA
        assert after(op("replace", "password", "secret")) == MIRA
        assert after(op("replace", None, {"password": "secret", "schemas": ["x"]})) == MIRA

    def test_the_raw_body_follows_with_values_as_sent(self) -> None:
        raw: dict[str, Json] = {"username": "mira", "Active": "True", "department": "Logistics"}
        document: dict[str, Json] = {
            "userName": "mira",
            "active": True,
            ENTERPRISE_URN: {"department": "Logistics"},
        }
        found = patched(
            op("replace", "active", "False"), op("replace", "department", "Sales"), document=document, raw=raw
        )
        assert found.document["active"] is False
        assert found.raw == {"username": "mira", "active": "False", ENTERPRISE_URN: {"department": "Sales"}}
        assert patched(op("replace", "title", "Planner")).raw is None

    def test_applying_twice_is_applying_once(self) -> None:
        operations = (
            op("replace", "name.familyName", "Vos"),
            op("add", "emails", [{"value": "m@x.example", "primary": True}]),
            op("add", 'phoneNumbers[type eq "mobile"].value', "1"),
            op("remove", "title"),
        )
        once = patched(*operations).document
        assert patched(*operations, document=once).document == once


class TestGroups:
    def test_members_become_steps(self) -> None:
        assert members(op("add", "members", [{"value": "a"}, {"value": "b"}])) == [AddMembers(("a", "b"))]
        assert members(op("Add", "Members", {"value": "a"})) == [AddMembers(("a",))]
        assert members(op("replace", "members", ["a"])) == [ReplaceMembers(("a",))]
        assert members(op("replace", None, {"members": [{"value": "a"}]})) == [ReplaceMembers(("a",))]
        assert members(op("add", None, {"members": "a"})) == [AddMembers(("a",))]
        assert members(op("add", 'members[value eq "a"]', {"value": "a"})) == [AddMembers(("a",))]

    def test_removing_members(self) -> None:
        assert members(op("remove", 'members[value eq "a"]')) == [RemoveMembers(("a",))]
        assert members(op("remove", 'members[value eq "a" or value eq "b"]')) == [RemoveMembers(("a", "b"))]
        assert members(op("Remove", "members", [{"$ref": None, "value": "a"}])) == [RemoveMembers(("a",))]
        assert members(op("remove", "members")) == [ClearMembers()]
        assert members(op("remove", "members", [])) == [RemoveMembers(())]
        [step] = members(op("remove", 'members[display sw "M"]'))
        assert isinstance(step, RemoveMatching)
        assert (
            refused(op("remove", None, {"members": [{"value": "a"}]}), kind=ResourceKind.GROUP)[1]
            == "noTarget"
        )

    def test_a_rename_with_an_equal_id_touches_no_member(self) -> None:
        request = parse_operations(
            {"Operations": [op("replace", None, {"id": "g", "displayName": "Night"})]}, ResourceKind.GROUP
        )
        found = patch_group("g", {"displayName": "Dispatch"}, None, request)
        assert found.document == {"displayName": "Night"}
        assert found.member_steps == ()
        assert refused(op("replace", None, {"id": "other"}), kind=ResourceKind.GROUP) == (400, "mutability")
        assert refused(op("remove", "displayName"), kind=ResourceKind.GROUP) == (400, "mutability")

    def test_a_request_of_members_only_says_so(self) -> None:
        body: Json = {"Operations": [op("add", "members", ["a"])]}
        assert parse_operations(body, ResourceKind.GROUP).only_members
        body = {"Operations": [op("replace", None, {"displayName": "x", "members": ["a"]})]}
        assert not parse_operations(body, ResourceKind.GROUP).only_members


class TestVersionOne:
    def test_a_partial_resource_sets_merges_and_deletes(self) -> None:
        body: Json = {
            "title": "Planner",
            "emails": [
                {"value": "mira@home.example", "operation": "delete"},
                {"value": "m@x.example", "type": "other"},
            ],
            "meta": {"attributes": ["name.familyName"]},
        }
        found = patch_user(MIRA, None, patch_from_v1(body, ResourceKind.USER)).document
        assert found["title"] == "Planner"
        assert found["name"] == {"givenName": "Mira"}
        assert [entry["value"] for entry in found["emails"]] == ["mira@northwind.example", "m@x.example"]  # type: ignore[index, union-attr, call-overload]

    def test_members_merge_and_leave(self) -> None:
        body: Json = {"members": [{"value": "a", "operation": "delete"}, {"value": "b"}]}
        assert patch_from_v1(body, ResourceKind.GROUP).member_steps == (
            RemoveMembers(("a",)),
            AddMembers(("b",)),
        )


ids = st.lists(st.sampled_from("abcdef"), max_size=4).map(tuple)
steps = st.lists(
    ids.map(AddMembers) | ids.map(RemoveMembers) | ids.map(ReplaceMembers) | st.just(ClearMembers()),
    max_size=5,
)


@given(steps, st.sets(st.sampled_from("abcdef")))
def test_member_steps_come_to_what_a_plain_set_comes_to(todo: list[Any], present: set[str]) -> None:
    expected = set(present)
    for step in todo:
        match step:
            case AddMembers(named):
                expected |= set(named)
            case RemoveMembers(named):
                expected -= set(named)
            case ReplaceMembers(named):
                expected = set(named)
            case _:
                expected = set()
    delta = resolve(todo, present, lambda id_: {"value": id_})
    assert (present | set(delta.add)) - set(delta.remove) == expected
    assert not set(delta.add) & present
    assert set(delta.remove) <= present
    assert needs_all(todo) or all(isinstance(step, AddMembers | RemoveMembers) for step in todo)


json_values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "type", "primary", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
paths = st.none() | st.sampled_from(
    [
        "emails",
        "name",
        "title",
        "active",
        "userName",
        'emails[type eq "work"].value',
        "emails.value",
        "x.y",
        "members",
    ]
)


@given(
    st.lists(
        st.builds(
            lambda name, path, value: {"op": name, "path": path, "value": value},
            st.sampled_from(["add", "replace", "remove", "Add", "x"]),
            paths | st.text(max_size=10),
            json_values,
        ),
        max_size=3,
    )
)
def test_any_operations_are_applied_or_refused_and_nothing_is_mutated(operations: list[Any]) -> None:
    before = copy.deepcopy(MIRA)
    for kind in ResourceKind:
        found = outcome(operations, kind)
        if isinstance(found, ScimError):
            assert found.status == 400
        elif kind is ResourceKind.USER:
            assert isinstance(found.document["userName"], str)
            assert isinstance(found.document.get("active", True), bool)
    assert before == MIRA
