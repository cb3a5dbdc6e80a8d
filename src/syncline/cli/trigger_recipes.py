"""What `syncline trigger` does for each event type, and how the event of that very change is recognized."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from syncline.cli.trigger_sandbox import EXTERNAL_ID, NAME, Matches, Sandbox


@dataclass(frozen=True, slots=True)
class Recipe:
    """One kind of change: in words, and as calls that return how to recognize the event."""

    does: str
    run: Callable[[Sandbox], Awaitable[Matches]]


RECIPES: dict[str, Recipe] = {}
UNTRIGGERED = {
    "organization_domain.verification_failed": "it takes a domain without a TXT record and thirty days.",
}


def _recipe(
    type_: str, does: str
) -> Callable[[Callable[[Sandbox], Awaitable[Matches]]], Callable[[Sandbox], Awaitable[Matches]]]:
    def register(run: Callable[[Sandbox], Awaitable[Matches]]) -> Callable[[Sandbox], Awaitable[Matches]]:
        RECIPES[type_] = Recipe(does, run)
        return run

    return register


def _with_id(id_: str) -> Matches:
    return lambda data: data.get("id") == id_


def _of_user(resource: Mapping[str, Any]) -> Matches:
    return lambda data: data.get("idp_id") == _idp_id(resource)


def _idp_id(resource: Mapping[str, Any]) -> str:
    return str(resource.get("externalId") or resource["id"])


def _of_group(name: str) -> Matches:
    return lambda data: data.get("name") == name


def _of_pair(user: Mapping[str, Any], group: Mapping[str, Any]) -> Matches:
    return lambda data: (
        data["user"]["idp_id"] == _idp_id(user) and data["group"]["name"] == group["displayName"]
    )


@_recipe("dsync.activated", "makes a spare directory and sends a provider's first request")
async def _activated(sandbox: Sandbox) -> Matches:
    directory = await sandbox.new_directory()
    await sandbox.connect(directory)
    return _with_id(directory["id"])


@_recipe("dsync.deleted", "deletes a spare directory")
async def _deleted(sandbox: Sandbox) -> Matches:
    directory = await sandbox.spare_directory() or await sandbox.new_directory()
    await sandbox.api("DELETE", f"/directories/{directory['id']}")
    return _with_id(directory["id"])


@_recipe("dsync.user.created", "creates an invented person over SCIM")
async def _user_created(sandbox: Sandbox) -> Matches:
    return _of_user(await sandbox.new_user())


@_recipe("dsync.user.updated", "changes the title of a person over SCIM")
async def _user_updated(sandbox: Sandbox) -> Matches:
    user, title = await sandbox.a_user(), f"Planner {secrets.token_hex(2)}"
    await sandbox.patch(f"/Users/{user['id']}", {"op": "replace", "path": "title", "value": title})
    return lambda data: _of_user(user)(data) and data.get("job_title") in (title, None)


@_recipe("dsync.user.deleted", "deletes a person over SCIM")
async def _user_deleted(sandbox: Sandbox) -> Matches:
    user = await sandbox.a_user()
    await sandbox.scim("DELETE", f"/Users/{user['id']}")
    return _of_user(user)


@_recipe("dsync.group.created", "creates a group over SCIM")
async def _group_created(sandbox: Sandbox) -> Matches:
    return _of_group(str((await sandbox.new_group())["displayName"]))


@_recipe("dsync.group.updated", "renames a group over SCIM")
async def _group_updated(sandbox: Sandbox) -> Matches:
    group, name = await sandbox.a_group(), f"Sandbox group {secrets.token_hex(3)}"
    await sandbox.patch(f"/Groups/{group['id']}", {"op": "replace", "path": "displayName", "value": name})
    return _of_group(name)


@_recipe("dsync.group.deleted", "deletes a group over SCIM")
async def _group_deleted(sandbox: Sandbox) -> Matches:
    group = await sandbox.a_group()
    await sandbox.scim("DELETE", f"/Groups/{group['id']}")
    return _of_group(str(group["displayName"]))


@_recipe("dsync.group.user_added", "creates a person and puts them into a group over SCIM")
async def _user_added(sandbox: Sandbox) -> Matches:
    group, user = await sandbox.a_group(), await sandbox.new_user()
    await _add(sandbox, group, user)
    return _of_pair(user, group)


@_recipe("dsync.group.user_removed", "takes a person out of a group over SCIM")
async def _user_removed(sandbox: Sandbox) -> Matches:
    group, user = await sandbox.a_group(), await sandbox.a_user()
    await _add(sandbox, group, user)
    path = f'members[value eq "{user["id"]}"]'
    await sandbox.patch(f"/Groups/{group['id']}", {"op": "remove", "path": path})
    return _of_pair(user, group)


@_recipe("dsync.token.created", "makes a bearer token for the sandbox directory")
async def _token_created(sandbox: Sandbox) -> Matches:
    return _with_id((await _token(sandbox))["id"])


@_recipe("dsync.token.revoked", "makes a bearer token for the sandbox directory and revokes it")
async def _token_revoked(sandbox: Sandbox) -> Matches:
    token = await _token(sandbox)
    await sandbox.api("DELETE", f"/directories/{token['directory_id']}/bearer_tokens/{token['id']}")
    return _with_id(token["id"])


@_recipe("organization.created", "creates an organization")
async def _organization_created(sandbox: Sandbox) -> Matches:
    return _with_id((await _organization(sandbox))["id"])


@_recipe("organization.updated", "changes the metadata of the sandbox organization")
async def _organization_updated(sandbox: Sandbox) -> Matches:
    organization, mark = await sandbox.organization(), secrets.token_hex(3)
    await sandbox.api("PUT", f"/organizations/{organization['id']}", {"metadata": {"triggered": mark}})
    return lambda data: data.get("metadata", {}).get("triggered") == mark


@_recipe("organization.deleted", "creates an organization and deletes it")
async def _organization_deleted(sandbox: Sandbox) -> Matches:
    organization = await _organization(sandbox)
    await sandbox.api("DELETE", f"/organizations/{organization['id']}")
    return _with_id(organization["id"])


@_recipe("organization_domain.created", "adds a domain to the sandbox organization")
async def _domain_created(sandbox: Sandbox) -> Matches:
    return _with_id((await _domain(sandbox))["id"])


@_recipe("organization_domain.updated", "adds a domain and has it verified at the caller's word")
async def _domain_updated(sandbox: Sandbox) -> Matches:
    return _with_id(await _verified_domain(sandbox))


@_recipe("organization_domain.verified", "adds a domain and has it verified at the caller's word")
async def _domain_verified(sandbox: Sandbox) -> Matches:
    return _with_id(await _verified_domain(sandbox))


@_recipe("organization_domain.deleted", "adds a domain to the sandbox organization and removes it")
async def _domain_deleted(sandbox: Sandbox) -> Matches:
    domain = await _domain(sandbox)
    await sandbox.api("DELETE", f"/organization_domains/{domain['id']}")
    return _with_id(domain["id"])


@_recipe("role.created", "creates a role of the environment and deletes it")
async def _role_created(sandbox: Sandbox) -> Matches:
    return _of_role(await _spare_role(sandbox))


@_recipe("role.updated", "creates a role of the environment, gives it a permission and deletes it")
async def _role_updated(sandbox: Sandbox) -> Matches:
    return _of_role(await _spare_role(sandbox, permission="sandbox:use"))


@_recipe("role.deleted", "creates a role of the environment and deletes it")
async def _role_deleted(sandbox: Sandbox) -> Matches:
    return _of_role(await _spare_role(sandbox))


@_recipe("organization_role.created", "creates a role of the sandbox organization and deletes it")
async def _organization_role_created(sandbox: Sandbox) -> Matches:
    return _of_role(await _spare_organization_role(sandbox))


@_recipe(
    "organization_role.updated",
    "creates a role of the sandbox organization, gives it a permission and deletes it",
)
async def _organization_role_updated(sandbox: Sandbox) -> Matches:
    return _of_role(await _spare_organization_role(sandbox, permission="sandbox:use"))


@_recipe("organization_role.deleted", "creates a role of the sandbox organization and deletes it")
async def _organization_role_deleted(sandbox: Sandbox) -> Matches:
    return _of_role(await _spare_organization_role(sandbox))


def _of_role(slug: str) -> Matches:
    return lambda data: data.get("slug") == slug


async def _spare_role(sandbox: Sandbox, permission: str | None = None) -> str:
    """Make a role of the environment and delete it again, so that nothing is left; return its slug."""
    return await _passing_role(sandbox, "/authorization/roles", f"sandbox-{secrets.token_hex(4)}", permission)


async def _spare_organization_role(sandbox: Sandbox, permission: str | None = None) -> str:
    organization = await sandbox.organization()
    path = f"/authorization/organizations/{organization['id']}/roles"
    return await _passing_role(sandbox, path, f"org-sandbox-{secrets.token_hex(4)}", permission)


async def _passing_role(sandbox: Sandbox, path: str, slug: str, permission: str | None) -> str:
    await sandbox.api("POST", path, {"slug": slug, "name": f"{NAME} {slug[-8:]}"})
    if permission is not None:
        await sandbox.api("POST", f"{path}/{slug}/permissions", {"slug": permission})
    await sandbox.api("DELETE", f"{path}/{slug}")
    return slug


async def _add(sandbox: Sandbox, group: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    value = [{"value": user["id"]}]
    await sandbox.patch(f"/Groups/{group['id']}", {"op": "add", "path": "members", "value": value})


async def _token(sandbox: Sandbox) -> dict[str, Any]:
    directory = await sandbox.directory()
    path = f"/directories/{directory['id']}/bearer_tokens"
    made: dict[str, Any] = await sandbox.api("POST", path, {"label": "syncline trigger"})
    return made


async def _organization(sandbox: Sandbox) -> dict[str, Any]:
    mark = secrets.token_hex(3)
    body = {"name": f"{NAME} {mark}", "external_id": f"{EXTERNAL_ID}-{mark}"}
    made: dict[str, Any] = await sandbox.api("POST", "/organizations", body)
    return made


async def _domain(sandbox: Sandbox) -> dict[str, Any]:
    organization = await sandbox.organization()
    body = {"organization_id": organization["id"], "domain": f"{secrets.token_hex(4)}.sandbox.example"}
    made: dict[str, Any] = await sandbox.api("POST", "/organization_domains", body)
    return made


async def _verified_domain(sandbox: Sandbox) -> str:
    """Return the id of a domain that was pending and is verified, without a TXT record of anybody."""
    made = await _domain(sandbox)
    organization = await sandbox.organization()
    # The list given replaces the list that was: whatever else is there stays as it is.
    proved = {one["domain"] for one in organization["domains"] if one["state"] == "verified"}
    proved.add(made["domain"])
    wanted = [
        {"domain": one["domain"], "state": "verified" if one["domain"] in proved else "pending"}
        for one in organization["domains"]
    ]
    await sandbox.api("PUT", f"/organizations/{organization['id']}", {"domain_data": wanted})
    return str(made["id"])
