"""What events tell about the past: objects before a change, and changes field by field."""

from __future__ import annotations

from typing import Any

import pytest

from syncline.core import history
from syncline.core.history import Change

PERSON: dict[str, Any] = {
    "object": "directory_user",
    "id": "directory_user_1",
    "directory_id": "directory_1",
    "organization_id": "org_1",
    "idp_id": "E1",
    "email": None,
    "job_title": "Staff Engineer",
    "emails": [],
    "state": "active",
    "raw_attributes": {},
    "custom_attributes": {"cost_center": "7", "city": "Bern"},
    "role": {"slug": "admin"},
    "roles": [{"slug": "admin"}, {"slug": "member"}],
    "created_at": "2026-03-02T08:00:00.000Z",
    "updated_at": "2026-03-02T09:00:00.000Z",
}
GROUP: dict[str, Any] = {"object": "directory_group", "id": "directory_group_1", "name": "Engineering"}
NOW = "2026-03-02T09:00:00.000Z"


def updated(**previous: Any) -> dict[str, Any]:
    return {**PERSON, "previous_attributes": previous}


def test_an_update_is_undone_with_its_mapped_attributes() -> None:
    body = updated(job_title="Engineer", custom_attributes={"city": None})
    before = history.undone(body)
    assert before == {
        **PERSON,
        "job_title": "Engineer",
        "custom_attributes": {"cost_center": "7", "city": None},
    }
    assert body == updated(job_title="Engineer", custom_attributes={"city": None})


def test_roles_that_were_null_before_were_absent() -> None:
    before = history.undone(updated(role=None, roles=None))
    assert "role" not in before
    assert "roles" not in before
    given = history.undone(updated(role={"slug": "member"}, roles=[{"slug": "member"}]))
    assert (given["role"], given["roles"]) == ({"slug": "member"}, [{"slug": "member"}])


@pytest.mark.parametrize(
    ("type_", "body", "by_provider", "before"),
    [
        (history.USER_CREATED, PERSON, True, None),
        (history.GROUP_CREATED, GROUP, True, None),
        (history.GROUP_DELETED, GROUP, True, GROUP),
        (history.USER_DELETED, PERSON, True, PERSON),
        (history.USER_DELETED, {**PERSON, "state": "inactive"}, True, PERSON),
        (
            history.USER_DELETED,
            {**PERSON, "state": "inactive"},
            False,
            {**PERSON, "state": "inactive"},
        ),
        (
            history.USER_DELETED,
            {**PERSON, "state": "inactive", "updated_at": "2026-03-02T08:30:00.000Z"},
            True,
            {**PERSON, "state": "inactive", "updated_at": "2026-03-02T08:30:00.000Z"},
        ),
        (history.USER_UPDATED, {**updated(job_title="x"), "erased": True}, True, None),
        (history.USER_DELETED, {**PERSON, "erased": True}, True, None),
    ],
)
def test_what_was_there_before_an_event(
    type_: str, body: dict[str, Any], by_provider: bool, before: dict[str, Any] | None
) -> None:
    assert history.before_first(type_, body, NOW, by_provider=by_provider) == before


def test_changes_of_an_update_name_each_field_once() -> None:
    body = updated(
        job_title="Engineer", custom_attributes={"city": None}, role=None, roles=[{"slug": "member"}]
    )
    assert history.changes(history.USER_UPDATED, body, of_user=True) == [
        Change("custom_attributes.city", None, "Bern"),
        Change("job_title", "Engineer", "Staff Engineer"),
        Change("roles", ["member"], ["admin", "member"]),
    ]


def test_a_creation_changes_what_has_a_value() -> None:
    found = {one.field: one.after for one in history.changes(history.USER_CREATED, PERSON, of_user=True)}
    assert found == {
        "idp_id": "E1",
        "job_title": "Staff Engineer",
        "state": "active",
        "roles": ["admin", "member"],
        "custom_attributes.cost_center": "7",
        "custom_attributes.city": "Bern",
    }
    assert history.changes(history.USER_DELETED, PERSON, of_user=True) == []


def test_a_membership_is_a_change_of_either_side() -> None:
    data: dict[str, Any] = {"directory_id": "directory_1", "user": {**PERSON, "name": "Mira"}, "group": GROUP}
    person, group = {"id": PERSON["id"], "name": "Mira"}, {"id": GROUP["id"], "name": "Engineering"}
    assert history.changes(history.JOINED, data, of_user=True) == [Change("groups", None, group)]
    assert history.changes(history.LEFT, data, of_user=True) == [Change("groups", group, None)]
    assert history.changes(history.JOINED, data, of_user=False) == [Change("members", None, person)]
    assert history.changes(history.LEFT, data, of_user=False) == [Change("members", person, None)]


def test_nothing_is_told_of_the_erased() -> None:
    body = {**updated(), "erased": True}
    assert history.changes(history.USER_UPDATED, body, of_user=True) == []
