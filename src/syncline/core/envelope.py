"""The event envelope as exact bytes, the same in the Events API and in webhooks (`api.md` §3.7)."""

from __future__ import annotations

from datetime import datetime

from syncline.core.json import stringify
from syncline.core.wire import iso


def envelope(
    event_id: str,
    type_: str,
    body_text: str,
    created_at: datetime,
    actor_json: str | None,
    sequence: int | None,
    directory_sequence: int | None,
) -> bytes:
    """Return one event as JSON around its stored body and actor, which go in as they are.

    Nothing stored is parsed and written again, so the bytes that were sealed are the bytes that are signed
    and read; the rest is `JSON.stringify` text already (`api.md` §5). `sequence` is the position in the
    log, None for a test, which stands in no log; `directory_sequence` the place among the events of the
    directory.
    """
    context = ['"test":true' if sequence is None else f'"sequence":{sequence}']
    if actor_json is not None:
        context.insert(0, f'"actor":{actor_json}')
    if directory_sequence is not None:
        context.append(f'"directory_sequence":{directory_sequence}')
    head = f'{{"object":"event","id":{stringify(event_id)},"event":{stringify(type_)},"data":'
    tail = f',"created_at":"{iso(created_at)}","context":{{{",".join(context)}}}}}'
    return (head + body_text + tail).encode()
