"""Directories and their bearer tokens (`api.md` §2.1, §11)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.core.events import builtins
from syncline.services.directories import DirectoryFilter, ManagedDirectory
from syncline.services.tokens import NewToken, Token
from syncline.web.api.routing import PAGING, Answer, Call, Route, listed, read_moment


class DirectoryInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A directory to make; `inactive_users` is `delete` or `keep`, by default the environment's."""

    organization_id: str
    name: str
    type: str
    inactive_users: str | None = None


class DirectoryChangesInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be changed about a directory; what is left out stays as it is."""

    name: str | UnsetType = UNSET
    inactive_users: str | UnsetType = UNSET


class TokenInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bearer token to make."""

    label: str | None = None
    expires_at: str | None = None


class TokenRotationInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the old token lives on beside its successor."""

    overlap_seconds: int = 86_400


class ScimAddresses(msgspec.Struct, frozen=True):
    """Where a provider pushes to; the token is there in the answer to a creation only."""

    endpoint: str
    endpoint_v1: str
    bearer_token: str | UnsetType = UNSET


class ManagedDirectoryBody(wire.Directory, frozen=True, kw_only=True):
    """A directory with what its owner sets up."""

    inactive_users: str
    scim: ScimAddresses | UnsetType = UNSET


class DirectoryToken(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer token; `token` is there in the answer to a creation only."""

    object: str = "directory_token"
    id: str
    directory_id: str
    label: str | None
    token: str | UnsetType = UNSET
    token_suffix: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None


def _managed(found: ManagedDirectory) -> dict[str, Any]:
    body: dict[str, Any] = {**builtins(found.directory), "inactive_users": found.inactive_users.value}
    if found.scim is not None:
        body["scim"] = {"endpoint": found.scim.endpoint, "endpoint_v1": found.scim.endpoint_v1}
        if found.bearer_token is not None:
            body["scim"]["bearer_token"] = found.bearer_token
    return body


def _token(directory_id: str, token: Token, secret: str | UnsetType = UNSET) -> DirectoryToken:
    return DirectoryToken(
        id=token.id,
        directory_id=directory_id,
        label=token.label,
        token=secret,
        token_suffix=token.suffix,
        created_at=wire.iso(token.created_at),
        expires_at=None if token.expires_at is None else wire.iso(token.expires_at),
        last_used_at=None if token.last_used_at is None else wire.iso(token.last_used_at),
    )


def _made(directory_id: str, made: NewToken) -> DirectoryToken:
    return _token(directory_id, made.token, made.secret)


async def _list(call: Call) -> Answer:
    wanted = DirectoryFilter(
        organization_id=call.text("organization_id"), search=call.text("search"), domain=call.text("domain")
    )
    return Answer(200, listed(await call.services.directories.list(call.environment_id, wanted, call.page())))


async def _create(call: Call) -> Answer:
    given = call.read(DirectoryInput)
    made = await call.services.directories.create(
        call.environment_id,
        given.organization_id,
        given.name,
        given.type,
        call.cause,
        inactive=given.inactive_users,
    )
    return Answer(201, _managed(made))


async def _get(call: Call) -> Answer:
    return Answer(200, await call.services.directories.get(call.environment_id, call.path["id"]))


async def _update(call: Call) -> Answer:
    given = call.read(DirectoryChangesInput)
    changed = await call.services.directories.update(
        call.environment_id,
        call.path["id"],
        call.cause,
        name=None if given.name is UNSET else given.name,
        inactive=None if given.inactive_users is UNSET else given.inactive_users,
    )
    return Answer(200, _managed(changed))


async def _delete(call: Call) -> Answer:
    await call.services.directories.delete(call.environment_id, call.path["id"], call.cause)
    return Answer(202)


async def _sync(call: Call) -> Answer:
    await call.services.directories.request_pull(call.environment_id, call.path["id"])
    return Answer(202, {"status": "queued"})


async def _list_tokens(call: Call) -> Answer:
    directory_id = call.path["id"]
    page = await call.services.tokens.list(call.environment_id, directory_id, call.page())
    return Answer(200, listed(page.map(lambda token: _token(directory_id, token))))


async def _create_token(call: Call) -> Answer:
    given = call.read(TokenInput)
    expires_at = None if given.expires_at is None else read_moment(given.expires_at, "expires_at")
    made = await call.services.tokens.create(
        call.environment_id, call.path["id"], call.cause, label=given.label, expires_at=expires_at
    )
    return Answer(201, _made(call.path["id"], made))


async def _rotate_token(call: Call) -> Answer:
    overlap = call.read(TokenRotationInput).overlap_seconds
    made = await call.services.tokens.rotate(
        call.environment_id,
        call.path["id"],
        call.path["token_id"],
        call.cause,
        overlap=timedelta(seconds=max(-1, min(overlap, 10**9))),
    )
    return Answer(201, _made(call.path["id"], made))


async def _revoke_token(call: Call) -> Answer:
    await call.services.tokens.revoke(call.environment_id, call.path["id"], call.path["token_id"], call.cause)
    return Answer(204)


ROUTES = (
    Route(
        "GET",
        "/directories",
        _list,
        "List directories",
        [wire.Directory],
        query=(*PAGING, "organization_id", "search", "domain"),
    ),
    Route(
        "POST",
        "/directories",
        _create,
        "Create a directory",
        ManagedDirectoryBody,
        201,
        takes=DirectoryInput,
    ),
    Route("GET", "/directories/{id}", _get, "Get a directory", wire.Directory),
    Route(
        "PATCH",
        "/directories/{id}",
        _update,
        "Update a directory",
        ManagedDirectoryBody,
        takes=DirectoryChangesInput,
    ),
    Route("DELETE", "/directories/{id}", _delete, "Delete a directory", status=202),
    Route("POST", "/directories/{id}/sync", _sync, "Queue a pull of a directory", status=202),
    Route(
        "GET",
        "/directories/{id}/bearer_tokens",
        _list_tokens,
        "List the bearer tokens of a directory",
        [DirectoryToken],
        query=PAGING,
    ),
    Route(
        "POST",
        "/directories/{id}/bearer_tokens",
        _create_token,
        "Create a bearer token",
        DirectoryToken,
        201,
        takes=TokenInput,
    ),
    Route(
        "POST",
        "/directories/{id}/bearer_tokens/{token_id}/rotate",
        _rotate_token,
        "Replace a bearer token, with an overlap",
        DirectoryToken,
        201,
        takes=TokenRotationInput,
    ),
    Route(
        "DELETE",
        "/directories/{id}/bearer_tokens/{token_id}",
        _revoke_token,
        "Revoke a bearer token",
        status=204,
    ),
)
