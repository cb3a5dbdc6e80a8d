"""`syncline trigger`: a real change in a sandbox, and the event that comes of it."""

from __future__ import annotations

import asyncio
import time
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncline.cli.client import UNUSABLE, AsJson, CommandFailed, KeyFile, Url, find_target, run
from syncline.cli.output import Output

if TYPE_CHECKING:
    from syncline.cli.trigger_sandbox import Matches
    from syncline.net.api_client import ApiClient

_POLL_SECONDS = 0.1


def trigger(
    event: Annotated[str | None, typer.Argument(help="Event type, such as dsync.user.created.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the types and what is done for each.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the event.")] = 30.0,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a change in a sandbox organization so that an event of this type comes, and print the event.

    The sandbox is an organization named "Syncline sandbox" with a directory, made at the first use. People
    and groups are changed over SCIM, as a provider does it. Ends with 1 if the event does not come in time.
    """
    from syncline.cli.trigger_recipes import RECIPES

    output = Output(as_json=as_json)
    if list_:
        _list(output)
        return
    if event is None:
        raise CommandFailed("Name an event type; `syncline trigger --list` lists them.", UNUSABLE)
    if event not in RECIPES:
        raise CommandFailed(_unknown(event), UNUSABLE)
    recipe = RECIPES[event]
    target = find_target(url, api_key_file)

    async def work(client: ApiClient) -> None:
        from syncline.cli.events_stream import head
        from syncline.cli.trigger_sandbox import Sandbox

        before = await head(client)
        matches = await recipe.run(Sandbox(client, target, output.remark))
        output.document(await _await_event(client, event, before, matches, timeout))

    run(target, output, work)


async def _await_event(
    client: ApiClient, type_: str, after: str | None, matches: Matches, seconds: float
) -> dict[str, Any]:
    """Return the event of the change that was made. Raises `CommandFailed` if it does not come in time."""
    from syncline.cli.events_stream import Wanted, follow

    ends = time.monotonic() + seconds
    while True:
        async for batch in follow(client, Wanted((type_,)), after, forever=False):
            for seen in batch.events:
                if matches(seen.event["data"]):
                    return seen.event
            after = batch.cursor or after
        if time.monotonic() > ends:
            raise CommandFailed(
                f"The change was made, and no {type_} came within {seconds:g} s. Do the workers run? "
                "`syncline up` runs them, beside `syncline serve` it is `syncline worker`."
            )
        await asyncio.sleep(_POLL_SECONDS)


def _list(output: Output) -> None:
    from syncline.cli.trigger_recipes import RECIPES

    if output.as_json:
        for name, recipe in RECIPES.items():
            output.record({"event": name, "does": recipe.does})
    else:
        output.table([(name, recipe.does) for name, recipe in RECIPES.items()])


def _unknown(event: str) -> str:
    from syncline.cli.trigger_recipes import RECIPES, UNTRIGGERED
    from syncline.core.events import CATALOG

    if event in UNTRIGGERED:
        return f"{event} cannot be triggered: {UNTRIGGERED[event]}"
    if event in CATALOG:
        return f"{event} cannot be triggered; `syncline trigger --list` lists what can."
    near = get_close_matches(event, RECIPES, n=1)
    hint = f" Do you mean {near[0]}?" if near else ""
    return f"'{event}' is no event type.{hint} `syncline trigger --list` lists them."
