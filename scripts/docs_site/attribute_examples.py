"""Realistic answers of the calls about attributes, for the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncline.web.api.attribute_maps import (
    AttributeCoverage,
    AttributeGapBody,
    AttributeMapBody,
    AttributeMapVersion,
    AttributeMapVersions,
    MappedAttributeBody,
    ReevaluationBody,
)
from syncline.web.api.attribute_previews import (
    AttributeCounts,
    AttributeDifference,
    AttributeLosses,
    AttributeMapPreview,
    ObservedAttribute,
    ObservedAttributesBody,
)
from syncline.web.api.attribute_versions import (
    AttributeVersion,
    AttributeVersionPreview,
    AttributeVersions,
    AttributeVersionWhole,
)
from syncline.web.api.attributes import AttributeBody, EnvironmentBody
from syncline.web.api.role_previews import RolePerson

ATTRIBUTE_ID = "attribute_01KA0YP9C1E3G5J7K9M1P3R5T7"
_DIRECTORY_ID = "directory_01KA0YQ2C4E6G8J0M2P4R6T8V0"
_USER_ID = "directory_user_01KA0Z1B3D5F7H9K1M3P5R7T9V"
_REQUEST_ID = "request_01KA0Z3W8M6Q4T2R9X7V5B3N1A"
_MADE, _CHANGED = "2026-03-02T08:15:00.120Z", "2026-03-02T08:21:44.120Z"
_POOL: dict[str, Any] = {
    "path": "urn:acme:params:scim:2.0:User.costPool",
    "transforms": [{"name": "trim", "arguments": {}}],
}
_WORK: dict[str, Any] = {"path": 'emails[type eq "work"].value', "transforms": []}
_ANY: dict[str, Any] = {"path": "$email", "transforms": []}
_DIFFERENCE = AttributeDifference(directory_user_id=_USER_ID, key="cost_pool", before=None, after="north")
_LOST = AttributeDifference(directory_user_id=_USER_ID, key="cost_pool", before="north", after=None)
_ATTRIBUTE = AttributeBody(
    id=ATTRIBUTE_ID,
    key="cost_pool",
    kind="custom",
    type="string",
    required=True,
    description="The pool that pays.",
    sources=[_POOL],
    created_at=_MADE,
    updated_at=_MADE,
)
_VERSION: dict[str, Any] = {
    "version": 1,
    "added": ["cost_pool"],
    "changed": [],
    "removed": [],
    "restored": None,
    "request_id": _REQUEST_ID,
    "actor_id": "key_01KA0YN8C0E2G4J6M8P0R2T4V6",
    "created_at": _MADE,
}

ANSWERS: Mapping[type[Any], Any] = {
    AttributeBody: _ATTRIBUTE,
    EnvironmentBody: EnvironmentBody(
        id="environment_01KA0YN1B3D5F7H9K1M3P5R7T9",
        name="default",
        inactive_users="delete",
        raw_attributes=False,
        role_mode="single",
        default_role="member",
        created_at=_MADE,
        updated_at=_MADE,
    ),
    AttributeMapBody: AttributeMapBody(
        directory_id=_DIRECTORY_ID,
        version=1,
        masked=True,
        attributes=[
            MappedAttributeBody(
                key="email",
                kind="standard",
                type="string",
                required=False,
                description="The primary e-mail address.",
                level="directory",
                sources=[_WORK, _ANY],
                coverage=AttributeCoverage(people=25, examined=25, filled=25, ratio=1.0),
                samples=["xxxx.xxxx@xxxxxxxxx.xxxxxxx"],
                missing=None,
                missing_examples=[],
            ),
            MappedAttributeBody(
                key="cost_pool",
                kind="custom",
                type="string",
                required=True,
                description="The pool that pays.",
                level="environment",
                sources=[_POOL],
                coverage=AttributeCoverage(people=25, examined=25, filled=24, ratio=0.96),
                samples=["north", "south"],
                missing=1,
                missing_examples=[_USER_ID],
            ),
        ],
        left_out=[],
    ),
    AttributeGapBody: AttributeGapBody(
        directory_user_id=_USER_ID,
        email="mira.voss@northwind.example",
        name="Mira Voss",
        state="active",
        missing=["cost_pool"],
    ),
    AttributeMapVersions: AttributeMapVersions(
        data=[
            AttributeMapVersion(
                directory_id=_DIRECTORY_ID,
                version=1,
                sources={"email": [_WORK, _ANY]},
                request_id=_REQUEST_ID,
                actor_id="key_01KA0YN8C0E2G4J6M8P0R2T4V6",
                created_at=_MADE,
            )
        ],
        list_metadata={"before": None, "after": None},
    ),
    AttributeMapPreview: AttributeMapPreview(
        directory_id=_DIRECTORY_ID,
        total=25,
        changed=24,
        attributes=[AttributeCounts(key="cost_pool", changed=24, filled=24, emptied=0)],
        examples=[_DIFFERENCE],
        losing=AttributeLosses(people=0, examples=[]),
        roles_changed=0,
        person=RolePerson(
            directory_user_id=_USER_ID,
            email="mira.voss@northwind.example",
            before=["planner"],
            after=["planner"],
            gains=[],
            loses=[],
        ),
        left_out=[],
        events={"dsync.user.updated": 24},
    ),
    AttributeVersions: AttributeVersions(
        data=[AttributeVersion(**_VERSION)], list_metadata={"before": None, "after": None}
    ),
    AttributeVersionWhole: AttributeVersionWhole(**_VERSION, attributes=[_ATTRIBUTE]),
    AttributeVersionPreview: AttributeVersionPreview(
        version=1,
        directories=1,
        total=25,
        changed=24,
        attributes=[AttributeCounts(key="cost_pool", changed=24, filled=0, emptied=24)],
        examples=[_LOST],
        losing=AttributeLosses(people=24, examples=[_LOST]),
        roles_changed=0,
        events={"dsync.user.updated": 24},
    ),
    ObservedAttributesBody: ObservedAttributesBody(
        directory_id=_DIRECTORY_ID,
        people=25,
        examined=25,
        sampled=False,
        cut=False,
        masked=True,
        attributes=[
            ObservedAttribute(
                path="userName",
                name="userName",
                types=["string"],
                people=25,
                ratio=1.0,
                samples=["xxxx.xxxx@xxxxxxxxx.xxxxxxx"],
            ),
            ObservedAttribute(
                path="urn:acme:params:scim:2.0:User.costPool",
                name="costPool",
                types=["string"],
                people=24,
                ratio=0.96,
                samples=["north", "south"],
            ),
        ],
    ),
    ReevaluationBody: ReevaluationBody(
        directory_id=_DIRECTORY_ID,
        state="complete",
        total=25,
        done=25,
        changed=24,
        request_id=_REQUEST_ID,
        created_at=_MADE,
        finished_at=_CHANGED,
    ),
}
"""What stands for an answer, by its type."""
