"""The loop of `syncline listen`: read, post until taken, remember, show."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from syncline import faults
from syncline.cli.events_stream import Seen, Wanted, follow
from syncline.cli.listen_cursor import CursorFile, Place
from syncline.cli.output import Output, directory_of
from syncline.core.signing import WORKOS_HEADER, standard_headers, workos_signature

if TYPE_CHECKING:
    from syncline.net.api_client import ApiClient, ReceiverAnswer

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0


class Listener:
    """Follows the log of an environment from a place on."""

    def __init__(self, client: ApiClient, output: Output, wanted: Wanted, place: Place) -> None:
        self._client = client
        self._output = output
        self._wanted = wanted
        self._place = place
        self._names = DirectoryNames(client)

    async def watch(self) -> None:
        """Show events until stopped; nothing is sent and nothing remembered."""
        self._announce(None)
        async for batch in follow(
            self._client, self._wanted, self._place.cursor, trouble=self._output.remark
        ):
            for seen in batch.events:
                await show(self._output, self._names, seen)

    async def forward(self, receiver: str, file: CursorFile) -> None:
        """Post each event until the receiver has taken it, remember it, go on to the next; until stopped."""
        self._announce(receiver)
        async for batch in follow(
            self._client, self._wanted, self._place.cursor, trouble=self._output.remark
        ):
            for seen in batch.events:
                attempt, answer = await self._deliver(receiver, seen)
                faults.hit("listen.after_forward")
                # Nothing is waited for before this: the event is taken and shall not come again.
                self._remember(file, seen.id)
                await self._show_attempt(seen, attempt, answer)
            # What the filters left out has been dealt with, too.
            self._remember(file, batch.cursor)

    async def _deliver(self, receiver: str, seen: Seen) -> tuple[int, ReceiverAnswer]:
        """Post an event until it is taken; return the number of the attempt and its answer."""
        attempt = 1
        while True:
            headers = signed_headers(self._place.secret, seen, attempt)
            answer = await self._client.post(receiver, seen.raw, headers)
            if answer.ok:
                return attempt, answer
            pause = min(FIRST_PAUSE * 2 ** min(attempt - 1, 10), LONGEST_PAUSE)
            await self._show_attempt(seen, attempt, answer, pause)
            await asyncio.sleep(pause)
            attempt += 1

    def _remember(self, file: CursorFile, cursor: str | None) -> None:
        if cursor is not None and cursor != self._place.cursor:
            self._place = replace(self._place, cursor=cursor)
            file.write(self._place)

    async def _show_attempt(
        self, seen: Seen, attempt: int, answer: ReceiverAnswer, pause: float = 0.0
    ) -> None:
        milliseconds = round(answer.seconds * 1000)
        if self._output.as_json:
            self._output.record(
                {
                    "kind": "attempt",
                    "event": seen.event,
                    "attempt": attempt,
                    "status": answer.status,
                    "error": answer.error,
                    "duration_ms": milliseconds,
                    "taken": answer.ok,
                }
            )
            return
        said = str(answer.status) if answer.status is not None else f"no answer: {answer.error}"
        again = "" if answer.ok else f"  again in {pause:g} s"
        text = f"{self._output.outcome(said, good=answer.ok)}  {milliseconds} ms{again}"
        self._output.line(self._output.feed(seen.event, await self._names.of(seen), text))

    def _announce(self, receiver: str | None) -> None:
        place = self._place
        if self._output.as_json:
            secret = place.secret if receiver is not None else None
            self._output.record(
                {
                    "kind": "listening",
                    "url": place.url,
                    "forward_to": receiver,
                    "secret": secret,
                    "after": place.cursor,
                }
            )
            return
        begins = f"after {place.cursor}" if place.cursor else "at the beginning of the log"
        if receiver is not None:
            self._output.line(f"Forwarding events of {place.url} to {receiver}")
            self._output.line(f"Signing secret  {place.secret}")
        else:
            self._output.line(f"Showing events of {place.url}")
        self._output.line(f"Beginning {begins}. Ctrl-C stops.")


class DirectoryNames:
    """The names of directories as people know them; each is asked for once."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._known: dict[str, str] = {}

    async def of(self, seen: Seen) -> str:
        """Return the name of the event's directory, its id where nobody knows a name, "" without one."""
        from syncline.net.api_client import ApiRefused, ApiUnreachable

        directory_id = directory_of(seen.event)
        if directory_id is None:
            return ""
        if directory_id not in self._known:
            try:
                found = await self._client.call("GET", f"/directories/{directory_id}")
                self._known[directory_id] = str(found["name"])
            except ApiRefused:
                self._known[directory_id] = directory_id
            except ApiUnreachable:
                # The feed must not stop for a name.
                return directory_id
        return self._known[directory_id]


async def show(output: Output, names: DirectoryNames, seen: Seen) -> None:
    """Print one event: a line of the feed, or the event itself."""
    if output.as_json:
        output.record(seen.event)
    else:
        output.line(output.feed(seen.event, await names.of(seen), seen.id))


def signed_headers(secret: str, seen: Seen, attempt: int) -> dict[str, str]:
    """Return the headers that a webhook of this event has, signed at this moment."""
    now_ms = time.time_ns() // 1_000_000
    return {
        **standard_headers([secret], seen.id, now_ms // 1000, seen.raw),
        WORKOS_HEADER: workos_signature(secret, now_ms, seen.raw),
        "Content-Type": "application/json",
        "Syncline-Event-Id": seen.id,
        "Syncline-Attempt": str(attempt),
    }
