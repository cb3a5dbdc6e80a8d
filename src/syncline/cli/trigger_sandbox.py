"""The sandbox of `syncline trigger`: an organization with a directory, and a provider's calls to it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from syncline.cli.client import CommandFailed, Target
from syncline.cli.listen_cursor import make_folder, place_of
from syncline.providers import generic
from syncline.testing.people import TITLES, people

if TYPE_CHECKING:
    from syncline.net.api_client import ApiClient

Matches = Callable[[Mapping[str, Any]], bool]
NAME = "Syncline sandbox"
EXTERNAL_ID = "syncline-sandbox"
_SPARE = f"{NAME}, spare"
_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Sandbox:
    """Makes what is missing, finds what is there, and tells each call that changes something to `remark`."""

    def __init__(self, client: ApiClient, target: Target, remark: Callable[[str], None]) -> None:
        self._client = client
        self._target = target
        self._remark = remark
        self._scim: tuple[str, str] | None = None

    async def api(self, method: str, path: str, body: object = None) -> Any:
        """Make a call of the REST API."""
        found = await self._client.call(method, path, body)
        if method != "GET":
            self._remark(f"{method} {path}")
        return found

    async def scim(self, method: str, path: str, body: object = None) -> Any:
        """Make a call as the provider of the sandbox directory."""
        if self._scim is None:
            self._scim = await self._connected()
        base, token = self._scim
        return await self._provider_call(method, base + path, token, body)

    async def organization(self) -> dict[str, Any]:
        """Return the sandbox organization, made if it is not there."""
        from syncline.net.api_client import ApiRefused

        try:
            found: dict[str, Any] = await self.api("GET", f"/organizations/external_id/{EXTERNAL_ID}")
        except ApiRefused as error:
            if error.status != 404:
                raise
            found = await self.api("POST", "/organizations", {"name": NAME, "external_id": EXTERNAL_ID})
        return found

    async def directory(self) -> dict[str, Any]:
        """Return the sandbox directory, made if it is not there."""
        organization = await self.organization()
        for found in await self._client.pages("/directories", {"organization_id": organization["id"]}):
            if found["name"] == NAME and found["state"] != "deleting":
                return found
        return await self.new_directory(NAME)

    async def new_directory(self, name: str = _SPARE) -> dict[str, Any]:
        """Make a directory; its answer holds address and token. That of the sandbox itself is remembered."""
        organization = await self.organization()
        body = {"organization_id": organization["id"], "name": name, "type": generic.PROFILE.type}
        made: dict[str, Any] = await self.api("POST", "/directories", body)
        if name == NAME:
            self._keep_token(made["id"], made["scim"]["bearer_token"])
        return made

    async def spare_directory(self) -> dict[str, Any] | None:
        """Return a directory that an earlier trigger left."""
        organization = await self.organization()
        found = await self._client.pages("/directories", {"organization_id": organization["id"]})
        return next((one for one in found if one["name"] == _SPARE and one["state"] != "deleting"), None)

    async def connect(self, directory: Mapping[str, Any]) -> None:
        """Make the first request of a provider to a directory that was just made."""
        path = urlsplit(directory["scim"]["endpoint"]).path
        await self._provider_call("GET", f"{path}/Users?count=1", directory["scim"]["bearer_token"], None)

    async def new_user(self) -> dict[str, Any]:
        """Create an invented person and return the SCIM resource."""
        person, mark = secrets.choice(people()), secrets.token_hex(3)
        address = f"{person.given_name}.{person.family_name}.{mark}@sandbox.example".lower()
        body = {
            "schemas": [_USER],
            "externalId": f"sandbox-{mark}",
            "userName": address,
            "name": {"givenName": person.given_name, "familyName": person.family_name},
            "displayName": f"{person.given_name} {person.family_name}",
            "emails": [{"value": address, "type": "work", "primary": True}],
            "title": secrets.choice(TITLES),
            "active": True,
        }
        made: dict[str, Any] = await self.scim("POST", "/Users", body)
        return made

    async def a_user(self) -> dict[str, Any]:
        """Return a person of the sandbox, created if there is none."""
        found = (await self.scim("GET", "/Users?count=1&filter=" + quote("active eq true")))["Resources"]
        return dict(found[0]) if found else await self.new_user()

    async def new_group(self) -> dict[str, Any]:
        """Create an empty group and return the SCIM resource."""
        body = {"schemas": [_GROUP], "displayName": f"Sandbox group {secrets.token_hex(3)}", "members": []}
        made: dict[str, Any] = await self.scim("POST", "/Groups", body)
        return made

    async def a_group(self) -> dict[str, Any]:
        """Return a group of the sandbox, created if there is none."""
        found = (await self.scim("GET", "/Groups?count=1&excludedAttributes=members"))["Resources"]
        return dict(found[0]) if found else await self.new_group()

    async def patch(self, path: str, *operations: Mapping[str, Any]) -> None:
        """Change a person or a group in part."""
        await self.scim("PATCH", path, {"schemas": [_PATCH], "Operations": list(operations)})

    async def _provider_call(self, method: str, path: str, token: str, body: object) -> Any:
        found = await self._client.call(method, path, body, scim_token=token)
        if method != "GET":
            self._remark(f"{method} {path}")
        return found

    async def _connected(self) -> tuple[str, str]:
        """Return path and token of the sandbox directory; a token that was lost or revoked is made anew."""
        from syncline.net.api_client import ApiRefused

        directory = await self.directory()
        base = f"/scim/v2/{directory['id'].removeprefix('directory_')}"
        token = self._kept_token(directory["id"])
        if token is not None:
            try:
                await self._client.call("GET", f"{base}/ServiceProviderConfig", scim_token=token)
                return base, token
            except ApiRefused as error:
                if error.status != 401:
                    raise
        made = await self.api(
            "POST", f"/directories/{directory['id']}/bearer_tokens", {"label": "syncline trigger"}
        )
        self._keep_token(directory["id"], made["token"])
        return base, str(made["token"])

    def _file(self) -> Path:
        return self._target.state / "sandbox" / f"{place_of(self._target)}.json"

    def _kept_token(self, directory_id: str) -> str | None:
        token = self._kept().get(directory_id)
        return token if isinstance(token, str) and token else None

    def _kept(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file().read_text("utf-8"))
        except (OSError, ValueError):
            # What cannot be read is as good as lost: another token is made.
            return {}
        return found if isinstance(found, dict) else {}

    def _keep_token(self, directory_id: str, token: str) -> None:
        path = self._file()
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            make_folder(path.parent)
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                out.write(json.dumps({**self._kept(), directory_id: token}))
            os.replace(unfinished, path)
        except OSError as error:
            raise CommandFailed(f"The sandbox's token cannot be kept: {error}") from None
