"""Where a SCIM attribute's values are in SQL: columns, the `search` document, membership tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Text,
    case,
    cast,
    column,
    func,
    literal,
    null,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.expression import FromClause

from syncline.core.scim.schema import ENTERPRISE_URN, AttributeType, ResourceKind
from syncline.store import tables as t
from syncline.store.types import Instant

Expression = ColumnElement[Any]

# What `str.strip` takes away; left alone, databases take away spaces only.
_WHITE_SPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of a multi-valued attribute: rows to select from, and a sub-attribute's value in one."""

    source: FromClause
    sub: Callable[[str], Expression]
    where: tuple[Expression, ...] = ()


class Place:
    """The rows of one kind of resource on one engine; `base_url` is the directory's SCIM address."""

    def __init__(self, kind: ResourceKind, dialect: str, base_url: str, directory_id: str) -> None:
        self.kind = kind
        self.directory_id = directory_id
        # Whether the condition under construction is about one entry rather than the whole row.
        self.in_entry = False
        self.table = t.directory_users if kind is ResourceKind.USER else t.directory_groups
        self.columns = self.table.c
        self.base_url = base_url
        self.is_postgres = dialect == "postgresql"
        self._count = 0

    def text(self, *path: str) -> Expression:
        """Return a value of the search document as text, null if absent; booleans as `true` or `false`."""
        return self._text_in(self.columns.search, path)

    def has(self, *path: str) -> Expression:
        """Tell whether the search document holds something at a path."""
        if self.is_postgres:
            return func.jsonb_extract_path(self._search(), *path).is_not(None)
        return func.json_type(self.columns.search, _json_path(path)).is_not(None)

    def array(self, *path: str) -> Entries:
        """Return the entries of an array of the search document."""
        self._count += 1
        name = f"entry{self._count}"
        if self.is_postgres:
            rows = func.jsonb_array_elements(func.jsonb_extract_path(self._search(), *path))
            source = rows.table_valued(column("value", JSONB), name=name)
        else:
            source = func.json_each(self.columns.search, _json_path(path)).table_valued(
                column("value", Text), name=name
            )
        return Entries(source, lambda sub: self._text_in(source.c.value, (sub,)))

    def groups(self) -> Entries:
        """Return the groups a user is a direct member of."""
        self._count += 1
        members = t.memberships.alias(f"member{self._count}")
        groups = t.directory_groups.alias(f"group{self._count}")
        source = members.join(
            groups, (groups.c.directory_id == members.c.directory_id) & (groups.c.id == members.c.group_id)
        )
        here = (
            members.c.directory_id == self.columns.directory_id,
            members.c.user_id == self.columns.id,
            groups.c.deleted_at.is_(None),
        )
        subs: dict[str, Expression] = {
            "value": members.c.group_id,
            "display": self._text_in(groups.c.search, ("displayName",)),
            "$ref": literal(f"{self.base_url}/Groups/") + members.c.group_id,
            "type": literal("direct"),
        }
        return Entries(source, lambda sub: subs.get(sub, null()), here)

    def members(self) -> Entries:
        """Return the members of a group: people and groups."""
        self._count += 1
        people, users = t.memberships, t.directory_users
        edges, groups = t.group_edges, t.directory_groups.alias(f"child{self._count}")

        def name(table: Any, *path: str) -> Expression:
            return self._text_in(table.c.search, path)

        given, family = name(users, "name", "givenName"), name(users, "name", "familyName")
        # As `core.scim.resource.user_label` chooses: the first that is not blank, as it is.
        shown = func.coalesce(
            self._filled(name(users, "displayName")),
            self._filled(name(users, "name", "formatted")),
            self._filled(func.coalesce(given + " " + family, given, family)),
            name(users, "userName"),
        )
        rows = union_all(
            select(
                people.c.directory_id,
                people.c.group_id,
                people.c.user_id.label("value"),
                shown.label("display"),
                literal("user").label("type"),
                (literal(f"{self.base_url}/Users/") + people.c.user_id).label("ref"),
            ).join_from(
                people,
                users,
                (users.c.directory_id == people.c.directory_id) & (users.c.id == people.c.user_id),
            ),
            select(
                edges.c.directory_id,
                edges.c.group_id,
                edges.c.child_id.label("value"),
                self._text_in(groups.c.search, ("displayName",)).label("display"),
                literal("group").label("type"),
                (literal(f"{self.base_url}/Groups/") + edges.c.child_id).label("ref"),
            ).join_from(
                edges,
                groups,
                (groups.c.directory_id == edges.c.directory_id) & (groups.c.id == edges.c.child_id),
            ),
        ).subquery(f"members{self._count}")
        here = (rows.c.directory_id == self.columns.directory_id, rows.c.group_id == self.columns.id)
        names = {"value": "value", "display": "display", "type": "type", "$ref": "ref"}
        return Entries(rows, lambda sub: rows.c[names[sub]] if sub in names else null(), here)

    def _filled(self, found: Expression) -> Expression:
        """Return a text unless it is nothing but white space."""
        trim = func.btrim if self.is_postgres else func.trim
        return case((trim(found, _WHITE_SPACE) != "", found))

    def extension_urns(self) -> Entries:
        """Return the URNs of a row's extensions, folded."""
        name = self.next_name("key")
        if self.is_postgres:
            rows = func.jsonb_object_keys(cast(self.columns.document, JSONB))
            keys = rows.table_valued(column("value", Text), name=name).render_derived()
            urn: Expression = keys.c.value
        else:
            keys = func.json_each(self.columns.document).table_valued(column("key", Text), name=name)
            urn = keys.c.key
        folded = func.lower(urn)
        return Entries(keys, lambda sub: folded, (func.substr(folded, 1, 4) == "urn:",))

    def next_name(self, kind: str) -> str:
        """Return a table name that this condition has not used yet."""
        self._count += 1
        return f"{kind}{self._count}"

    def meta(self, sub: str) -> Expression:
        """Return a part of `meta`: times as milliseconds, the rest as compared text."""
        columns = self.columns
        match sub:
            case "created":
                return columns.created_at
            case "lastModified":
                return columns.updated_at
            case "resourceType":
                return literal(self.kind.value)
            case "location":
                return literal(f"{self.base_url}{self.kind.endpoint}/") + columns.id
            case "version":
                return literal('W/"') + cast(columns.version, Text) + literal('"')
        return null()

    def _search(self) -> Expression:
        return type_coerce(self.columns.search, JSONB)

    def _text_in(self, holder: Expression, path: tuple[str, ...]) -> Expression:
        if self.is_postgres:
            return func.jsonb_extract_path_text(type_coerce(holder, JSONB), *path, type_=Text)
        at = _json_path(path)
        found = func.json_extract(holder, at, type_=Text)
        # SQLite reads booleans as 1 and 0, which text attributes may hold as well.
        kind = func.json_type(holder, at)
        return case((kind == "true", literal("true")), (kind == "false", literal("false")), else_=found)


def moment(value: Any) -> Expression:
    """Return a bound moment that compares with a time column."""
    return literal(value, Instant())


def is_boolean(type_: AttributeType) -> bool:
    """Tell whether values of the type are booleans."""
    return type_ is AttributeType.BOOLEAN


def document_path(urn: str | None, name: str) -> tuple[str, ...]:
    """Return where the search document holds an attribute."""
    return (name,) if urn is None else (ENTERPRISE_URN, name)


def _json_path(path: tuple[str, ...]) -> str:
    """Return SQLite's JSON path; every name comes from our own schema tables."""
    return "$" + "".join(f'."{name}"' for name in path)
