"""`syncline events`: follow the log, read one event, send past events again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from syncline.cli.client import (
    UNUSABLE,
    AsJson,
    CommandFailed,
    KeyFile,
    Url,
    endpoint_path,
    find_target,
    read_time,
    run,
    split_types,
)
from syncline.cli.output import Output

if TYPE_CHECKING:
    from syncline.cli.events_stream import Wanted
    from syncline.net.api_client import ApiClient

app = typer.Typer(help="Follow the log, read one event, send past events again.", no_args_is_help=True)
EventId = Annotated[str, typer.Argument(help="Id of the event.")]


@app.command()
def tail(
    events: Annotated[
        list[str] | None, typer.Option(help="Event types, comma-separated; by default all.")
    ] = None,
    organization: Annotated[
        str | None, typer.Option(help="Only events of the organization with this id.")
    ] = None,
    directory: Annotated[str | None, typer.Option(help="Only events of the directory with this id.")] = None,
    from_: Annotated[
        str, typer.Option("--from", help="`start`, `now`, a time, or the id of an event to go on after.")
    ] = "now",
    limit: Annotated[int | None, typer.Option(min=1, help="End after this many events.")] = None,
    no_follow: Annotated[bool, typer.Option("--no-follow", help="End at the newest event.")] = False,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Show events as they come, oldest first, until Ctrl-C. Nothing is remembered."""
    from syncline.cli.events_stream import Wanted

    output = Output(as_json=as_json)
    target = find_target(url, api_key_file)
    start = read_time(from_)
    wanted = Wanted(split_types(events), organization, directory, start)

    async def work(client: ApiClient) -> None:
        after = await _cursor(client, from_) if start is None else None
        await _tail(client, output, wanted, after, limit=limit, forever=not no_follow)

    run(target, output, work, endless=True)


@app.command()
def get(event_id: EventId, url: Url = None, api_key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Print one event."""
    from syncline.cli.events_stream import find

    output = Output(as_json=as_json)

    async def work(client: ApiClient) -> None:
        output.document(await find(client, event_id))

    run(find_target(url, api_key_file), output, work)


@app.command()
def replay(
    endpoint: Annotated[str, typer.Option(help="Id of the webhook endpoint to send to.")],
    event_id: Annotated[str | None, typer.Argument(help="Id of one event.")] = None,
    after: Annotated[str | None, typer.Option(help="Events behind this one, or from this time on.")] = None,
    before: Annotated[str | None, typer.Option(help="Events ahead of this one, or before this time.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Everything that was given up.")] = False,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Send past events to a webhook endpoint again, with the same ids and bodies.

    One event, those between two events or times, or all that were given up. What the endpoint does not
    subscribe to is left out. Ends with 1 if nothing was found to send.
    """
    from syncline.cli.events_replay import Selection, replayed

    output = Output(as_json=as_json)
    wanted = Selection(event_id, after, before, dead)
    wanted.check()
    path = endpoint_path(endpoint)

    async def work(client: ApiClient) -> None:
        await replayed(client, output, path, wanted)

    run(find_target(url, api_key_file), output, work)


async def _tail(
    client: ApiClient,
    output: Output,
    wanted: Wanted,
    after: str | None,
    *,
    limit: int | None,
    forever: bool,
) -> None:
    from syncline.cli.events_stream import follow
    from syncline.cli.listen_loop import DirectoryNames, show

    names, shown = DirectoryNames(client), 0
    async for batch in follow(client, wanted, after, forever=forever, trouble=output.remark):
        for seen in batch.events:
            await show(output, names, seen)
            shown += 1
            if shown == limit:
                return


async def _cursor(client: ApiClient, text: str) -> str | None:
    from syncline.cli.events_stream import check_cursor, head

    if text == "start":
        return None
    if text == "now":
        return await head(client)
    if not text.startswith("event_"):
        raise CommandFailed(
            f"--from takes `start`, `now`, an RFC 3339 time or the id of an event, not '{text}'.", UNUSABLE
        )
    await check_cursor(client, text)
    return text
