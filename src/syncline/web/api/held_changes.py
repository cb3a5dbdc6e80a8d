"""Changes that a floor of the role rules holds, until somebody decides (`api.md` §11)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from syncline.core import wire
from syncline.services.held_changes import HeldChange
from syncline.web.api.described import PAGING, Parameter, note
from syncline.web.api.routing import Answer, Call, Route, listed

_State = Literal["pending", "approved", "ignored", "obsolete"]


class HeldChangeBody(msgspec.Struct, frozen=True, kw_only=True):
    """A change that was not carried out because a rule protects against it."""

    object: Literal["held_change"] = "held_change"
    id: str
    directory_id: str
    kind: Annotated[
        Literal["role_floor"],
        note("`role_floor`: a person would lose a role that too few would hold then."),
    ]
    state: Annotated[
        _State,
        note(
            "`pending` until somebody decides: `approved` or `ignored`; `obsolete` when the reason went away "
            "before that."
        ),
    ]
    directory_user_id: Annotated[str | None, note("The person; null if they are gone.")]
    role: Annotated[str, note("The slug of the role that the person keeps.", "admin")]
    message: Annotated[str, note("What is held, in a sentence.")]
    created_at: Annotated[str, note("When the change was held.")]
    settled_at: Annotated[str | None, note("When it was decided or became obsolete; null before.")]


def _shown(directory_id: str, held: HeldChange) -> HeldChangeBody:
    who = held.directory_user_id or "Somebody who is gone"
    return HeldChangeBody(
        id=held.id,
        directory_id=directory_id,
        kind="role_floor",
        state=held.state,
        directory_user_id=held.directory_user_id,
        role=held.role,
        message=f"{who} would lose the role {held.role}, which a floor protects.",
        created_at=wire.iso(held.created_at),
        settled_at=None if held.settled_at is None else wire.iso(held.settled_at),
    )


async def _list(call: Call) -> Answer:
    directory_id = call.path["id"]
    page = await call.services.held_changes.list(
        call.environment_id, directory_id, call.text("state"), call.page()
    )
    return Answer(200, listed(page.map(lambda held: _shown(directory_id, held))))


async def _approve(call: Call) -> Answer:
    directory_id = call.path["id"]
    settled = await call.services.held_changes.approve(
        call.environment_id, directory_id, call.path["held_id"], call.cause
    )
    return Answer(200, _shown(directory_id, settled))


async def _ignore(call: Call) -> Answer:
    directory_id = call.path["id"]
    settled = await call.services.held_changes.ignore(
        call.environment_id, directory_id, call.path["held_id"], call.cause
    )
    return Answer(200, _shown(directory_id, settled))


_ONE = "/directories/{id}/held_changes/{held_id}"
_SETTLED = ((409, "held_change_settled"),)

ROUTES = (
    Route(
        "GET",
        "/directories/{id}/held_changes",
        _list,
        "List the held changes of a directory",
        [HeldChangeBody],
        query=(
            *PAGING,
            Parameter(
                "state",
                "Only changes in this state.",
                {"type": "string", "enum": ["pending", "approved", "ignored", "obsolete"]},
            ),
        ),
    ),
    Route(
        "POST",
        f"{_ONE}/approve",
        _approve,
        "Carry a held change out",
        HeldChangeBody,
        scope="admin",
        about="The person loses the role now, whatever the floor says. Emits `dsync.user.updated`.",
        refusals=_SETTLED,
    ),
    Route(
        "POST",
        f"{_ONE}/ignore",
        _ignore,
        "Leave a held change undone",
        HeldChangeBody,
        scope="admin",
        about="The person keeps the role, and the same is not asked again while its reason lasts.",
        refusals=_SETTLED,
    ),
)
