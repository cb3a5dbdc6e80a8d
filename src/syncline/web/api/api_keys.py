"""API keys (`api.md` §11)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.services.api_keys import MAX_NAME, SCOPES, ApiKey
from syncline.web.api.described import PAGING, note
from syncline.web.api.routing import Answer, Call, Route, listed, read_moment


class ApiKeyInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An API key to make; scopes are `read`, `write` and `admin`, each including the ones before."""

    name: Annotated[str, note("What the key is for.", "billing", maxLength=MAX_NAME)]
    scopes: Annotated[
        list[str],
        note(
            "What it may do: `read`, `write`, `admin`, each including the ones before.",
            ["read"],
            items={"type": "string", "enum": list(SCOPES)},
        ),
    ] = msgspec.field(default_factory=lambda: list(SCOPES))
    expires_at: Annotated[str | None, note("When it ends, an RFC 3339 time; null is never.")] = None


class ApiKeyBody(msgspec.Struct, frozen=True, kw_only=True):
    """An API key; `value` is there in the answer to a creation only."""

    object: str = "api_key"
    id: str
    name: Annotated[str, note("What the key is for.")]
    value: Annotated[str | UnsetType, note("The key itself, shown this once.")] = UNSET
    suffix: Annotated[str, note("The last four characters of the key.")]
    scopes: Annotated[list[str], note("What it may do; each scope includes the ones before.")]
    created_at: str
    expires_at: Annotated[str | None, note("When it ends; null is never.")]
    last_used_at: Annotated[str | None, note("When it was last used, to about a minute; null is never.")]


def _body(key: ApiKey, value: str | UnsetType = UNSET) -> ApiKeyBody:
    return ApiKeyBody(
        id=key.id,
        name=key.name,
        value=value,
        suffix=key.suffix,
        scopes=list(key.scopes),
        created_at=wire.iso(key.created_at),
        expires_at=None if key.expires_at is None else wire.iso(key.expires_at),
        last_used_at=None if key.last_used_at is None else wire.iso(key.last_used_at),
    )


async def _list(call: Call) -> Answer:
    page = await call.services.api_keys.list(call.environment_id, call.page())
    return Answer(200, listed(page.map(_body)))


async def _create(call: Call) -> Answer:
    given = call.read(ApiKeyInput)
    expires_at = None if given.expires_at is None else read_moment(given.expires_at, "expires_at")
    made = await call.services.api_keys.create(
        call.environment_id, given.name, given.scopes, expires_at=expires_at
    )
    return Answer(201, _body(made.key, made.value))


async def _revoke(call: Call) -> Answer:
    await call.services.api_keys.revoke(call.environment_id, call.path["id"])
    return Answer(204)


ROUTES = (
    Route("GET", "/api_keys", _list, "List API keys", [ApiKeyBody], query=PAGING, scope="admin"),
    Route(
        "POST", "/api_keys", _create, "Create an API key", ApiKeyBody, 201, takes=ApiKeyInput, scope="admin"
    ),
    Route("DELETE", "/api_keys/{id}", _revoke, "Revoke an API key", status=204, scope="admin"),
)
