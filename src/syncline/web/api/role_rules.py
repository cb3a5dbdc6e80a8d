"""Role rules of directories: reading and writing (`ui.md` §12.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.core.ids import is_ulid
from syncline.core.json import Json
from syncline.core.role_conditions import read_condition
from syncline.core.role_words import condition_text
from syncline.core.roles import Condition, ConditionKind, Floor, Precedence, RoleMode, RoleRule
from syncline.services.role_rule_shapes import (
    ATTRIBUTE_OPERATORS,
    MAX_FLOORS,
    MAX_MINIMUM,
    MAX_RULES,
    RuleSetInput,
    condition_body,
)
from syncline.services.role_rules import RuleSet
from syncline.web.api.described import note
from syncline.web.api.routing import Answer, Call, Route

_GROUP = "directory_group_01KA0Z3W8M6Q4T2R9X7V5B3N1A"
_EXAMPLES = [
    {
        "condition": {"kind": "group_name", "operator": "equals", "value": "Dispatch"},
        "role": "dispatcher",
    },
    {"condition": {"kind": "group_name", "operator": "matches", "value": "Disp*"}, "role": "dispatcher"},
]
_RULE = "role_rule_01KA0Z3W8M6Q4T2R9X7V5B3N1A"
_Kind = Literal["group", "group_name", "attribute"]
_Mode = Literal["single", "multiple"]
_Precedence = Literal["role_priority", "rule_order"]
_MODE = note("`single` gives one role to everybody, `multiple` all that match.", "single")
_PRECEDENCE = note(
    "Which role wins in mode `single`: the most important one that matches, or that of the first rule.",
    "role_priority",
)
_DEFAULT = note("The role of people whom no rule matches.", "member")


class ConditionInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a rule matches."""

    kind: Annotated[
        _Kind,
        note(
            "`group`: members of one group; `group_name`: members of a group with such a name; `attribute`: "
            "people with such a value.",
            "group",
        ),
    ]
    subject: Annotated[
        str, note("The group (either of its ids), or the key of the attribute; none for names.", _GROUP)
    ] = ""
    operator: Annotated[
        str | None,
        note(
            "How to compare: names know `equals` and `matches`, groups none.",
            None,
            enum=[*ATTRIBUTE_OPERATORS, "", None],
        ),
    ] = None
    value: Annotated[
        Any,
        note("What to compare with; in patterns `*` is any text and `?` any one character."),
    ] = None


class RuleInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who matches gets the role. What is only shown may be sent back: it is not looked at."""

    condition: Annotated[ConditionInput, note("When the rule matches.")]
    role: Annotated[str, note("The slug of the role.", "admin")]
    id: Annotated[str | None, note("The id of a rule that was there before; null for a new one.")] = None
    text: Annotated[str | UnsetType, note("Not looked at.")] = UNSET
    dangling: Annotated[bool | UnsetType, note("Not looked at.")] = UNSET


class FloorInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At least so many active people keep the role: a change that would leave fewer is held."""

    role: Annotated[str, note("The slug of the role.", "admin")]
    minimum: Annotated[int, note("How many.", 2, minimum=1, maximum=MAX_MINIMUM)]


class RoleRulesInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of a directory, whole and in order."""

    rules: Annotated[list[RuleInput], note("The rules, the first first.", _EXAMPLES, maxItems=MAX_RULES)]
    mode: Annotated[
        _Mode | None,
        note(
            "`single` gives one role to everybody, `multiple` all that match; null for the environment's.",
            "single",
            enum=["single", "multiple", None],
        ),
    ] = None
    precedence: Annotated[_Precedence, _PRECEDENCE] = "role_priority"
    default_role: Annotated[
        str | None, note("The role of people whom no rule matches; null for the environment's.", "member")
    ] = None
    floors: Annotated[
        list[FloorInput],
        note("Roles that must not run out.", [{"role": "dispatcher", "minimum": 2}], maxItems=MAX_FLOORS),
    ] = []
    version: Annotated[
        int | None,
        note("The version you have seen: the call is refused if another one is in force. Null: whatever is."),
    ] = None


class RoleCondition(msgspec.Struct, frozen=True, kw_only=True):
    """When a rule matches."""

    kind: Annotated[_Kind, note("What is looked at.", "group")]
    subject: Annotated[str | UnsetType, note("The group's id or the attribute's key.", _GROUP)] = UNSET
    operator: Annotated[str | UnsetType, note("How it is compared.", "equals")] = UNSET
    value: Annotated[Any, note("What it is compared with.")] = UNSET


class RoleRuleBody(msgspec.Struct, frozen=True, kw_only=True):
    """A rule: who matches the condition gets the role."""

    id: Annotated[str, note("Its id, which survives edits when it is sent back.", _RULE)]
    condition: Annotated[RoleCondition, note("When it matches.")]
    role: Annotated[str, note("The slug of the role.", "admin")]
    text: Annotated[str, note("The condition in words.", "is a member of the group “Dispatch”")]
    dangling: Annotated[
        bool | UnsetType,
        note("Always true: the group, role or attribute is gone, and the rule gives nothing."),
    ] = UNSET


class RoleFloor(msgspec.Struct, frozen=True, kw_only=True):
    """At least so many active people keep the role."""

    role: Annotated[str, note("The slug of the role.", "admin")]
    minimum: Annotated[int, note("How many.", 2)]


class RoleRulesBody(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of a directory: one version of them."""

    object: Literal["role_rules"] = "role_rules"
    directory_id: str
    version: Annotated[int, note("Its number, from 1; 0 if there never were rules.", 3)]
    in_use: Annotated[bool, note("Whether the version gives roles at all.")]
    mode: Annotated[_Mode, _MODE]
    precedence: Annotated[_Precedence, _PRECEDENCE]
    default_role: Annotated[str, _DEFAULT]
    rules: Annotated[list[RoleRuleBody], note("The rules, the first first.")]
    floors: Annotated[list[RoleFloor], note("Roles that must not run out.")]
    request_id: Annotated[str | None, note("The request that wrote it; null if there never were rules.")]
    actor_id: Annotated[str | None, note("The API key that wrote it.")]
    created_at: Annotated[str | None, note("When it was written; null if there never were rules.")]


