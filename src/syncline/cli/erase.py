"""`syncline erase`: erase a person from the database, from the shell."""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
import typer

from syncline.cli.operator import environment_id, on_services
from syncline.core import wire
from syncline.core.ids import Prefix
from syncline.core.model import Cause
from syncline.services.container import Services
from syncline.services.environments import DEFAULT_NAME


def erase(
    directory_user_id: str,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete a person who is still in the directory first.")
    ] = False,
    environment: Annotated[
        str, typer.Option("--environment", "-e", help="Name of the environment.")
    ] = DEFAULT_NAME,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Erase everything that tells who a person is or was, and rewrite the files that held it.

    The id is any that the person has or had in the product view. May be run beside a running Syncline, and
    again after it was interrupted.
    """

    async def work(services: Services) -> wire.Erasure:
        owner = await environment_id(services, environment)
        await services.writer.start()
        cause = Cause(services.kernel.ids.new(Prefix.REQUEST))
        try:
            return await services.erasures.erase(owner, directory_user_id, cause, delete=delete, wait=None)
        finally:
            await services.close()

    done = msgspec.to_builtins(on_services(work))
    if as_json:
        typer.echo(json.dumps(done))
        return
    counts = done.pop("erased")
    typer.echo("  ".join(f"{name}={value}" for name, value in (done | counts).items() if value is not None))
