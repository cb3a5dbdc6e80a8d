"""Whatever a directory holds and whatever is asked, SQL finds what the evaluator finds in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncline.core.json import Json
from syncline.core.scim.errors import ScimError
from syncline.core.scim.filter import Filter, matches, parse_filter
from syncline.core.scim.schema import ENTERPRISE_URN, ResourceKind
from syncline.core.scim.sort import parse_sort_path, sort_key
from syncline.services.kernel import Kernel
from syncline.services.resources import ResourceQuery, Resources
from tests.support.kernels import kernel
from tests.support.scim_rows import Contents, Stored, store

# Letters that fold to each other, that compose, that grow when folded, that SQL gives a meaning, that lie
# outside the basic plane, and every kind of white space that only some engines trim.
ALPHABET = "aAbßs\u017fÅåe\u0301éİ\u0131\u03c3ςΣ%_\\'\"*?[ \t\u00a0\u2000😀𐐀\ufffd7"
FIRST = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)

texts = st.text(ALPHABET, max_size=4)
filled = texts.filter(lambda text: bool(text.strip()))
words = st.sampled_from(["work", "Home", "a", "A", "ß", "SS", "True", "false", "direct", "user"]) | texts
flags = st.booleans() | st.sampled_from(["True", "false"])


def some(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Json]]:
    """Objects with some of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


