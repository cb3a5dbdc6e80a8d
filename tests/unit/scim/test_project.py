"""Projection: the attributes asked for, and no others."""

from __future__ import annotations

import copy

import pytest

from syncline.core.json import Json
from syncline.core.scim.errors import ScimError
from syncline.core.scim.project import excludes, parse_attribute_list, project
from syncline.core.scim.schema import ENTERPRISE_URN, USER_URN, ResourceKind

USER, GROUP = ResourceKind.USER, ResourceKind.GROUP
OKTA_URN = "urn:okta:acme:2.0:user:custom"
PERSON: dict[str, Json] = {
    "schemas": [USER_URN, ENTERPRISE_URN],
    "id": "U1",
    "externalId": "e1",
    "userName": "nettle",
    "name": {"givenName": "Nettle", "familyName": "Bramwell"},
    "active": True,
    "emails": [{"value": "a@x.example", "type": "work"}, {"type": "home", "value": "b@x.example"}],
    "roles": ["gardener"],
    ENTERPRISE_URN: {"department": "Hedges", "manager": {"value": "B", "displayName": "Boss"}},
    OKTA_URN: {"costPool": "7"},
    "ShoeSize": "42",
    "meta": {"resourceType": "User"},
}
ALWAYS = {"schemas", "id"}


def shown(attributes: str = "", excluded: str = "") -> dict[str, Json]:
    before = copy.deepcopy(PERSON)
    result = project(
        PERSON, parse_attribute_list(attributes, USER), parse_attribute_list(excluded, USER), USER
    )
    assert before == PERSON
    return result


def test_without_a_wish_everything_is_shown() -> None:
    assert shown() == PERSON
    assert shown(" , ,") == PERSON


@pytest.mark.parametrize(
    ("attributes", "extra"),
    [
        ("userName", {"userName": "nettle"}),
        ("USERNAME , name.FamilyName", {"userName": "nettle", "name": {"familyName": "Bramwell"}}),
        ("name.givenName,name.familyName", {"name": PERSON["name"]}),
        ("name.givenName,name", {"name": PERSON["name"]}),
        ("name,name.givenName", {"name": PERSON["name"]}),
        ("emails.value", {"emails": [{"value": "a@x.example"}, {"value": "b@x.example"}]}),
        ("emails.value,emails.type", {"emails": PERSON["emails"]}),
        ("emails.display", {"emails": []}),
        (f"{USER_URN}:active", {"active": True}),
        ("department", {ENTERPRISE_URN: {"department": "Hedges"}}),
        (f"{ENTERPRISE_URN}:manager.displayName", {ENTERPRISE_URN: {"manager": {"displayName": "Boss"}}}),
        (
            f"department,{ENTERPRISE_URN}:manager.value",
            {ENTERPRISE_URN: {"department": "Hedges", "manager": {"value": "B"}}},
        ),
        (ENTERPRISE_URN, {ENTERPRISE_URN: PERSON[ENTERPRISE_URN]}),
        (f"{ENTERPRISE_URN},department", {ENTERPRISE_URN: PERSON[ENTERPRISE_URN]}),
        (f"{OKTA_URN}:costPool", {OKTA_URN: {"costPool": "7"}}),
        (OKTA_URN.upper(), {OKTA_URN: {"costPool": "7"}}),
        ("shoesize", {"ShoeSize": "42"}),
        ("roles", {"roles": ["gardener"]}),
        ("nothing,urn:example:x:y,password", {}),
        ("id", {}),
    ],
)
def test_only_what_is_asked_for_is_shown_beside_id_and_schemas(
    attributes: str, extra: dict[str, Json]
) -> None:
    assert shown(attributes) == {"schemas": PERSON["schemas"], "id": "U1", **extra}


def test_the_core_urn_asks_for_every_attribute_but_extensions() -> None:
    assert set(shown(USER_URN)) == {key for key in PERSON if ":" not in key}
    assert set(shown(excluded=USER_URN)) == {*ALWAYS, ENTERPRISE_URN, OKTA_URN}


@pytest.mark.parametrize(
    ("excluded", "gone"),
    [
        ("emails,name,id,schemas", {"emails", "name"}),
        ("ACTIVE", {"active"}),
        (ENTERPRISE_URN, {ENTERPRISE_URN}),
        ("department,manager", {ENTERPRISE_URN}),
        ("name.givenName,name.familyName", {"name"}),
        ("emails.value,emails.type", {"emails"}),
        (OKTA_URN, {OKTA_URN}),
        ("shoeSize", {"ShoeSize"}),
        ("nothing", set()),
    ],
)
def test_what_is_excluded_is_missing_but_id_and_schemas_stay(excluded: str, gone: set[str]) -> None:
    assert shown(excluded=excluded) == {key: value for key, value in PERSON.items() if key not in gone}


def test_a_part_can_be_excluded() -> None:
    result = shown(excluded="emails.type,manager.value,name.givenName")
    assert result["emails"] == [{"value": "a@x.example"}, {"value": "b@x.example"}]
    assert result["name"] == {"familyName": "Bramwell"}
    assert result[ENTERPRISE_URN] == {"department": "Hedges", "manager": {"displayName": "Boss"}}


def test_exclusion_wins_over_inclusion() -> None:
    assert set(shown("userName,name", "name")) == {*ALWAYS, "userName"}


def test_a_password_is_never_shown() -> None:
    assert "password" not in project({**PERSON, "password": "x"}, (), (), USER)


def test_the_array_of_a_search_request_is_read_like_the_comma_list() -> None:
    listed = parse_attribute_list(["userName", "name.givenName"], USER)
    assert listed == parse_attribute_list("userName, name.givenName", USER)


@pytest.mark.parametrize("text", ["user name", 'emails[type eq "work"]', "a..b"])
def test_an_entry_that_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ScimError) as refused:
        parse_attribute_list(text, USER)
    assert refused.value.scim_type == "invalidPath"


@pytest.mark.parametrize(
    ("attributes", "excluded", "answer"),
    [
        ("", "members", True),
        ("", "MEMBERS", True),
        ("", "members.display", False),
        ("displayName", "", True),
        ("displayName,members.value", "", False),
        ("members", "", False),
        (ResourceKind.GROUP.core_urn, "", False),
        ("", "", False),
    ],
)
def test_members_that_will_not_be_shown_need_not_be_read(
    attributes: str, excluded: str, answer: bool
) -> None:
    """E-09."""
    lists = parse_attribute_list(attributes, GROUP), parse_attribute_list(excluded, GROUP)
    assert excludes(*lists, "members", GROUP) is answer
