"""The roles of a person with their reasons, a call of Syncline's own (`ui.md` §12.2)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from syncline.core import wire
from syncline.services.role_grants import ExplainedGrant
from syncline.web.api.described import note
from syncline.web.api.routing import Answer, Call, Route


class GrantRule(msgspec.Struct, frozen=True, kw_only=True):
    """The rule that gives a role."""

    id: Annotated[str, note("Its id.", "role_rule_01KA0Z3W8M6Q4T2R9X7V5B3N1A")]
    text: Annotated[
        str | None,
        note("Its condition in words; null for a rule of long ago.", "is a member of the group “Dispatch”"),
    ]


class GrantGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The group by which a rule matches."""

    id: Annotated[str, note("Its id.", "directory_group_01KA0Z3W8M6Q4T2R9X7V5B3N1A")]
    name: Annotated[str | None, note("Its name; null if it is gone.", "Dispatch")]


class RoleGrantBody(msgspec.Struct, frozen=True, kw_only=True):
    """A role that a person holds, and why."""

    object: Literal["role_grant"] = "role_grant"
    role: Annotated[str, note("The slug of the role.", "admin")]
    name: Annotated[str, note("Its name.", "Admin")]
    rule: Annotated[GrantRule | None, note("The rule that gives it; null for the default role.")]
    group: Annotated[GrantGroup | None, note("The group that matched; null if the rule asks for none.")]
    since: Annotated[str, note("Since when the person has held it without a break.")]
    held: Annotated[bool, note("Whether no rule gives it any more and a floor keeps it.")]
    sentence: Annotated[
        str,
        note(
            "All of it in a sentence.",
            "Admin because of group “Dispatch” by rule role_rule_01KA… since 2026-03-02T08:21:44.007Z.",
        ),
    ]


class RoleGrantList(msgspec.Struct, frozen=True, kw_only=True):
    """All roles that a person holds, as they show them; there are no pages."""

    object: Literal["list"] = "list"
    data: Annotated[list[RoleGrantBody], note("The roles; none where the directory has no rules.")]


def _grant(found: ExplainedGrant) -> RoleGrantBody:
    grant, rule, group = found.grant, None, None
    if grant.rule_id is not None:
        rule = GrantRule(id=grant.rule_id, text=found.rule_text)
    if grant.group_id is not None:
        group = GrantGroup(id=f"directory_group_{grant.group_id}", name=found.group_name)
    return RoleGrantBody(
        role=grant.role,
        name=found.role_name,
        rule=rule,
        group=group,
        since=wire.iso(grant.since),
        held=grant.held,
        sentence=found.sentence,
    )


async def _list(call: Call) -> Answer:
    found = await call.services.role_grants.of(call.environment_id, call.path["id"])
    return Answer(200, RoleGrantList(data=[_grant(one) for one in found]))


ROUTES = (
    Route(
        "GET",
        "/directory_users/{id}/roles",
        _list,
        "List the roles of a directory user, with their reasons",
        RoleGrantList,
        about="A role that is held without a break keeps its `since`, also when another rule gives it.",
    ),
)
