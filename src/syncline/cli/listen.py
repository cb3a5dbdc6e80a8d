"""`syncline listen`: the events of an environment, signed, at a developer's machine."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import typer

from syncline.cli.client import (
    UNUSABLE,
    AsJson,
    CommandFailed,
    KeyFile,
    Target,
    Url,
    find_target,
    run,
    split_types,
)
from syncline.cli.output import Output

if TYPE_CHECKING:
    from syncline.cli.listen_cursor import CursorFile, Place
    from syncline.net.api_client import ApiClient


@dataclass(frozen=True, slots=True)
class Begin:
    """Where to begin, if the command says so; it goes before what is remembered."""

    after: str | None = None
    side: Literal["start", "now"] | None = None


def listen(
    forward_to: Annotated[
        str | None, typer.Option(help="Where events are posted to, such as localhost:3000/hooks.")
    ] = None,
    no_forward: Annotated[
        bool, typer.Option("--no-forward", help="Only show events; what is remembered stays as it is.")
    ] = False,
    events: Annotated[
        list[str] | None, typer.Option(help="Event types, comma-separated; by default all.")
    ] = None,
    directory: Annotated[str | None, typer.Option(help="Only events of the directory with this id.")] = None,
    after: Annotated[str | None, typer.Option(help="Go on after the event with this id.")] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", help="`start`, the oldest event kept, or `now`, which is where a first start begins."
        ),
    ] = None,
    secret: Annotated[
        str | None, typer.Option(help="Sign with this secret; by default one is made and remembered.")
    ] = None,
    print_secret: Annotated[
        bool, typer.Option("--print-secret", help="Print the secret that will sign, and end.")
    ] = False,
    cursor_file: Annotated[
        Path | None, typer.Option(help="Where to remember the place, instead of the state folder.")
    ] = None,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Stream events to a receiver on this machine, signed like webhooks, and show each with its answer.

    Each event is posted until the receiver answers 2xx, in order. The place is remembered after each, so the
    next start goes on there: nothing is skipped, and an event may come twice when the command was killed.
    Both header families are signed with a secret that is printed at the start and stays the same.
    """
    from syncline.cli.events_stream import Wanted
    from syncline.cli.listen_cursor import CursorFile, own_file
    from syncline.cli.listen_loop import Listener

    output = Output(as_json=as_json)
    target = find_target(url, api_key_file)
    wanted = Wanted(split_types(events), directory_id=directory)
    begin = _begin(after, from_)
    receiver = None if no_forward or print_secret else receiver_url(forward_to)
    file = CursorFile(cursor_file) if cursor_file is not None else own_file(target)
    _check_secret(secret)
    if target.faults:
        from syncline import faults

        faults.install(faults.FaultPlan.parse(target.faults))

    async def work(client: ApiClient) -> None:
        place = await _place(client, target, file, begin, secret)
        if no_forward:
            await Listener(client, output, wanted, place).watch()
            return
        if print_secret and place == file.read():
            _print_secret(output, place.secret)
            return
        with file.held():
            file.write(place)
            if print_secret:
                _print_secret(output, place.secret)
                return
            assert receiver is not None
            try:
                await Listener(client, output, wanted, place).forward(receiver, file)
            except asyncio.CancelledError:
                output.remark("Stopped. The next start goes on where this one was.")
                raise

    run(target, output, work, endless=True)


def receiver_url(text: str | None) -> str:
    """Return the address that a person means: `3000/hooks`, `localhost:3000` or a whole URL.

    Raises `CommandFailed`.
    """
    if not text:
        raise CommandFailed(
            "Say where to post events with --forward-to URL, or give --no-forward to only see them.", UNUSABLE
        )
    whole = text
    if "://" not in text:
        port = text.removeprefix(":").partition("/")[0]
        whole = f"http://localhost:{text.removeprefix(':')}" if port.isdecimal() else f"http://{text}"
    try:
        parts = urlsplit(whole)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not whole.isprintable() or " " in whole:
        raise CommandFailed(
            f"'{text}' is no address to post to: give http://localhost:3000/hooks or the like.", UNUSABLE
        )
    return whole


async def _place(
    client: ApiClient, target: Target, file: CursorFile, begin: Begin, secret: str | None
) -> Place:
    """Return where to begin: as the command says, else as remembered, else now.

    A cursor that the server does not take is told before anything is remembered.
    """
    from syncline.cli.events_stream import check_cursor, head
    from syncline.cli.listen_cursor import Place

    known = file.read()
    if known is not None and known.url != target.url:
        raise CommandFailed(
            f"The file {file.path} is of {known.url}, not of {target.url}. Give another --cursor-file.",
            UNUSABLE,
        )
    former = known or await _of_former_key(client, target)
    if begin.after is not None:
        cursor: str | None = begin.after
    elif begin.side == "start":
        cursor = None
    elif begin.side == "now" or former is None:
        cursor = await head(client)
    else:
        cursor = former.cursor
    await check_cursor(client, cursor)
    signing = secret or (former.secret if former is not None else _new_secret())
    return Place(target.url, signing, cursor)


async def _of_former_key(client: ApiClient, target: Target) -> Place | None:
    """Return the place of a listener whose key this one replaces: the server knows its cursor."""
    from syncline.cli.events_stream import check_cursor
    from syncline.cli.listen_cursor import places_of_other_keys

    for place in places_of_other_keys(target):
        try:
            await check_cursor(client, place.cursor)
        except CommandFailed:
            continue
        return place
    return None


def _print_secret(output: Output, secret: str) -> None:
    if output.as_json:
        output.record({"secret": secret})
    else:
        output.line(secret)


def _begin(after: str | None, from_: str | None) -> Begin:
    if after is not None and from_ is not None:
        raise CommandFailed("Give --after or --from, not both.", UNUSABLE)
    if from_ not in (None, "start", "now"):
        raise CommandFailed(f"--from takes `start` or `now`, not '{from_}'; an id goes to --after.", UNUSABLE)
    return Begin(after, "start" if from_ == "start" else "now" if from_ == "now" else None)


def _check_secret(secret: str | None) -> None:
    if secret is not None and (not secret.isascii() or not secret.isprintable() or len(secret) < 16):
        raise CommandFailed(
            "--secret takes 16 or more ASCII characters, such as whsec_ and base64.", UNUSABLE
        )


def _new_secret() -> str:
    from syncline.core.signing import new_endpoint_secret

    return new_endpoint_secret(os.urandom(32))
