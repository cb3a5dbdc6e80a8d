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
    RoleRulesDeletionPreview,
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
from syncline.web.api.role_set_previews import (
    OrganizationRolesPreview,
    OtherRoleEffects,
    RoleSetDirectories,
    RoleSetDirectory,
    RoleSetEffect,
    RoleSetExample,
    RolesPreview,
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
_LOST = (
    RoleWarning(code="large_change", message="The roles of 1 of 1 people (100 %) change.", role=None),
    RoleWarning(code="role_without_holders", message="Nobody holds Planner any more.", role=SLUG),
)
_PERSON_LOSES = RoleWarning(
    code="person_loses_access",
    message="mira.voss@northwind.example loses Planner and has Member from then on.",
    role=SLUG,
)
_LOSER = RolePerson(
    directory_user_id=_USER_ID,
    email="mira.voss@northwind.example",
    before=[SLUG],
    after=["member"],
    gains=["member"],
    loses=[SLUG],
)
_EFFECTS = [
    RoleEffect(role=SLUG, name="Planner", before=1, after=0, gain=0, lose=1, held=0),
    RoleEffect(role="member", name="Member", before=0, after=1, gain=1, lose=0, held=0),
]
DELETION_PREVIEW = RoleRulesDeletionPreview(
    directory_id=_DIRECTORY_ID,
    summary="1 lose Planner, 0 Planners left",
    total=1,
    changed=1,
    roles=[_EFFECTS[0]],
    warnings=[
        *_LOST,
        replace(
            _PERSON_LOSES, message="mira.voss@northwind.example loses Planner and has no role from then on."
        ),
    ],
    examples=[
        RoleExample(directory_user_id=_USER_ID, email="mira.voss@northwind.example", before=[SLUG], after=[])
    ],
    person=replace(_LOSER, after=[], gains=[]),
)
SET_PREVIEW = RolesPreview(
    summary="1 gain Member, 1 lose Planner, 0 Planners left in 1 directory",
    complete=True,
    total=1,
    changed=1,
    roles=[
        RoleSetEffect(role=SLUG, name="Planner", before=1, after=0, gain=0, lose=1, held=0, emptied=1),
        RoleSetEffect(role="member", name="Member", before=0, after=1, gain=1, lose=0, held=0, emptied=0),
    ],
    organization_roles=OtherRoleEffects(gain=0, lose=0),
    warnings=[
        _LOST[0],
        replace(_LOST[1], message="Nobody holds Planner any more in 1 directory."),
        _PERSON_LOSES,
    ],
    examples=[
        RoleSetExample(
            directory_id=_DIRECTORY_ID,
            directory_user_id=_USER_ID,
            email="mira.voss@northwind.example",
            before=[SLUG],
            after=["member"],
        )
    ],
    directories=RoleSetDirectories(
        concerned=1,
        counted=1,
        changed=1,
        has_more=False,
        data=[
            RoleSetDirectory(
                directory_id=_DIRECTORY_ID,
                organization_id="org_01KA0YPX7B9D1F3H5K7M9Q1S3T",
                name="Northwind Okta",
                summary="1 gain Member, 1 lose Planner, 0 Planners left",
                total=1,
                changed=1,
                roles=_EFFECTS,
                warnings=list(_LOST),
            )
        ],
    ),
    person=_LOSER,
)
OWN_SET_PREVIEW = OrganizationRolesPreview(
    summary="nobody's roles change",
    complete=True,
    total=0,
    changed=0,
    roles=[
        RoleSetEffect(role=SLUG, name="Planner", before=0, after=0, gain=0, lose=0, held=0, emptied=0),
        RoleSetEffect(role=OWN_SLUG, name="Auditor", before=0, after=0, gain=0, lose=0, held=0, emptied=0),
    ],
    warnings=[],
    examples=[],
    directories=RoleSetDirectories(concerned=0, counted=0, changed=0, has_more=False, data=[]),
    person=replace(_LOSER, after=[SLUG], gains=[], loses=[]),
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
    RoleRulesDeletionPreview: DELETION_PREVIEW,
    RolesPreview: SET_PREVIEW,
    OrganizationRolesPreview: OWN_SET_PREVIEW,
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
