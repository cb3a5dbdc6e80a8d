"""Bulk: operations in order, each atomic by itself (RFC 7644 §3.7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from syncline.core.json import Json
from syncline.core.scim import errors
from syncline.core.scim.errors import ScimError, body_v2
from syncline.core.scim.schema import BULK_RESPONSE_URN, ResourceKind
from syncline.web.scim.answers import Answer

MAX_OPERATIONS = 1000
_PREFIX = "bulkId:"


@dataclass(frozen=True, slots=True)
class BulkStep:
    """One operation, its references resolved."""

    method: str
    kind: ResourceKind
    id: str | None
    data: Json
    version: str | None


Run = Callable[[BulkStep], Awaitable[Answer]]


async def run_bulk(body: dict[str, Json], run: Run, base_url: str) -> Answer:
    """Carry out a BulkRequest and return the BulkResponse.

    Raises `ScimError`: 400 for a body that is no BulkRequest, 413 above the announced maximum.
    """
    fields = {key.lower(): value for key, value in body.items()}
    operations = fields.get("operations")
    if not isinstance(operations, list):
        raise errors.invalid_syntax("The body must carry an array of Operations.")
    if len(operations) > MAX_OPERATIONS:
        raise errors.too_large(f"A bulk request may hold {MAX_OPERATIONS} operations, not {len(operations)}.")
    allowed = fields.get("failonerrors")
    if allowed is not None and (isinstance(allowed, bool) or not isinstance(allowed, int) or allowed < 0):
        raise errors.invalid_value("failOnErrors must be an integer that is not negative.")
    ids: dict[str, str] = {}
    results: list[Json] = []
    failures = 0
    for entry in operations:
        if allowed and failures >= allowed:
            break
        result, failed = await _one(entry, ids, run, base_url)
        failures += failed
        results.append(result)
    return Answer(200, {"schemas": [BULK_RESPONSE_URN], "Operations": results})


async def _one(entry: Json, ids: dict[str, str], run: Run, base_url: str) -> tuple[Json, bool]:
    fields = {key.lower(): value for key, value in entry.items()} if isinstance(entry, dict) else {}
    method = fields.get("method")
    result: dict[str, Json] = {"method": method.upper() if isinstance(method, str) else ""}
    bulk_id = fields.get("bulkid")
    if isinstance(bulk_id, str):
        result["bulkId"] = bulk_id
    if isinstance(fields.get("version"), str):
        result["version"] = fields["version"]
    try:
        step = _step(fields, ids)
        answer = await run(step)
    except ScimError as error:
        return {**result, "status": str(error.status), "response": body_v2(error)}, True
    location = answer.headers.get("Location")
    if location is None and step.id is not None:
        location = f"{base_url}{step.kind.endpoint}/{step.id}"
    if location is not None:
        result["location"] = location
        if isinstance(bulk_id, str):
            ids[bulk_id] = location.rpartition("/")[2]
    if "ETag" in answer.headers:
        result["version"] = answer.headers["ETag"]
    result["status"] = str(answer.status)
    if answer.body is not None and answer.status == 201:
        result["response"] = dict(answer.body)
    return result, False


def _step(fields: dict[str, Json], ids: dict[str, str]) -> BulkStep:
    method, path = fields.get("method"), fields.get("path")
    if not isinstance(method, str) or method.upper() not in ("POST", "PUT", "PATCH", "DELETE"):
        raise errors.invalid_syntax("The method of an operation must be POST, PUT, PATCH or DELETE.")
    if not isinstance(path, str):
        raise errors.invalid_syntax("An operation needs a path.")
    method = method.upper()
    if method == "POST" and not isinstance(fields.get("bulkid"), str):
        raise errors.invalid_syntax("A POST in a bulk request needs a bulkId.")
    parts = path.strip("/").split("/")
    kind = next((kind for kind in ResourceKind if parts[0] == kind.endpoint[1:]), None)
    if kind is None or len(parts) != (1 if method == "POST" else 2):
        raise errors.no_such_endpoint()
    id_ = str(_resolved(parts[1], ids)) if len(parts) == 2 else None
    version = fields.get("version")
    data = _resolved(fields.get("data"), ids) if method != "DELETE" else None
    return BulkStep(method, kind, id_, data, version if isinstance(version, str) else None)


def _resolved(value: Json, ids: dict[str, str]) -> Json:
    """Return the value with every reference to an earlier operation replaced by the id it made."""
    if isinstance(value, str):
        if not value.startswith(_PREFIX):
            return value
        found = ids.get(value.removeprefix(_PREFIX))
        if found is None:
            raise errors.invalid_value(
                f"'{errors.shorten(value)}' names no earlier operation that succeeded."
            )
        return found
    if isinstance(value, list):
        return [_resolved(entry, ids) for entry in value]
    if isinstance(value, dict):
        return {key: _resolved(part, ids) for key, part in value.items()}
    return value
