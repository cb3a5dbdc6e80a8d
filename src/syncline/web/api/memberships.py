"""The memberships of a person with their evidence, a call of Syncline's own (`ui.md` §11)."""

from __future__ import annotations

from syncline.core import wire
from syncline.web.api.described import PAGING
from syncline.web.api.directory_users import AT, AT_REFUSALS
from syncline.web.api.routing import Answer, Call, Route, listed


async def _list(call: Call) -> Answer:
    at = call.moment("at")
    page = await call.services.memberships.list(call.environment_id, call.path["id"], call.page(), at)
    return Answer(200, listed(page))


ROUTES = (
    Route(
        "GET",
        "/directory_users/{id}/memberships",
        _list,
        "List the memberships of a directory user, with what they follow from",
        [wire.DirectoryMembership],
        query=(*PAGING, AT),
        refusals=AT_REFUSALS,
        about=(
            "Every group that the person is in, directly or through other groups, whatever the directory "
            "shows. The list is sorted by the ids of the groups, which are its cursors. As of a time it "
            "holds the memberships that the directory showed then, with what they followed from where that "
            "has been so ever since."
        ),
    ),
)
