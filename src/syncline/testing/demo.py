"""The demonstration of `syncline up --demo`: a customer, a directory, a simulated provider, a receiver."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import aiohttp
import typer

from syncline import __version__
from syncline.config import Settings
from syncline.core.errors import NotFound
from syncline.core.ids import Prefix
from syncline.core.model import Cause
from syncline.core.paging import MAX_LIMIT, PageRequest
from syncline.providers.registry import DIRECTORY_TYPES, Method
from syncline.services.container import Services
from syncline.services.directories import DirectoryFilter
from syncline.services.organizations import OrganizationChanges
from syncline.testing.okta import SimulatedOkta
from syncline.testing.sink import WebhookSink

LOOPBACK = ("127.0.0.0/8", "::1/128")
ENVIRONMENT = "demo"
CHANGE_SECONDS = 4.0
_TYPE_WORD = "okta"
_EVENTS = (
    "dsync.activated",
    "dsync.user.created",
    "dsync.user.updated",
    "dsync.user.deleted",
    "dsync.group.created",
    "dsync.group.updated",
    "dsync.group.deleted",
    "dsync.group.user_added",
    "dsync.group.user_removed",
)


def demonstration(settings: Settings) -> Callable[[Services, asyncio.Event], Awaitable[None]]:
    """Return what runs beside the process: prints each event, the API key and commands to try."""

    async def companion(services: Services, stop: asyncio.Event) -> None:
        sink = WebhookSink(_print_event)
        try:
            await _run(settings, services, sink, stop)
        finally:
            await sink.close()

    return companion


async def _run(settings: Settings, services: Services, sink: WebhookSink, stop: asyncio.Event) -> None:
    cause = Cause(services.kernel.ids.new(Prefix.REQUEST), actor_source="system", actor_name="demo")
    environment = await services.environments.ensure(ENVIRONMENT)
    key = await services.api_keys.create(environment.id, "demo")
    address, token, directory_id = await _directory(services, environment.id, cause)
    url = await sink.start()
    await _forget_sinks(services, environment.id, cause)
    endpoint = await services.endpoints.create(environment.id, url, _EVENTS, cause)
    sink.secret = endpoint.secret
    _print_welcome(settings, key.value, directory_id, url)
    local = f"http://127.0.0.1:{settings.port}"
    path = address[address.index("/scim/") :]
    async with aiohttp.ClientSession() as session:
        okta = SimulatedOkta(session, local + path, token)
        await okta.connect()
        await okta.provision()
        await okta.live(stop, CHANGE_SECONDS)


async def _directory(services: Services, environment_id: str, cause: Cause) -> tuple[str, str, str]:
    """Return SCIM address, token and id of the demonstration's directory, made at the first start."""
    try:
        organization = await services.organizations.by_external_id(environment_id, ENVIRONMENT)
    except NotFound:
        changes = OrganizationChanges(name="Northwind", external_id=ENVIRONMENT)
        organization = await services.organizations.create(environment_id, changes, cause)
    found = await services.directories.list(
        environment_id, DirectoryFilter(organization_id=organization.id), PageRequest()
    )
    if found.items:
        directory_id = found.items[0].id
        made = await services.tokens.create(environment_id, directory_id, cause, label="demo")
        return f"/scim/v2/{directory_id.removeprefix('directory_')}", made.secret, directory_id
    type_ = next(name for name in _scim_types() if name.startswith(_TYPE_WORD))
    created = await services.directories.create(
        environment_id, organization.id, "Northwind Okta", type_, cause
    )
    assert created.scim is not None
    assert created.bearer_token is not None
    return created.scim.endpoint, created.bearer_token, created.directory.id


def _scim_types() -> list[str]:
    return [name for name, method in DIRECTORY_TYPES.items() if method is Method.SCIM]


async def _forget_sinks(services: Services, environment_id: str, cause: Cause) -> None:
    """Remove the receivers of earlier starts: their ports are gone."""
    page = await services.endpoints.list(environment_id, PageRequest(limit=MAX_LIMIT))
    for endpoint in page.items:
        if endpoint.endpoint_url.startswith("http://127.0.0.1:"):
            await services.endpoints.delete(environment_id, endpoint.id, cause)


def _print_welcome(settings: Settings, key: str, directory_id: str, sink: str) -> None:
    url = settings.public_url
    database = settings.database.partition("://")[0]
    curl = f"  curl -s -H 'Authorization: Bearer {key}'"
    lines = (
        f"Syncline {__version__}   {database}   {url}",
        f"API key  {key}   (shown once)",
        f"webhooks go to {sink}",
        "",
        "Try, in another terminal:",
        f"{curl} '{url}/directory_users?directory={directory_id}&limit=1'",
        f"{curl} '{url}/directory_groups?directory={directory_id}'",
        f"{curl} '{url}/events?limit=2'",
        "",
    )
    for line in lines:
        typer.echo(f"  {line}" if line else "")


def _print_event(event: dict[str, Any]) -> None:
    data = event["data"]
    person = data.get("user", data if "email" in data else {})
    group = data.get("group", {})
    what = " → ".join(text for text in (person.get("email"), group.get("name")) if text) or data.get(
        "name", ""
    )
    at = datetime.fromisoformat(event["created_at"]).astimezone()
    typer.echo(f"  {at:%H:%M:%S}  {event['event']:<26} {what:<40} {event['id']}")
