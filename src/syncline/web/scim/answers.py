"""Answers in the form of either SCIM version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from syncline.core.json import Json
from syncline.core.scim import errors
from syncline.core.scim.errors import ScimError
from syncline.core.scim.schema import LIST_RESPONSE_URN
from syncline.core.scim.v1 import list_to_v1, resource_to_v1
from syncline.web.scim.request import Send

_encode = msgspec.json.Encoder().encode
_V1_TYPE = b"application/json; charset=utf-8"
_V2_TYPE = b"application/scim+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, JSON body (None for none) and further headers."""

    status: int
    body: Mapping[str, Json] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def resource_answer(
    status: int, resource: dict[str, Json], whole: Mapping[str, Any], *, is_v1: bool
) -> Answer:
    """Return an answer with one resource; `whole` is the resource before projection, for its headers."""
    meta = whole["meta"]
    headers = {"Location": meta["location"]}
    if "meta" in resource:
        # A client that asked for a part without `meta` did not ask for the version either.
        headers["ETag"] = meta["version"]
    return Answer(status, resource_to_v1(resource) if is_v1 else resource, headers)


def list_answer(
    resources: Sequence[Json],
    *,
    total: int,
    start_index: int,
    next_cursor: str | None = None,
    previous_cursor: str | None = None,
    is_v1: bool,
) -> Answer:
    """Return a page of resources."""
    body: dict[str, Json] = {
        "schemas": [LIST_RESPONSE_URN],
        "totalResults": total,
        "itemsPerPage": len(resources),
        "startIndex": start_index,
        "Resources": list(resources),
    }
    if next_cursor is not None:
        body["nextCursor"] = next_cursor
    if previous_cursor is not None:
        body["previousCursor"] = previous_cursor
    return Answer(200, list_to_v1(body) if is_v1 else body)


def error_answer(error: ScimError, *, is_v1: bool) -> Answer:
    """Return an error in the version's own form."""
    body = errors.body_v1(error) if is_v1 else errors.body_v2(error)
    return Answer(error.status, body, error.headers)


async def send_answer(send: Send, answer: Answer, *, is_v1: bool, request_id: str) -> None:
    """Write an answer to the connection."""
    body = b"" if answer.body is None else _encode(answer.body)
    headers = [(b"x-request-id", request_id.encode()), (b"cache-control", b"no-store")]
    if answer.body is not None:
        headers.append((b"content-type", _V1_TYPE if is_v1 else _V2_TYPE))
    if answer.status not in (204, 304):
        headers.append((b"content-length", str(len(body)).encode()))
    headers.extend((name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items())
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
