"""Directories and their bearer tokens (`api.md` §2.1, §11)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.core.events import builtins
from syncline.core.model import InactiveUsers, Membership
from syncline.providers.registry import BUILT_METHODS, DIRECTORY_TYPES
from syncline.services.directories import MAX_NAME, DirectoryFilter, ManagedDirectory
from syncline.services.tokens import MAX_LABEL, MAX_OVERLAP, NewToken, Token
from syncline.web.api.described import PAGING, Parameter, note
from syncline.web.api.routing import Answer, Call, Route, listed, read_moment

_TYPES = sorted(name for name, method in DIRECTORY_TYPES.items() if method in BUILT_METHODS)
_POLICIES = [policy.value for policy in InactiveUsers]
_MEMBERSHIPS = [choice.value for choice in Membership]


class DirectoryInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A directory to make."""

    organization_id: Annotated[str, note("The organization it belongs to.", "org_01KA0YPX7B9D1F3H5K7M9Q1S3T")]
    name: Annotated[str, note("A name for people.", "Northwind", maxLength=MAX_NAME)]
    type: Annotated[str, note("The kind of provider.", "generic scim v2.0", enum=_TYPES)]
    inactive_users: Annotated[
        str | None,
        note(
            "What happens to people who become inactive; null takes the environment's policy.",
            "delete",
            enum=[*_POLICIES, None],
        ),
    ] = None
    membership: Annotated[
        str | None,
        note(
            "Which memberships lists and events speak of: `direct` for those that the provider names, "
            "`effective` for those through nested groups as well; null takes `direct`.",
            "effective",
            enum=[*_MEMBERSHIPS, None],
        ),
    ] = None


class DirectoryChangesInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be changed about a directory; what is left out stays as it is."""

    name: Annotated[str | UnsetType, note("A name for people.", "Northwind", maxLength=MAX_NAME)] = UNSET
    inactive_users: Annotated[
        str | UnsetType,
        note(
            "The policy for inactive people; a change is settled and announced at once.",
            "keep",
            enum=_POLICIES,
        ),
    ] = UNSET
    membership: Annotated[
        str | UnsetType,
        note(
            "Which memberships lists and events speak of; a change is announced at once.",
            "effective",
            enum=_MEMBERSHIPS,
        ),
    ] = UNSET


class TokenInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bearer token to make."""

    label: Annotated[str | None, note("What it is for.", "spring", maxLength=MAX_LABEL)] = None
    expires_at: Annotated[str | None, note("When it ends, an RFC 3339 time; null is never.")] = None
    token: Annotated[
        str | None, note("A token that the provider has already, to be taken over; null makes a new one.")
    ] = None
    digest: Annotated[
        str | None,
        note("The SHA-256 digest of such a token, `sha256:` with hexadecimal digits or base64."),
    ] = None


class TokenRotationInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the old token lives on beside its successor."""

    overlap_seconds: Annotated[
        int,
        note(
            "0 to 2,592,000 (30 days); 0 revokes the old token at once.",
            86_400,
            minimum=0,
            maximum=int(MAX_OVERLAP.total_seconds()),
        ),
    ] = 86_400


class ScimAddresses(msgspec.Struct, frozen=True):
    """Where a provider pushes to; the token is there in the answer to a creation only."""

    endpoint: Annotated[str, note("The base address for SCIM 2.0.")]
    endpoint_v1: Annotated[str, note("The base address for SCIM 1.1.")]
    bearer_token: Annotated[str | UnsetType, note("The token for the provider, shown this once.")] = UNSET


class PullQueued(msgspec.Struct, frozen=True):
    """A pull that will take place."""

    status: Annotated[Literal["queued"], note("Always `queued`.")] = "queued"


class ManagedDirectoryBody(wire.Directory, frozen=True, kw_only=True):
    """A directory with what its owner sets up."""

    inactive_users: Annotated[str, note("The policy for inactive people.", enum=_POLICIES)]
    membership: Annotated[str, note("Which memberships lists and events speak of.", enum=_MEMBERSHIPS)]
    scim: Annotated[ScimAddresses | UnsetType, note("Where the provider pushes to.")] = UNSET


class DirectoryToken(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer token; `token` is there in the answer to a creation only."""

    object: str = "directory_token"
    id: str
    directory_id: str
    label: Annotated[str | None, note("What it is for.")]
    token: Annotated[str | UnsetType, note("The token itself, shown this once.")] = UNSET
    token_suffix: Annotated[
        str, note("The last four characters of the token; empty for one known by its digest only.")
    ]
    created_at: str
    expires_at: Annotated[str | None, note("When it ends; null is never.")]
    last_used_at: Annotated[str | None, note("When it was last used, to about a minute; null is never.")]


