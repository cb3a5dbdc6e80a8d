"""Sorting: the order a client asked for, stable where it says nothing."""

from __future__ import annotations

import pytest

from syncline.core.json import Json
from syncline.core.scim.errors import ScimError
from syncline.core.scim.schema import ENTERPRISE_URN, ResourceKind
from syncline.core.scim.sort import parse_sort, sort_resources

USER, GROUP = ResourceKind.USER, ResourceKind.GROUP


def order(
    resources: list[dict[str, Json]], sort_by: str, sort_order: str | None = None, kind: ResourceKind = USER
) -> list[Json]:
    sort = parse_sort(sort_by, sort_order, [kind])
    assert sort is not None
    return [resource["id"] for resource in sort_resources(resources, sort)]


def people(**values: dict[str, Json]) -> list[dict[str, Json]]:
    return [{"id": key, "meta": {"resourceType": "User"}, **value} for key, value in values.items()]


def test_text_is_ordered_without_regard_to_case_and_missing_values_come_last() -> None:
    found = people(a={}, b={"userName": "beta"}, c={"userName": "ALPHA"}, d={"userName": ""})
    assert order(found, "userName") == ["c", "b", "a", "d"]
    assert order(found, "USERNAME", "Ascending") == ["c", "b", "a", "d"]


def test_descending_is_the_reverse_and_keeps_equals_in_their_order() -> None:
    found = people(a={"title": "x"}, b={"title": "X"}, c={}, d={"title": "y"})
    assert order(found, "title", "descending") == ["c", "d", "a", "b"]


def test_exact_text_is_ordered_exactly() -> None:
    assert order(people(a={"externalId": "a"}, b={"externalId": "B"}), "externalId") == ["b", "a"]


def test_the_primary_value_counts_and_without_one_the_first() -> None:
    found = people(
        a={"emails": [{"value": "a@x"}, {"value": "z@x", "primary": True}]},
        b={"emails": [{"value": "m@x"}, {"value": "b@x"}]},
        c={"emails": []},
    )
    assert order(found, "emails") == ["b", "a", "c"]
    assert order(found, "emails.value") == ["b", "a", "c"]


def test_dates_are_ordered_as_instants_and_booleans_false_first() -> None:
    found = people(
        a={"meta": {"resourceType": "User", "created": "2026-01-01T01:00:00+02:00"}, "active": True},
        b={"meta": {"resourceType": "User", "created": "2026-01-01T00:00:00Z"}, "active": False},
    )
    assert order(found, "meta.created") == ["a", "b"]
    assert order(found, "active") == ["b", "a"]


def test_enterprise_attributes_can_be_ordered_by() -> None:
    found = people(a={ENTERPRISE_URN: {"department": "z"}}, b={ENTERPRISE_URN: {"department": "Y"}})
    assert order(found, "department") == ["b", "a"]
    assert order(found, f"{ENTERPRISE_URN}:department") == ["b", "a"]


def test_a_search_over_both_kinds_sorts_by_what_either_has() -> None:
    sort = parse_sort("userName", "descending", [USER, GROUP])
    assert sort is not None
    group: dict[str, Json] = {"id": "g", "displayName": "z", "meta": {"resourceType": "Group"}}
    found = [group, *people(a={"userName": "a"}, b={"userName": "b"})]
    assert [resource["id"] for resource in sort_resources(found, sort)] == ["g", "b", "a"]


def test_without_sort_by_there_is_no_order() -> None:
    assert parse_sort(None, "descending", [USER]) is None
    assert parse_sort(" ", None, [USER]) is None


@pytest.mark.parametrize(
    "sort_by",
    ["shoeSize", "name", "addresses", "emails.colour", "user name", "emails[type eq work]", ENTERPRISE_URN],
)
def test_what_has_no_order_is_refused(sort_by: str) -> None:
    with pytest.raises(ScimError) as refused:
        parse_sort(sort_by, None, [USER, GROUP])
    assert refused.value.scim_type == "invalidPath"


def test_an_unknown_direction_is_refused() -> None:
    with pytest.raises(ScimError) as refused:
        parse_sort("userName", "sideways", [USER])
    assert refused.value.scim_type == "invalidValue"
