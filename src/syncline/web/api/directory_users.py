"""Directory users and directory groups (`api.md` §2.2, §2.3)."""

from __future__ import annotations

from syncline.core import wire
from syncline.services.product import UserQuery
from syncline.web.api.described import PAGING, Parameter, moment
from syncline.web.api.routing import Answer, Call, Route, listed


async def _list_users(call: Call) -> Answer:
    query = UserQuery(
        directory=call.text("directory"),
        group=call.text("group"),
        idp_id=call.text("idp_id"),
        email=call.text("email"),
    )
    at = call.moment("at")
    return Answer(200, listed(await call.services.product.users(call.environment_id, query, call.page(), at)))


async def _get_user(call: Call) -> Answer:
    at = call.moment("at")
    return Answer(200, await call.services.product.user(call.environment_id, call.path["id"], at))


async def _list_groups(call: Call) -> Answer:
    page = await call.services.product.groups(
        call.environment_id,
        call.page(),
        directory=call.text("directory"),
        user=call.text("user"),
        at=call.moment("at"),
    )
    return Answer(200, listed(page))


async def _get_group(call: Call) -> Answer:
    at = call.moment("at")
    return Answer(200, await call.services.product.group(call.environment_id, call.path["id"], at))


AT = moment(
    "at",
    "Answer as of this time, which lies in the past and within the retention of events; "
    "see the guide on history.",
)
"""The parameter of every read that tells of the past, and what it may refuse."""
AT_REFUSALS = ((422, "at_in_future"), (422, "at_before_environment"), (422, "at_out_of_retention"))

ROUTES = (
    Route(
        "GET",
        "/directory_users",
        _list_users,
        "List directory users",
        [wire.DirectoryUser],
        query=(
            *PAGING,
            Parameter("directory", "Only people of this directory."),
            Parameter(
                "group",
                "Only members of this group; nested groups count where the directory's `membership` says so.",
            ),
            Parameter("idp_id", "Only the person with this id at the provider; needs `directory`."),
            Parameter(
                "email", "Only people with this primary address, in any letter case; needs `directory`."
            ),
            AT,
        ),
        about="A directory and a group together give their intersection.",
        refusals=((404, "entity_not_found"), *AT_REFUSALS),
    ),
    Route(
        "GET",
        "/directory_users/{id}",
        _get_user,
        "Get a directory user",
        wire.DirectoryUser,
        query=(AT,),
        refusals=AT_REFUSALS,
    ),
    Route(
        "GET",
        "/directory_groups",
        _list_groups,
        "List directory groups",
        [wire.DirectoryGroup],
        query=(
            *PAGING,
            Parameter("directory", "Only groups of this directory."),
            Parameter(
                "user", "Only groups this directory user is a member of; nested groups count as for people."
            ),
            AT,
        ),
        about="Who is in a group: list directory users with `group`.",
        refusals=((404, "entity_not_found"), *AT_REFUSALS),
    ),
    Route(
        "GET",
        "/directory_groups/{id}",
        _get_group,
        "Get a directory group",
        wire.DirectoryGroup,
        query=(AT,),
        refusals=AT_REFUSALS,
    ),
)
