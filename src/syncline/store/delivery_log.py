"""What a webhook endpoint wants of the log: read in order, and counted, under its types and filters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, and_, bindparam, func, not_, or_, select

from syncline.core.endpoint_options import EndpointOptions
from syncline.core.events import OWN_PREFIX
from syncline.store import tables as t
from syncline.store.prepared import Prepared
from syncline.store.types import among

_log = t.event_log.c


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events an endpoint takes. None lets everything through, but our own types only when named.

    Where directories and organizations are both named, an event of any of them passes.
    """

    types: tuple[str, ...] | None
    directory_ids: tuple[str, ...] | None = None
    organization_ids: tuple[str, ...] | None = None

    @classmethod
    def of(cls, types: Sequence[str], options: EndpointOptions) -> Wanted:
        """Return what an endpoint with these subscriptions and options takes."""
        return cls(tuple(types), options.directory_ids, options.organization_ids)

    def takes(self, row: Any) -> bool:
        """Tell whether a row of the log passes: what `read` asks the database for, said of one row."""
        if row.type.startswith(OWN_PREFIX) if self.types is None else row.type not in self.types:
            return False
        if self.directory_ids is None and self.organization_ids is None:
            return True
        return row.directory_id in (self.directory_ids or ()) or row.organization_id in (
            self.organization_ids or ()
        )

    @property
    def _shape(self) -> tuple[bool, bool, bool]:
        return self.types is not None, self.directory_ids is not None, self.organization_ids is not None

    def _parameters(self) -> dict[str, Any]:
        lists = {
            "types": self.types,
            "directories": self.directory_ids,
            "organizations": self.organization_ids,
        }
        return {name: list(values) for name, values in lists.items() if values is not None}


_heads = Prepared(
    select(t.log_heads.c.environment_id, t.log_heads.c.position, t.log_heads.c.trimmed_position).where(
        among(t.log_heads.c.environment_id, "environments")
    )
)
_stretch = Prepared(
    select(t.event_log)
    .where(
        _log.environment_id == bindparam("environment"),
        _log.position > bindparam("after", type_=BigInteger()),
        _log.position <= bindparam("until", type_=BigInteger()),
    )
    .order_by(_log.position)
)


@dataclass(frozen=True, slots=True)
class End:
    """Where a log ends, and up to where retention has removed it."""

    position: int
    trimmed_position: int


NOTHING = End(0, 0)


def ends(connection: Connection, environment_ids: Collection[str]) -> dict[str, End]:
    """Return where these logs end; one that has no event yet is missing."""
    rows = _heads.all(connection, {"environments": list(environment_ids)})
    return {row.environment_id: End(row.position, row.trimmed_position) for row in rows}


def stretch(connection: Connection, environment_id: str, *, after: int, until: int) -> list[Any]:
    """Return every log row behind `after`, up to `until`, in position order."""
    return _stretch.all(connection, {"environment": environment_id, "after": after, "until": until})


def read(
    connection: Connection, environment_id: str, wanted: Wanted, *, after: int, until: int, limit: int
) -> list[Any]:
    """Return up to `limit` wanted log rows behind `after`, up to `until`, in position order."""
    parameters = {"environment": environment_id, "after": after, "until": until, "rows": limit}
    return _reading(wanted._shape).all(connection, parameters | wanted._parameters())


def count(connection: Connection, environment_id: str, wanted: Wanted, *, after: int, until: int) -> int:
    """Return how many wanted events lie behind `after`, up to `until`."""
    parameters = {"environment": environment_id, "after": after, "until": until}
    row = _counting(wanted._shape).one_or_none(connection, parameters | wanted._parameters())
    return int(row.found)


@lru_cache
def _reading(shape: tuple[bool, bool, bool]) -> Prepared:
    statement: Select[Any] = select(t.event_log).where(_matches(*shape)).order_by(_log.position)
    return Prepared(statement.limit(bindparam("rows", type_=BigInteger())))


@lru_cache
def _counting(shape: tuple[bool, bool, bool]) -> Prepared:
    return Prepared(select(func.count().label("found")).where(_matches(*shape)))


def _matches(types: bool, directories: bool, organizations: bool) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [
        _log.environment_id == bindparam("environment"),
        _log.position > bindparam("after", type_=BigInteger()),
        _log.position <= bindparam("until", type_=BigInteger()),
        among(_log.type, "types") if types else not_(_log.type.startswith(OWN_PREFIX)),
    ]
    scopes: list[ColumnElement[bool]] = []
    if directories:
        scopes.append(among(_log.directory_id, "directories"))
    if organizations:
        scopes.append(among(_log.organization_id, "organizations"))
    if scopes:
        conditions.append(or_(*scopes))
    return and_(*conditions)
