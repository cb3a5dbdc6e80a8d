"""What role rules would do to the people of a directory (`ui.md` §12.2)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from syncline.services.role_previews import Preview
from syncline.web.api.described import note
from syncline.web.api.role_rules import REFUSALS, RULES_PATH, RoleRulesInput, given_rules
from syncline.web.api.routing import Answer, Call, Route


class RoleEffect(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one role."""

    role: Annotated[str, note("The slug of the role.", "admin")]
    name: Annotated[str, note("Its name.", "Admin")]
    before: Annotated[int, note("How many people hold it now.", 3)]
    after: Annotated[int, note("How many would, floors aside.", 15)]
    gain: Annotated[int, note("How many would get it.", 12)]
    lose: Annotated[int, note("How many would lose it, floors aside.", 0)]
    held: Annotated[int, note("How many of these a floor would keep from losing it.", 0)]


class RoleWarning(msgspec.Struct, frozen=True, kw_only=True):
    """Something to look at before the rules are put in force."""

    code: Annotated[
        str,
        note(
            "`large_change`: more than a fifth of the people change; `role_without_holders`: nobody holds a "
            "role any more; `floor_holds`: a floor would hold a part of the change.",
            "large_change",
        ),
    ]
    message: Annotated[str, note("The same in a sentence.")]
    role: Annotated[str | None, note("The role it is about; null if it is about all.")]


class RoleExample(msgspec.Struct, frozen=True, kw_only=True):
    """A person whose roles would change."""

    directory_user_id: Annotated[str, note("The person.")]
    email: Annotated[str | None, note("Their address.")]
    before: Annotated[list[str], note("Their roles now.", ["member"])]
    after: Annotated[list[str], note("Their roles then, floors aside.", ["admin"])]


class RoleRulesPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What rules would do if they were put in force now."""

    object: Literal["role_rules_preview"] = "role_rules_preview"
    directory_id: str
    summary: Annotated[str, note("In words.", "12 gain Admin, 340 lose Editor, 0 Admins left")]
    total: Annotated[int, note("People in the directory.", 1284)]
    changed: Annotated[int, note("People whose roles would change, floors aside.", 352)]
    roles: Annotated[list[RoleEffect], note("Every role, the most important first.")]
    warnings: Annotated[list[RoleWarning], note("What to look at.")]
    examples: Annotated[list[RoleExample], note("Up to 20 people whose roles would change.")]


def _preview(directory_id: str, found: Preview) -> RoleRulesPreview:
    return RoleRulesPreview(
        directory_id=directory_id,
        summary=found.summary,
        total=found.total,
        changed=found.changed,
        roles=[
            RoleEffect(
                role=one.role,
                name=one.name,
                before=one.before,
                after=one.after,
                gain=one.gain,
                lose=one.lose,
                held=one.held,
            )
            for one in found.roles
        ],
        warnings=[RoleWarning(code=one.code, message=one.message, role=one.role) for one in found.warnings],
        examples=[
            RoleExample(
                directory_user_id=one.directory_user_id,
                email=one.email,
                before=list(one.before),
                after=list(one.after),
            )
            for one in found.examples
        ],
    )


async def _try_out(call: Call) -> Answer:
    directory_id = call.path["id"]
    found = await call.services.role_previews.of(call.environment_id, directory_id, await given_rules(call))
    return Answer(200, _preview(directory_id, found))


ROUTES = (
    Route(
        "POST",
        f"{RULES_PATH}/preview",
        _try_out,
        "Try role rules out",
        RoleRulesPreview,
        takes=RoleRulesInput,
        scope="admin",
        about="Tells who would gain and lose which role. Nothing changes.",
        refusals=REFUSALS,
    ),
)
