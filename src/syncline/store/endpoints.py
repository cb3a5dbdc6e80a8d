"""Rows of webhook endpoints and of their secrets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, insert, or_, select, update

from syncline.core.endpoint_options import EndpointOptions, read_options
from syncline.store import tables as t
from syncline.store.jsontext import dump, load
from syncline.store.prepared import Prepared
from syncline.store.types import Instant, among

_c, _secrets = t.webhook_endpoints.c, t.endpoint_secrets.c
_decode_events = msgspec.json.Decoder(tuple[str, ...]).decode
_DEFAULTS = EndpointOptions()
# By when they were committed, see `EndpointSecrets.rotate`: ids go by the clocks of several processes.
_newest_first = _secrets.created_at.desc(), _secrets.id.desc()
_unexpired = Prepared(
    select(t.endpoint_secrets)
    .where(
        _secrets.environment_id == bindparam("environment"),
        among(_secrets.endpoint_id, "endpoints"),
        or_(_secrets.expires_at.is_(None), _secrets.expires_at > bindparam("now", type_=Instant())),
    )
    .order_by(*_newest_first)
)
_unexpired_of_any = Prepared(
    select(t.endpoint_secrets)
    .where(
        among(_secrets.endpoint_id, "endpoints"),
        or_(_secrets.expires_at.is_(None), _secrets.expires_at > bindparam("now", type_=Instant())),
    )
    .order_by(*_newest_first)
)
# What retention writes into the settings beside the options.
MISSED = "missed"


class EndpointState(StrEnum):
    """What an endpoint does: only an `active` one is sent anything, and `gone` answered 410."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint as its owner sees it, without secrets."""

    id: str
    endpoint_url: str
    events: tuple[str, ...]
    state: EndpointState
    created_at: datetime
    updated_at: datetime
    options: EndpointOptions = _DEFAULTS


@dataclass(frozen=True, slots=True)
class EndpointSecret:
    """A signing secret as stored: sealed, with its last four characters readable."""

    id: str
    sealed: str
    suffix: str
    created_at: datetime
    switch_at: datetime
    expires_at: datetime | None


def event_types(text: str) -> tuple[str, ...]:
    """Return the event types of an endpoint's column."""
    return _decode_events(text)


def add(connection: Connection, environment_id: str, endpoint: Endpoint, url_key: str, cursor: int) -> None:
    """Insert an endpoint that gets what comes after a position; `UniqueViolation` for a known `url_key`."""
    connection.execute(
        insert(t.webhook_endpoints),
        {
            "environment_id": environment_id,
            "id": endpoint.id,
            "endpoint_url": endpoint.endpoint_url,
            "url_key": url_key,
            "events": dump(list(endpoint.events)),
            "state": endpoint.state,
            "settings": endpoint.options.text(),
            "cursor": cursor,
            "wake": 1,
            "fence": 0,
            "consecutive_failures": 0,
            "created_at": endpoint.created_at,
            "updated_at": endpoint.updated_at,
        },
    )


def get(
    connection: Connection, environment_id: str, endpoint_id: str, *, lock: bool = False
) -> Endpoint | None:
    """Return an endpoint of this environment or None; `lock` keeps it as it is until the commit."""
    statement = select(t.webhook_endpoints).where(_c.environment_id == environment_id, _c.id == endpoint_id)
    if lock:
        statement = statement.with_for_update()
    row = connection.execute(statement).one_or_none()
    return None if row is None else _endpoint_of(row)


def page(
    connection: Connection,
    environment_id: str,
    *,
    above: str | None,
    below: str | None,
    descending: bool,
    limit: int,
) -> list[Endpoint]:
    """Return up to `limit` endpoints ordered by id, between two ids that are excluded."""
    statement = select(t.webhook_endpoints).where(_c.environment_id == environment_id)
    if above is not None:
        statement = statement.where(_c.id > above)
    if below is not None:
        statement = statement.where(_c.id < below)
    order = _c.id.desc() if descending else _c.id
    return [_endpoint_of(row) for row in connection.execute(statement.order_by(order).limit(limit))]


