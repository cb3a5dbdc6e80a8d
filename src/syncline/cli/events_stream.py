"""Reading the Events API from a position on, for the commands that follow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from syncline.cli.client import CommandFailed
from syncline.cli.output import directory_of

if TYPE_CHECKING:
    from syncline.net.api_client import ApiClient, ApiRefused, ApiUnreachable, EventPage

PAGE = 100
POLL_SECONDS = 0.25
IDLE_SECONDS = 1.0
LONGEST_PAUSE = 15.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are wanted; empty and None let everything through.

    The Events API knows no filter by directory: those are read and left out here, so the cursor moves on.
    """

    types: Sequence[str] = ()
    organization_id: str | None = None
    directory_id: str | None = None
    range_start: str | None = None

    @property
    def query(self) -> dict[str, str | int | None]:
        """The filter as parameters of the Events API."""
        return {
            "events": ",".join(self.types) or None,
            "organization_id": self.organization_id,
            "range_start": self.range_start,
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """One event: the exact bytes that a webhook carries, and what they say."""

    raw: bytes
    event: dict[str, Any]

    @property
    def id(self) -> str:
        """The id, which is the cursor."""
        return str(self.event["id"])


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in order, the cursor to keep once all are dealt with, and whether nothing follows so far."""

    events: Sequence[Seen]
    cursor: str | None
    at_head: bool


async def follow(
    client: ApiClient,
    wanted: Wanted,
    after: str | None,
    *,
    forever: bool = True,
    trouble: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Batch]:
    """Yield what comes after a cursor, in order and without a gap; with `forever` also what is yet to come.

    Troubles that pass by themselves are told to `trouble` and waited out. Raises `ApiRefused` for others and
    `CommandFailed` for a cursor that cannot be used.
    """
    from syncline.net.api_client import ApiRefused, ApiUnreachable

    failures, idle = 0, 0
    while True:
        try:
            page = await client.events(wanted.query | {"after": after, "limit": PAGE, "order": "asc"})
        except ApiRefused as error:
            if not (forever and error.may_pass):
                raise _cursor_trouble(error, after) from None
            failed: ApiRefused | ApiUnreachable = error
        except ApiUnreachable as error:
            if not forever:
                raise
            failed = error
        else:
            if failures:
                trouble("Syncline answers again.")
            failures = 0
            batch = _batch(page, wanted)
            yield batch
            after = batch.cursor or after
            if batch.at_head and not forever:
                return
            idle = idle + 1 if batch.at_head and not batch.events else 0
            if batch.at_head:
                await asyncio.sleep(POLL_SECONDS if idle < 20 else IDLE_SECONDS)
            continue
        failures += 1
        if failures == 1:
            trouble(f"{failed} Trying again.")
        await asyncio.sleep(_pause(failed, failures))


async def head(client: ApiClient) -> str | None:
    """Return the cursor behind the newest event, None while there is none."""
    newest = await client.events({"order": "desc", "limit": 1})
    if newest.data:
        return str(msgspec.json.decode(newest.data[0])["id"])
    # Events that are only listed when they are named may still be there.
    return (await client.events({"limit": 1})).list_metadata.cursor


def _batch(page: EventPage, wanted: Wanted) -> Batch:
    seen = [Seen(bytes(raw), msgspec.json.decode(raw)) for raw in page.data]
    at_head = page.list_metadata.after is None
    # At the head the last event that was looked at lies behind the last that matches; both are final.
    last = seen[-1].id if seen else None
    cursor = page.list_metadata.cursor or last if at_head else last
    kept = [one for one in seen if wanted.directory_id in (None, directory_of(one.event))]
    return Batch(kept, cursor, at_head)


def _pause(error: ApiRefused | ApiUnreachable, failures: int) -> float:
    from syncline.net.api_client import ApiRefused

    asked = error.retry_after if isinstance(error, ApiRefused) else None
    return min(float(asked or 0.5 * 2 ** min(failures - 1, 6)), LONGEST_PAUSE)


def _cursor_trouble(error: ApiRefused, after: str | None) -> Exception:
    """Return what to do about a cursor that the server refuses; any other refusal as it is."""
    if error.code == "cursor_expired":
        return CommandFailed(
            f"The cursor {after} is older than what Syncline keeps, so events after it are gone. "
            f"{error.message} Read people and groups anew, then go on with --from start (the oldest event "
            "that is kept) or --from now."
        )
    if error.code == "cursor_unknown":
        return CommandFailed(
            f"The cursor {after} is not an event of this environment: another database, or a key of another "
            "environment? Give --after EVENT, --from start or --from now."
        )
    return error


async def check_cursor(client: ApiClient, cursor: str | None) -> None:
    """Raise `CommandFailed` for a cursor that the server does not take."""
    from syncline.net.api_client import ApiRefused

    try:
        await client.events({"after": cursor, "limit": 1})
    except ApiRefused as error:
        raise _cursor_trouble(error, cursor) from None


async def find(client: ApiClient, event_id: str) -> dict[str, Any]:
    """Return one event. Raises `CommandFailed` if the log does not hold it.

    The Events API has no call for one event: it is the next one after the event before it.
    """
    from syncline.net.api_client import ApiRefused

    try:
        earlier = await client.events({"before": event_id, "limit": 1})
        previous = str(msgspec.json.decode(earlier.data[0])["id"]) if earlier.data else None
        found = _batch(await client.events({"after": previous, "limit": 1}), Wanted()).events
        if found and found[0].id == event_id:
            return found[0].event
        # An event of a type that is only listed by name lies between.
        async for batch in follow(client, Wanted(_unlisted_types()), previous, forever=False):
            for seen in batch.events:
                if seen.id == event_id:
                    return seen.event
    except ApiRefused as error:
        if error.code == "cursor_unknown":
            raise CommandFailed(f"There is no event {event_id} in this environment.") from None
        if error.code == "cursor_expired":
            raise CommandFailed(f"The event {event_id} is older than what is kept. {error.message}") from None
        raise
    raise CommandFailed(f"There is no event {event_id} in this environment.")


def _unlisted_types() -> tuple[str, ...]:
    from syncline.core.events import CATALOG

    return tuple(name for name in CATALOG if name.startswith("syncline."))