def entries(**subs: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(some({"type": words, "primary": flags, "colour": words, **subs}), max_size=3)


user_bodies = some(
    {
        "externalId": words,
        "displayName": texts,
        "title": words,
        "profileUrl": words,
        "active": flags,
        "shoeSize": words,
        "name": some({"givenName": texts, "familyName": texts, "formatted": texts, "middle": words}),
        "emails": entries(value=words, display=words),
        "addresses": entries(locality=words, formatted=words),
        "photos": entries(value=words),
        "roles": entries(value=words),
        ENTERPRISE_URN: some(
            {
                "department": words,
                "rank": words,
                "manager": some({"value": words, "$ref": words, "displayName": words}),
            }
        ),
        "urn:okta:Acme:2.0:user:custom": some({"costPool": words}),
    }
)
group_bodies = st.builds(lambda name, rest: {"displayName": name} | rest, filled, some({"externalId": words}))
moments = st.integers(0, 3000).map(lambda ms: FIRST + timedelta(milliseconds=ms))


@st.composite
def directories(draw: st.DrawFn) -> Contents:
    users = draw(st.lists(st.tuples(user_bodies, moments), min_size=1, max_size=4))
    groups = draw(st.lists(st.tuples(group_bodies, moments), max_size=3))
    named = [({"userName": f"{number}{draw(texts)}", **body}, at) for number, (body, at) in enumerate(users)]
    group, user = st.integers(0, max(0, len(groups) - 1)), st.integers(0, len(users) - 1)
    most = 4 if groups else 0
    people = draw(st.frozensets(st.tuples(group, user), max_size=most))
    nested = draw(st.frozensets(st.tuples(group, group), max_size=most))
    return Contents(named, groups, people, nested)


USER_NAMES = [
    "userName", "externalId", "displayName", "title", "profileUrl", "active", "shoeSize", "id", "password",
    "name", "name.givenName", "name.formatted", "name.middle", "emails", "emails.value", "emails.type",
    "emails.primary", "emails.colour", "addresses", "addresses.locality", "photos", "roles", "roles.primary",
    "x509Certificates", f"{ENTERPRISE_URN}:department", "department", "manager", "manager.$ref",
    "manager.displayName", f"{ENTERPRISE_URN}:rank", ENTERPRISE_URN, "urn:okta:Acme:2.0:user:custom.costPool",
    "groups", "groups.value", "groups.display", "groups.type", "groups.$ref", "groups.colour", "schemas",
    "meta", "meta.created", "meta.lastModified", "meta.version", "meta.location", "meta.resourceType",
]  # fmt: skip
GROUP_NAMES = [
    "displayName", "externalId", "id", "schemas", "members", "members.value", "members.display",
    "members.type", "members.$ref", "members.colour", "meta.created", "meta.version", "title", "groups",
]  # fmt: skip
USER_SORTS = [
    "userName", "externalId", "displayName", "active", "name.givenName", "emails", "emails.type", "roles",
    "emails.display", "photos", "addresses.locality", "department", "manager.displayName", "id",
    "meta.created", "meta.lastModified", "meta.version", "groups",
]  # fmt: skip
GROUP_SORTS = ["displayName", "externalId", "id", "meta.created", "meta.location", "members"]
PARENTS = {
    ResourceKind.USER: {
        "emails": ["value", "type", "primary", "display", "colour"],
        "addresses": ["locality", "formatted", "type", "value"],
        "name": ["givenName", "familyName", "middle"],
        "manager": ["value", "displayName"],
        "groups": ["value", "display", "type"],
        "meta": ["created", "version"],
        "schemas": ["value"],
        "trees": ["value"],
    },
    ResourceKind.GROUP: {"members": ["value", "display", "type"], "meta": ["created"]},
}
ENTERPRISE_NAMES = frozenset({"department", "manager"})
operators = st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr", "Eq", "GT", "pR"])
dates = st.integers(0, 30_000).map(
    lambda n: (
        f"2026-01-15T{12 + n % 2 * 2}:00:0{n // 10_000}.{n % 10_000:04d}{'Z' if n % 2 == 0 else '+02:00'}"
    )
)


@dataclass(frozen=True, slots=True)
class Known:
    """What a directory holds that a filter may name."""

    kind: ResourceKind
    values: Sequence[str]


def spellings(name: str, kind: ResourceKind) -> st.SearchStrategy[str]:
    """A name as clients write it: in any letter case, and behind the URN of its schema."""
    if name.startswith("urn:okta"):
        return st.just(name)
    cases = [name, name, name.upper(), name.swapcase()]
    if name.startswith("urn:"):
        return st.sampled_from([*cases, f"{ENTERPRISE_URN}.{name.removeprefix(ENTERPRISE_URN + ':')}"])
    urn = ENTERPRISE_URN if name.partition(".")[0] in ENTERPRISE_NAMES else kind.core_urn
    return st.sampled_from([*cases, f"{urn}:{name}", f"{urn.upper()}:{name}", f"{urn}.{name}"])


def comparisons(names: Sequence[str], known: Known, *, inside: bool = False) -> st.SearchStrategy[str]:
    name = st.sampled_from(names)
    if not inside:
        name = name.flatmap(lambda found: spellings(found, known.kind))
    value = st.one_of(
        words.map(json.dumps),
        st.sampled_from([json.dumps(value) for value in known.values]),
        st.sampled_from([json.dumps(value[:3]) for value in known.values]),
        st.sampled_from([json.dumps(value[-2:].swapcase()) for value in known.values]),
        dates.map(json.dumps),
        st.sampled_from(
            ["true", "False", "null", "NULL", "7", "bare", '"urn:"', '"2026"', '"Z"', '"W/\\"1\\""', '""']
        ),
    )
    return st.builds(
        lambda name, operator, value: (
            f"{name} {operator}" + (f" {value}" if operator.lower() != "pr" else "")
        ),
        name,
        operators,
        value,
    )


def nested(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.builds("({} and {})".format, terms, terms)
        | st.builds("({} OR {})".format, terms, terms)
        | st.builds("not ({})".format, terms)
    )


def filters(known: Known) -> st.SearchStrategy[str]:
    parents = PARENTS[known.kind]
    simple = comparisons(USER_NAMES if known.kind is ResourceKind.USER else GROUP_NAMES, known)
    paths = st.sampled_from(sorted(parents)).flatmap(
        lambda name: st.builds(
            "{}[{}]{}".format,
            spellings(name, known.kind),
            st.recursive(comparisons(parents[name], known, inside=True), nested, max_leaves=4),
            # E-17: one more comparison of the same entry.
            st.just("") | st.just("") | comparisons(parents[name], known, inside=True).map(".{}".format),
        )
    )
    return st.recursive(simple | paths, nested, max_leaves=5)


def values_of(resources: list[dict[str, Json]]) -> list[str]:
    """Every text in the resources, shortest first."""
    found: set[str] = {"a"}
    pending: list[Json] = list(resources)
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, str):
            found.add(value)
    return sorted(found, key=lambda text: (len(text), text))


@pytest.fixture
async def parts(database_url: str) -> AsyncIterator[Kernel]:
    async with kernel(database_url) as made:
        yield made


async def found(parts: Kernel, at: Stored, kind: ResourceKind, query: ResourceQuery) -> list[str]:
    reads = Resources(parts)
    page = await (
        reads.users(at.scope, query) if kind is ResourceKind.USER else reads.groups(at.scope, query)
    )
    assert page.total == len(page.items)
    return [view.id for view in page.items]