def _managed(found: ManagedDirectory) -> dict[str, Any]:
    body: dict[str, Any] = {
        **builtins(found.directory),
        "inactive_users": found.inactive_users.value,
        "membership": found.membership.value,
    }
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
        membership=given.membership,
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
        membership=None if given.membership is UNSET else given.membership,
    )
    return Answer(200, _managed(changed))


async def _delete(call: Call) -> Answer:
    await call.services.directories.delete(call.environment_id, call.path["id"], call.cause)
    return Answer(202)


async def _sync(call: Call) -> Answer:
    await call.services.directories.request_pull(call.environment_id, call.path["id"])
    return Answer(202, PullQueued())


async def _list_tokens(call: Call) -> Answer:
    directory_id = call.path["id"]
    page = await call.services.tokens.list(call.environment_id, directory_id, call.page())
    return Answer(200, listed(page.map(lambda token: _token(directory_id, token))))


async def _create_token(call: Call) -> Answer:
    given = call.read(TokenInput)
    expires_at = None if given.expires_at is None else read_moment(given.expires_at, "expires_at")
    if given.token is not None or given.digest is not None:
        known = await call.services.imported_tokens.take_over(
            call.environment_id,
            call.path["id"],
            call.cause,
            token=given.token,
            digest=given.digest,
            label=given.label,
            expires_at=expires_at,
        )
        return Answer(201, _token(call.path["id"], known))
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
        query=(
            *PAGING,
            Parameter("organization_id", "Only directories of this organization."),
            Parameter("search", "Only directories whose name contains this text, in any letter case."),
            Parameter("domain", "Only directories of organizations with this domain; deprecated."),
        ),
    ),
    Route(
        "POST",
        "/directories",
        _create,
        "Create a directory",
        ManagedDirectoryBody,
        201,
        takes=DirectoryInput,
        about=(
            "The answer holds the address and the bearer token to paste into the provider's provisioning "
            "screen. The state is `validating` until the provider's first request."
        ),
        refusals=((404, "entity_not_found"), (422, "type_unsupported")),
    ),
    Route("GET", "/directories/{id}", _get, "Get a directory", wire.Directory),
    Route(
        "PATCH",
        "/directories/{id}",
        _update,
        "Update a directory",
        ManagedDirectoryBody,
        takes=DirectoryChangesInput,
        about=(
            "Another policy for inactive people takes effect in the same transaction: who leaves the product "
            "view is announced with `dsync.user.deleted`, who enters it with `dsync.user.created`. So "
            "does another `membership`: memberships through nested groups begin or cease to be shown, each "
            "with `dsync.group.user_added` or `dsync.group.user_removed`."
        ),
    ),
    Route(
        "DELETE",
        "/directories/{id}",
        _delete,
        "Delete a directory",
        status=202,
        about="Emits `dsync.deleted` and nothing else. Its SCIM address refuses every token from then on.",
    ),
    Route(
        "POST",
        "/directories/{id}/sync",
        _sync,
        "Queue a pull of a directory",
        PullQueued,
        202,
        about="For directories that are pulled, of which there is no kind yet: every call is refused.",
        refusals=((422, "directory_sync_unsupported"),),
    ),
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
        about=(
            "Several tokens may be live. With `token` or `digest` one that the provider has already is taken "
            "over, and not shown again. Emits `dsync.token.created`."
        ),
        refusals=((409, "bearer_token_exists"),),
    ),
    Route(
        "POST",
        "/directories/{id}/bearer_tokens/{token_id}/rotate",
        _rotate_token,
        "Replace a bearer token, with an overlap",
        DirectoryToken,
        201,
        takes=TokenRotationInput,
        about="The successor has the label of the old token, which ends when the overlap does.",
    ),
    Route(
        "DELETE",
        "/directories/{id}/bearer_tokens/{token_id}",
        _revoke_token,
        "Revoke a bearer token",
        status=204,
        about="Requests that carry it are refused from now on. Emits `dsync.token.revoked`.",
    ),
)