class RoleRulesVersions(msgspec.Struct, frozen=True, kw_only=True):
    """The newest hundred versions of a directory's rules, the newest first."""

    object: Literal["list"] = "list"
    data: Annotated[list[RoleRulesBody], note("The versions.")]
    list_metadata: Annotated[dict[str, None], note("Without cursors.", {"before": None, "after": None})]


def rule_condition(condition: Condition) -> RoleCondition:
    """Return a condition as the API shows it: groups by the id of the product view."""
    body = condition_body(condition)
    if condition.kind is ConditionKind.GROUP and is_ulid(condition.subject):
        body["subject"] = f"directory_group_{condition.subject}"
    return msgspec.convert(body, RoleCondition)


def _rule(found: RuleSet, rule: RoleRule) -> RoleRuleBody:
    condition = rule.condition
    gone = (
        rule.role not in found.roles
        or (condition.kind is ConditionKind.GROUP and condition.subject not in found.groups)
        or (condition.kind is ConditionKind.ATTRIBUTE and condition.subject not in found.attributes)
    )
    return RoleRuleBody(
        id=rule.id,
        condition=rule_condition(condition),
        role=rule.role,
        text=condition_text(condition, found.groups),
        dangling=True if gone else UNSET,
    )


def _rules(found: RuleSet) -> RoleRulesBody:
    version, body = found.version, found.body
    return RoleRulesBody(
        directory_id=found.directory_id,
        version=0 if version is None else version.version,
        in_use=bool(body),
        mode=body.get("mode", "single"),
        precedence=body.get("precedence", "role_priority"),
        default_role=body.get("default_role", "member"),
        rules=[_rule(found, rule) for rule in found.rules],
        floors=[RoleFloor(role=one["role"], minimum=one["minimum"]) for one in body.get("floors", ())],
        request_id=None if version is None else version.cause,
        actor_id=None if version is None else version.actor,
        created_at=None if version is None else wire.iso(version.created_at),
    )


async def rules_from(call: Call, given: RoleRulesInput) -> RuleSetInput:
    """Return the rules in the body of a call, what it leaves open as the environment has settled it."""
    settled: Mapping[str, Json] = {}
    if given.mode is None or given.default_role is None:
        settled = (await call.services.attributes.settings(call.environment_id)).settings
    return RuleSetInput(
        mode=RoleMode(given.mode or str(settled.get("role_mode") or "single")),
        precedence=Precedence(given.precedence),
        default_role=given.default_role or str(settled.get("default_role") or "member"),
        rules=[
            RoleRule(rule.id or "", read_condition(msgspec.to_builtins(rule.condition)), rule.role)
            for rule in given.rules
        ],
        floors=[Floor(floor.role, floor.minimum) for floor in given.floors],
        version=given.version,
    )


async def _get(call: Call) -> Answer:
    return Answer(200, _rules(await call.services.role_rules.get(call.environment_id, call.path["id"])))


async def _put(call: Call) -> Answer:
    changed = await call.services.role_rules.replace(
        call.environment_id, call.path["id"], await rules_from(call, call.read(RoleRulesInput)), call.cause
    )
    return Answer(200, _rules(changed))


async def _delete(call: Call) -> Answer:
    await call.services.role_rules.clear(call.environment_id, call.path["id"], call.cause)
    return Answer(204)


async def _versions(call: Call) -> Answer:
    found = await call.services.role_rules.versions(call.environment_id, call.path["id"])
    data = [_rules(one) for one in found]
    return Answer(200, RoleRulesVersions(data=data, list_metadata={"before": None, "after": None}))


async def _restore(call: Call) -> Answer:
    restored = await call.services.role_rules.restore(
        call.environment_id, call.path["id"], call.path["version"], call.cause
    )
    return Answer(200, _rules(restored))


RULES_PATH = "/directories/{id}/role_rules"
REFUSALS = ((409, "role_rules_changed"),)

ROUTES = (
    Route("GET", RULES_PATH, _get, "Get the role rules of a directory", RoleRulesBody),
    Route(
        "PUT",
        RULES_PATH,
        _put,
        "Replace the role rules of a directory",
        RoleRulesBody,
        takes=RoleRulesInput,
        scope="admin",
        about=(
            "The rules become a new version. A job evaluates everybody in the background; each person whose "
            "roles come out differently gets a `dsync.user.updated`. A rule whose group is deleted later "
            "stays and is marked as `dangling`."
        ),
        refusals=REFUSALS,
    ),
    Route(
        "DELETE",
        RULES_PATH,
        _delete,
        "Take the role rules of a directory out of use",
        status=204,
        scope="admin",
        about="People of the directory show no roles any more. The rules stay as a version.",
    ),
    Route(
        "GET",
        f"{RULES_PATH}/versions",
        _versions,
        "List the versions of a directory's role rules",
        RoleRulesVersions,
    ),
    Route(
        "POST",
        f"{RULES_PATH}/versions/{{version}}/restore",
        _restore,
        "Restore a version of a directory's role rules",
        RoleRulesBody,
        scope="admin",
        about="The old rules become a new version. Those whose group or role is gone come along, marked.",
    ),
)
