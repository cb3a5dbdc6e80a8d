"""`syncline keys`: make, list, roll and revoke API keys from the shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncline.cli.operator import environment_id, on_services

if TYPE_CHECKING:
    from syncline.services.api_keys import ApiKey
    from syncline.services.container import Services

# Every command loads this module, so what needs the database is imported where it is used.
DEFAULT_NAME = "default"
app = typer.Typer(help="Make, list, roll and revoke API keys.", no_args_is_help=True)
Environment = Annotated[str, typer.Option("--environment", "-e", help="Name of the environment.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")] = "command line",
    scope: Annotated[list[str] | None, typer.Option(help="read, write or admin; may be repeated.")] = None,
    environment: Environment = DEFAULT_NAME,
    as_json: AsJson = False,
) -> None:
    """Make a key, and the environment if there is none of that name. The value is shown this once."""
    from syncline.services.api_keys import SCOPES

    async def work(services: Services) -> dict[str, Any]:
        made_for = await services.environments.ensure(environment)
        made = await services.api_keys.create(made_for.id, name, scope or SCOPES)
        return {**_shown(made.key), "value": made.value}

    _print(on_services(work), as_json)


@app.command("list")
def list_(environment: Environment = DEFAULT_NAME, as_json: AsJson = False) -> None:
    """List the keys of an environment."""
    from syncline.core.paging import MAX_LIMIT, PageRequest

    async def work(services: Services) -> list[dict[str, Any]]:
        owner = await environment_id(services, environment)
        found: list[dict[str, Any]] = []
        request = PageRequest(limit=MAX_LIMIT)
        while True:
            page = await services.api_keys.list(owner, request)
            found.extend(_shown(key) for key in page.items)
            if page.after is None:
                return found
            request = PageRequest(limit=MAX_LIMIT, after=page.after)

    _print(on_services(work), as_json)


@app.command()
def roll(key_id: str, environment: Environment = DEFAULT_NAME, as_json: AsJson = False) -> None:
    """Make a successor of a key; the old one works for another day."""

    async def work(services: Services) -> dict[str, Any]:
        made = await services.api_keys.roll(await environment_id(services, environment), key_id)
        return {**_shown(made.key), "value": made.value}

    _print(on_services(work), as_json)


@app.command()
def revoke(key_id: str, environment: Environment = DEFAULT_NAME, as_json: AsJson = False) -> None:
    """Refuse a key from now on."""

    async def work(services: Services) -> dict[str, Any]:
        await services.api_keys.revoke(await environment_id(services, environment), key_id)
        return {"id": key_id, "revoked": True}

    _print(on_services(work), as_json)


def _shown(key: ApiKey) -> dict[str, Any]:
    from syncline.core import wire

    return {
        "id": key.id,
        "name": key.name,
        "suffix": key.suffix,
        "scopes": list(key.scopes),
        "created_at": wire.iso(key.created_at),
        "expires_at": None if key.expires_at is None else wire.iso(key.expires_at),
        "last_used_at": None if key.last_used_at is None else wire.iso(key.last_used_at),
    }


def _print(found: dict[str, Any] | list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found))
        return
    for entry in found if isinstance(found, list) else [found]:
        typer.echo("  ".join(f"{name}={value}" for name, value in entry.items() if value is not None))