def read(text: str, kind: ResourceKind) -> Filter | None:
    try:
        return parse_filter(text, kind)
    except ScimError:
        return None


many = settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@many
@given(contents=directories(), drawn=st.data())
async def test_sql_and_memory_agree_on_every_filter(
    parts: Kernel, contents: Contents, drawn: st.DataObject
) -> None:
    at = await store(parts, contents)
    for kind in ResourceKind:
        resources = at.rendered(kind)
        asked = filters(Known(kind, values_of(resources)))
        for text in drawn.draw(st.lists(asked, min_size=1, max_size=8)):
            term = read(text, kind)
            if term is None:
                continue
            expected = [resource["id"] for resource in resources if matches(term, resource, kind)]
            assert await found(parts, at, kind, ResourceQuery(filter=term)) == expected, text


MOST_PAGES = 30


async def every_page(
    parts: Kernel, at: Stored, kind: ResourceKind, query: ResourceQuery, *, backwards: bool
) -> list[str]:
    """Follow the cursors to the end, or from there back to the beginning."""
    reads, ids, first = Resources(parts), list[str](), True
    cursor: str | None = ""
    for _ in range(MOST_PAGES):
        if cursor is None:
            return ids
        asked = replace(query, cursor=cursor)
        page = await (
            reads.users(at.scope, asked) if kind is ResourceKind.USER else reads.groups(at.scope, asked)
        )
        found = [view.id for view in page.items]
        if backwards and first and page.next_cursor is not None:
            cursor = page.next_cursor
            continue
        first = False
        ids = [*found, *ids] if backwards else [*ids, *found]
        cursor = page.previous_cursor if backwards else page.next_cursor
    raise AssertionError("the cursors lead round in a circle")


@many
@given(contents=directories(), drawn=st.data())
async def test_sql_sorts_as_memory_does_and_cursors_follow_the_same_order(
    parts: Kernel, contents: Contents, drawn: st.DataObject
) -> None:
    at = await store(parts, contents)
    for kind in ResourceKind:
        resources = {str(resource["id"]): resource for resource in at.rendered(kind)}
        names = USER_SORTS if kind is ResourceKind.USER else GROUP_SORTS
        for name in drawn.draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True)):
            path = parse_sort_path(drawn.draw(spellings(name, kind)), kind)
            descending = drawn.draw(st.booleans())
            query = ResourceQuery(sort_by=path, descending=descending)
            ordered = await found(parts, at, kind, query)
            assert sorted(ordered) == sorted(resources)
            keys = [sort_key(resources[id_], path) for id_ in ordered]
            assert keys == sorted(keys, reverse=descending), name
            query = replace(query, count=drawn.draw(st.integers(1, 3)))
            assert await every_page(parts, at, kind, query, backwards=False) == ordered, name
            assert await every_page(parts, at, kind, query, backwards=True) == ordered, name


async def test_an_entry_as_a_whole_differs_from_every_text(parts: Kernel) -> None:
    """`addresses ne "x"` left out whoever had an address."""
    bodies: list[dict[str, Json]] = [
        {"userName": "ada", "addresses": [{"locality": "Kiel"}]},
        {"userName": "bo"},
    ]
    at = await store(parts, Contents([(body, FIRST) for body in bodies]))
    term = parse_filter('addresses ne "Kiel"', ResourceKind.USER)
    assert len(await found(parts, at, ResourceKind.USER, ResourceQuery(filter=term))) == 2


async def test_a_member_is_found_by_the_name_that_is_shown(parts: Kernel) -> None:
    """White space around a name was taken away before comparing, and a name of white space alone was one."""
    bodies: list[dict[str, Json]] = [
        {"userName": "ada", "displayName": " Ada "},
        {"userName": "bo", "displayName": "\u00a0\t", "name": {"familyName": " Blu"}},
    ]
    people = [(body, FIRST) for body in bodies]
    groups: list[tuple[dict[str, Json], datetime]] = [({"displayName": "Staff"}, FIRST)]
    at = await store(parts, Contents(people, groups, [(0, 0), (0, 1)]))
    for shown, count in ((" Ada ", 1), ("Ada", 0), (" Blu", 1), ("Blu", 0)):
        term = parse_filter(f'members.display eq "{shown}"', ResourceKind.GROUP)
        assert len(await found(parts, at, ResourceKind.GROUP, ResourceQuery(filter=term))) == count, shown
