"""Examples of roles, role rules and held changes for the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from syncline.core import wire
from syncline.web.api.held_changes import HeldChangeBody
from syncline.web.api.role_grants import GrantGroup, GrantRule, RoleGrantBody, RoleGrantList
from syncline.web.api.role_previews import (
    RoleConflict,
    RoleConflictExample,
    RoleConflictRule,
    RoleConflicts,
    RoleEffect,
    RoleExample,
    RolePerson,
    RoleRulesPreview,
    RoleWarning,
)
from syncline.web.api.role_rules import (
    RoleCondition,
    RoleFloor,
    RoleRuleBody,
    RoleRulesBody,
    RoleRulesVersions,
)

SLUG, OWN_SLUG, PERMISSION = "planner", "org-auditor", "routes:edit"
RULE_ID = "role_rule_01KA0Z3W8M6Q4T2R9X7V5B3N1A"
HELD_ID = "held_01KA0Z4Y0A2C4E6G8J0M2P4R6T"
_DIRECTORY_ID = "directory_01KA0YQ2C4E6G8J0M2P4R6T8V0"
_USER_ID = "directory_user_01KA0Z1B3D5F7H9K1M3P5R7T9V"
_GROUP_ID = "directory_group_01KA0Z2C4E6G8J0M2P4R6T8V0X"
_MADE, _CHANGED = "2026-03-02T08:15:00.120Z", "2026-03-02T08:21:44.120Z"
_TEXT = "is a member of a group that is named “Dispatch”"

ROLE = wire.Role(
    id="role_01KA0Z0R2T4V6X8Z0B2D4F6H8K",
    slug=SLUG,
    name="Planner",
    description="Plans routes",
    type="EnvironmentRole",
    resource_type_slug="organization",
    permissions=[PERMISSION],
    created_at=_MADE,
    updated_at=_MADE,
)
OWN_ROLE = replace(
    ROLE,
    id="role_01KA0Z0S3V5X7Z9B1D3F5H7K9M",
    slug=OWN_SLUG,
    name="Auditor",
    description=None,
    type="OrganizationRole",
    permissions=[],
)
RULES = RoleRulesBody(
    directory_id=_DIRECTORY_ID,
    version=1,
    in_use=True,
    mode="single",
    precedence="role_priority",
    default_role="member",
    rules=[
        RoleRuleBody(
            id=RULE_ID,
            condition=RoleCondition(kind="group_name", operator="equals", value="Dispatch"),
            role=SLUG,
            text=_TEXT,
        )
    ],
    floors=[RoleFloor(role=SLUG, minimum=2)],
    request_id="request_01KA0Z3W8M6Q4T2R9X7V5B3N1A",
    actor_id="key_01KA0YN8C0E2G4J6M8P0R2T4V6",
    created_at=_MADE,
)
PREVIEW = RoleRulesPreview(
    directory_id=_DIRECTORY_ID,
    summary="1 gain Planner, 1 lose Member, 0 Members left",
    total=1,
    changed=1,
    roles=[
        RoleEffect(role=SLUG, name="Planner", before=0, after=1, gain=1, lose=0, held=0),
        RoleEffect(role="member", name="Member", before=1, after=0, gain=0, lose=1, held=0),
    ],
    warnings=[
        RoleWarning(code="large_change", message="The roles of 1 of 1 people (100 %) change.", role=None),
        RoleWarning(
            code="person_loses_access",
            message="mira.voss@northwind.example loses Member and has Planner from then on.",
            role="member",
        ),
    ],
    examples=[
        RoleExample(
            directory_user_id=_USER_ID, email="mira.voss@northwind.example", before=["member"], after=[SLUG]
        )
    ],
    conflicts=RoleConflicts(
        people=1,
        contested=0,
        sets=1,
        complete=True,
        data=[
            RoleConflict(
                people=1,
                matched=2,
                rules=[
                    RoleConflictRule(number=1, role=SLUG, text=_TEXT),
                    RoleConflictRule(
                        number=2,
                        role=SLUG,
                        text="is a member of a group that has a name that matches “Disp*”",
                    ),
                ],
                roles=[SLUG],
                rule=1,
                contested=False,
                text=(
                    f"1 person matches 2 rules: whoever {_TEXT} and whoever is a member of a group that has "
                    "a name that matches “Disp*”. They get Planner either way."
                ),
                examples=[
                    RoleConflictExample(directory_user_id=_USER_ID, email="mira.voss@northwind.example")
                ],
            )
        ],
    ),
    person=RolePerson(
        directory_user_id=_USER_ID,
        email="mira.voss@northwind.example",
        before=["member"],
        after=[SLUG],
        gains=[SLUG],
        loses=["member"],
    ),
)
GRANT = RoleGrantBody(
    role=SLUG,
    name="Planner",
    rule=GrantRule(id=RULE_ID, text=_TEXT),
    group=GrantGroup(id=_GROUP_ID, name="Dispatch"),
    since=_CHANGED,
    held=False,
    sentence=f"Planner because of group “Dispatch” by rule {RULE_ID} (whoever {_TEXT}) since {_CHANGED}.",
)
HELD = HeldChangeBody(
    id=HELD_ID,
    directory_id=_DIRECTORY_ID,
    kind="role_floor",
    state="pending",
    directory_user_id=_USER_ID,
    role=SLUG,
    message=f"{_USER_ID} would lose the role {SLUG}, which a floor protects.",
    created_at=_CHANGED,
    settled_at=None,
)

ANSWERS: Mapping[type[Any], Any] = {
    wire.Role: ROLE,
    wire.RoleList: wire.RoleList(data=[ROLE]),
    RoleRulesBody: RULES,
    RoleRulesVersions: RoleRulesVersions(data=[RULES], list_metadata={"before": None, "after": None}),
    RoleRulesPreview: PREVIEW,
    RoleGrantList: RoleGrantList(data=[GRANT]),
    HeldChangeBody: HELD,
}
PATHS: Mapping[str, str] = {
    "organization_id": "org_01KA0YPX7B9D1F3H5K7M9Q1S3T",
    "slug": SLUG,
    "own_slug": OWN_SLUG,
    "permission": PERMISSION,
    "held_id": HELD_ID,
}
