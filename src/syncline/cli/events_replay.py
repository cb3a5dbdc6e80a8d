"""What `syncline events replay` asks for: one event, a range, or everything that was given up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from syncline.cli.client import UNUSABLE, CommandFailed, read_time
from syncline.cli.output import Output

if TYPE_CHECKING:
    from syncline.net.api_client import ApiClient


_NOTHING = "There is no event in that range that the endpoint subscribes to."


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be sent again: exactly one event, or what lies between two ids or times, or what is dead."""

    event_id: str | None = None
    after: str | None = None
    before: str | None = None
    dead: bool = False

    def check(self) -> None:
        """Raise `CommandFailed` for no kind of selection and for several."""
        kinds = (self.event_id is not None, self.after is not None or self.before is not None, self.dead)
        if sum(kinds) != 1:
            raise CommandFailed(
                "Say what to send again: the id of one event, or --after and --before, or --dead.", UNUSABLE
            )
        for option, text in (("--after", self.after), ("--before", self.before)):
            if text is not None and not text.startswith("event_") and read_time(text) is None:
                raise CommandFailed(
                    f"{option} takes the id of an event or an RFC 3339 time, not '{text}'.", UNUSABLE
                )


async def replayed(client: ApiClient, output: Output, path: str, wanted: Selection) -> None:
    """Ask for the replay and say what comes of it. Raises `CommandFailed` if there is nothing to send."""
    found = await client.call("POST", f"{path}/replay", await _body(client, path, wanted))
    if output.as_json:
        output.record(found)
    else:
        output.line(f"{found['count']} events are sent again.")
    if found["lost"]:
        raise CommandFailed(f"{found['lost']} more cannot be sent: retention has removed their events.")
    if not found["count"]:
        raise CommandFailed(
            "Nothing is sent again: the endpoint does not subscribe to it or has yet to get it."
        )


async def _body(client: ApiClient, path: str, wanted: Selection) -> dict[str, Any]:
    """Return the body of the call. Raises `CommandFailed` for a range in which there is nothing.

    The API's ids are inclusive and the command's are not, as everywhere in the Events API: they become the
    neighbors that the endpoint subscribes to.
    """
    if wanted.event_id is not None:
        return {"event_id": wanted.event_id}
    if wanted.dead:
        return {"dead": True}
    endpoint = await client.call("GET", path)
    types = ",".join(endpoint["events"])
    body: dict[str, Any] = {}
    if wanted.after is not None and not wanted.after.startswith("event_"):
        body["range_start"] = read_time(wanted.after)
    else:
        body["first_id"] = await _neighbor(client, {"after": wanted.after, "events": types})
    if wanted.before is not None and not wanted.before.startswith("event_"):
        body["range_end"] = read_time(wanted.before)
    elif wanted.before is not None:
        body["last_id"] = await _neighbor(client, {"before": wanted.before, "events": types})
    if "last_id" in body and str(body["last_id"]) < str(body.get("first_id", "")):
        raise CommandFailed(_NOTHING)
    return body


async def _neighbor(client: ApiClient, query: dict[str, str | int | None]) -> str:
    page = await client.events(query | {"limit": 1})
    if not page.data:
        raise CommandFailed(_NOTHING)
    return str(msgspec.json.decode(page.data[0])["id"])