def change(connection: Connection, environment_id: str, endpoint: Endpoint, url_key: str) -> None:
    """Write what an owner may change about an endpoint that the caller has locked.

    Raises `UniqueViolation` if another endpoint of the environment has this `url_key`.
    """
    mine = (_c.environment_id == environment_id, _c.id == endpoint.id)
    known = load(connection.execute(select(_c.settings).where(*mine)).scalar_one())
    settings = load(endpoint.options.text()) | {key: known[key] for key in (MISSED,) if key in known}
    connection.execute(
        update(t.webhook_endpoints)
        .where(*mine)
        .values(
            endpoint_url=endpoint.endpoint_url,
            url_key=url_key,
            events=dump(list(endpoint.events)),
            state=endpoint.state,
            settings=dump(settings),
            updated_at=endpoint.updated_at,
        )
    )


def remove(connection: Connection, environment_id: str, endpoint_id: str) -> bool:
    """Delete an endpoint with everything that belongs to it; tell whether there was one."""
    deleted = connection.execute(
        delete(t.webhook_endpoints).where(_c.environment_id == environment_id, _c.id == endpoint_id)
    )
    if not deleted.rowcount:
        return False
    for table in (t.endpoint_secrets, t.parked_deliveries, t.delivery_attempts, t.replays):
        connection.execute(delete(table).where(table.c.endpoint_id == endpoint_id))
    return True


def add_secret(connection: Connection, environment_id: str, endpoint_id: str, secret: EndpointSecret) -> None:
    """Insert a secret."""
    connection.execute(
        insert(t.endpoint_secrets),
        {
            "environment_id": environment_id,
            "endpoint_id": endpoint_id,
            "id": secret.id,
            "sealed": secret.sealed,
            "suffix": secret.suffix,
            "created_at": secret.created_at,
            "switch_at": secret.switch_at,
            "expires_at": secret.expires_at,
        },
    )


def secrets_of(
    connection: Connection, environment_id: str, endpoint_ids: Sequence[str], now: datetime
) -> dict[str, list[EndpointSecret]]:
    """Return the unexpired secrets by endpoint id, newest first."""
    wanted = {"environment": environment_id, "endpoints": list(endpoint_ids), "now": now}
    found: dict[str, list[EndpointSecret]] = {id_: [] for id_ in endpoint_ids}
    for row in _unexpired.all(connection, wanted):
        found[row.endpoint_id].append(_secret_of(row))
    return found


def secrets_of_any(
    connection: Connection, owners: Collection[tuple[str, str]], now: datetime
) -> dict[tuple[str, str], list[EndpointSecret]]:
    """Return the unexpired secrets of endpoints of any environments, by environment and endpoint id."""
    found: dict[tuple[str, str], list[EndpointSecret]] = {owner: [] for owner in owners}
    wanted = {"endpoints": [endpoint_id for _, endpoint_id in owners], "now": now}
    for row in _unexpired_of_any.all(connection, wanted):
        mine = found.get((row.environment_id, row.endpoint_id))
        # An endpoint's secret that says another environment is nobody's.
        if mine is not None:
            mine.append(_secret_of(row))
    return found


def expire_secrets(
    connection: Connection, environment_id: str, endpoint_id: str, ids: Sequence[str], at: datetime
) -> None:
    """Let secrets expire at a moment, unless they expire before it anyway."""
    connection.execute(
        update(t.endpoint_secrets)
        .where(
            _secrets.environment_id == environment_id,
            _secrets.endpoint_id == endpoint_id,
            among(_secrets.id, "ids"),
            (_secrets.expires_at.is_(None)) | (_secrets.expires_at > at),
        )
        .values(expires_at=at),
        {"ids": list(ids)},
    )


def remove_expired_secrets(connection: Connection, now: datetime) -> int:
    """Delete secrets that no longer sign anything; return how many."""
    return connection.execute(delete(t.endpoint_secrets).where(_secrets.expires_at <= now)).rowcount


def _secret_of(row: Any) -> EndpointSecret:
    return EndpointSecret(
        id=row.id,
        sealed=row.sealed,
        suffix=row.suffix,
        created_at=row.created_at,
        switch_at=row.switch_at,
        expires_at=row.expires_at,
    )


def _endpoint_of(row: Row[Any]) -> Endpoint:
    return Endpoint(
        id=row.id,
        endpoint_url=row.endpoint_url,
        events=event_types(row.events),
        state=EndpointState(row.state),
        created_at=row.created_at,
        updated_at=row.updated_at,
        options=read_options(row.settings),
    )
