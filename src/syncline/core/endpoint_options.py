"""What the owner of a webhook endpoint may choose about deliveries, beside address and event types."""

from __future__ import annotations

from enum import StrEnum

import msgspec

MAX_CONCURRENCY = 10


class PayloadFormat(StrEnum):
    """How an event is written: the vendor's envelope, or a CloudEvents 1.0 event in JSON."""

    WORKOS = "workos"
    CLOUDEVENTS = "cloudevents"


class Ordering(StrEnum):
    """What waits behind an event that was not taken (`events-webhooks.md` §3).

    `lanes`: later events of its directory. `strict`: every later event. `none`: nothing.
    """

    LANES = "lanes"
    STRICT = "strict"
    NONE = "none"


class EndpointOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """The choices of one endpoint; an empty object is the default of each.

    `concurrency` is how many requests may be under way at once, each for other directories (1 to
    `MAX_CONCURRENCY`). The two filters let through events of the directories or organizations named;
    None lets everything through.
    """

    format: PayloadFormat = PayloadFormat.WORKOS
    ordering: Ordering = Ordering.LANES
    concurrency: int = 1
    directory_ids: tuple[str, ...] | None = None
    organization_ids: tuple[str, ...] | None = None

    def text(self) -> str:
        """Return the JSON of a column; `read_options` is its inverse."""
        return msgspec.json.encode(self).decode()


_decode = msgspec.json.Decoder(EndpointOptions).decode


def read_options(text: str) -> EndpointOptions:
    """Return the options in a column, which may hold other things beside them.

    Raises `msgspec.ValidationError` for values that `text` did not write.
    """
    return _decode(text)
