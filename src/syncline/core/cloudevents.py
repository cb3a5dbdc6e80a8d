"""An event as CloudEvents 1.0 in JSON: what a webhook endpoint gets that asked for that format.

Source: CloudEvents 1.0.2 and its JSON format, structured mode; `sequence` is the extension of that name.
Extension attributes are simple values with names of lower-case letters and digits, so the context of the
usual envelope becomes several of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from syncline.core.json import stringify
from syncline.core.wire import iso

CONTENT_TYPE = "application/cloudevents+json"

# The extension asks for texts that sort like what they count.
_DIGITS = 20


class EventRow(Protocol):
    """An event as the log has it. Without a `position` it stands in no log: it is a test."""

    @property
    def event_id(self) -> str:
        """The id, the same in every format."""
        ...

    @property
    def type(self) -> str:
        """The type."""
        ...

    @property
    def body(self) -> str:
        """The text of `data`."""
        ...

    @property
    def recorded_at(self) -> datetime:
        """When it occurred."""
        ...

    @property
    def actor(self) -> str | None:
        """Who called the API, as JSON."""
        ...

    @property
    def position(self) -> int | None:
        """The place in the log of the environment."""
        ...

    @property
    def directory_sequence(self) -> int | None:
        """The place among the events of the directory."""
        ...

    @property
    def organization_id(self) -> str | None:
        """Whose it is."""
        ...

    @property
    def directory_id(self) -> str | None:
        """Where it occurred."""
        ...

    @property
    def user_id(self) -> str | None:
        """The person it is about."""
        ...

    @property
    def group_id(self) -> str | None:
        """The group it is about."""
        ...


def cloud_event(row: EventRow, base_url: str) -> bytes:
    """Return one event as CloudEvents JSON around its stored body, which goes in as it is.

    `source` is the address of the directory, else of the organization, else of this installation; `subject`
    the person, else the group, the directory or the organization. A test has `"test":true` and no `sequence`.
    """
    attributes: dict[str, str | None] = {
        "specversion": "1.0",
        "id": row.event_id,
        "source": _source(row, base_url),
        "type": row.type,
        "subject": row.user_id or row.group_id or row.directory_id or row.organization_id,
        "time": iso(row.recorded_at),
        "datacontenttype": "application/json",
        "sequence": _counted(row.position),
        "directorysequence": _counted(row.directory_sequence),
        "organizationid": row.organization_id,
        "directoryid": row.directory_id,
        "actorid": _actor_id(row.actor),
    }
    written = [f"{stringify(name)}:{stringify(value)}" for name, value in attributes.items() if value]
    if row.position is None:
        written.append('"test":true')
    return f'{{{",".join(written)},"data":{row.body}}}'.encode()


def _source(row: EventRow, base_url: str) -> str:
    if row.directory_id is not None:
        return f"{base_url}/directories/{row.directory_id}"
    if row.organization_id is not None:
        return f"{base_url}/organizations/{row.organization_id}"
    return base_url


def _counted(number: int | None) -> str | None:
    return None if number is None else f"{number:0{_DIGITS}d}"


def _actor_id(actor_json: str | None) -> str | None:
    actor = msgspec.json.decode(actor_json) if actor_json is not None else None
    found = actor.get("id") if isinstance(actor, dict) else None
    return found if isinstance(found, str) else None
