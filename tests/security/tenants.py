"""A tenant made through the product's own interfaces, and every secret that was shown on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

EVENTS = (
    "dsync.user.created",
    "dsync.user.updated",
    "dsync.user.deleted",
    "dsync.group.created",
    "dsync.group.user_added",
)


@dataclass(slots=True)
class Tenant:
    """Two clients of one environment, and what the server has shown once."""

    url: str
    api: httpx.Client
    organization_id: str
    directory_id: str
    scim_token: str
    secrets: list[str] = field(default_factory=list)

    @property
    def base(self) -> str:
        """The SCIM 2.0 address of the directory, on the address that the test talks to."""
        return f"{self.url}/scim/v2/{self.directory_id.removeprefix('directory_')}"

    def scim(self, method: str, path: str, body: object = None, **more: Any) -> httpx.Response:
        """Make a SCIM 2.0 call with the directory's token."""
        return self.call(method, f"{self.base}{path}", body, **more)

    def scim_v1(self, method: str, path: str, body: object = None, **more: Any) -> httpx.Response:
        """Make a SCIM 1.1 call with the directory's token."""
        return self.call(method, f"{self.base.replace('/scim/v2/', '/scim/v1/')}{path}", body, **more)

    def call(self, method: str, url: str, body: object = None, **more: Any) -> httpx.Response:
        """Make a call with the directory's token; a body goes as JSON, bytes as they are."""
        headers = {"Authorization": f"Bearer {self.scim_token}", "Content-Type": "application/json"}
        headers |= more.pop("headers", {})
        if body is not None:
            more["content" if isinstance(body, bytes) else "json"] = body
        return self.api.request(method, url, headers=headers, **more)

    def made(self, path: str, body: object, **headers: str) -> Any:
        """Return the JSON of a REST creation; whatever secret it shows is kept."""
        answer = self.api.post(path, json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        shown = answer.json()
        self.secrets += secrets_in(shown)
        return shown

    def endpoint(self, url: str, events: tuple[str, ...] = EVENTS) -> dict[str, Any]:
        """Make a webhook endpoint."""
        made: dict[str, Any] = self.made("/webhook_endpoints", {"endpoint_url": url, "events": list(events)})
        return made

    def user(self, name: str, /, **more: Any) -> str:
        """Let the provider create a person; return the SCIM id."""
        answer = self.scim("POST", "/Users", {"userName": name, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


def secrets_in(shown: Mapping[str, Any]) -> list[str]:
    """Return the secrets of an answer: keys, tokens and signing secrets that are shown in full."""
    found = [shown[name] for name in ("value", "token", "secret", "bearer_token") if name in shown]
    nested = shown.get("scim")
    if isinstance(nested, dict):
        found += secrets_in(nested)
    return [str(secret) for secret in found if "…" not in str(secret)]


@contextmanager
def tenant(url: str, api_key: str) -> Iterator[Tenant]:
    """Make an organization with a directory in the environment of an API key."""
    headers = {"Authorization": f"Bearer {api_key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as api:
        organization = api.post("/organizations", json={"name": "Northwind"}).json()["id"]
        found = Tenant(url, api, organization, "", "", [api_key])
        body = {"organization_id": organization, "name": "Okta", "type": "generic scim v2.0"}
        directory = found.made("/directories", body)
        found.directory_id = directory["id"]
        found.scim_token = directory["scim"]["bearer_token"]
        yield found
