"""A filter means the same in SQL, on both engines, as it means in memory on the rendered resource."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from sqlalchemy import Connection

from syncline.core.commands import Command, CreateGroup, CreateUser
from syncline.core.json import Json
from syncline.core.model import Cause
from syncline.core.scim.errors import ScimError
from syncline.core.scim.filter import matches, parse_filter
from syncline.core.scim.names import parse_attribute
from syncline.core.scim.normalize import normalize_group, normalize_user
from syncline.core.scim.resource import GroupView, UserView, render_group, render_user
from syncline.core.scim.schema import ENTERPRISE_URN, ResourceKind
from syncline.core.scim.sort import parse_sort, sort_resources
from syncline.services.apply import Writer
from syncline.services.kernel import Kernel
from syncline.services.resources import ResourceQuery, Resources
from syncline.store import tables as t
from tests.support.kernels import Seeded, kernel, seed

PEOPLE: list[dict[str, Json]] = [
    {"userName": "Mira@northwind.example", "externalId": "E1", "title": "Planner", "active": True},
    {"userName": "ÅSA", "displayName": "Åsa Ström", "externalId": "e1", "name": {"familyName": "Ström"}},
    {"userName": "percent%_", "title": "100%", "active": False, "nickName": "a\\b"},
    {
        "userName": "bo",
        "emails": [
            {"value": "Bo@Work.example", "type": "work", "primary": True},
            {"value": "bo@home.example", "type": "home"},
        ],
        "name": {"givenName": "Bo", "familyName": "Åkesson"},
        ENTERPRISE_URN: {"department": "Logistics", "manager": {"value": "M1", "displayName": "Mira"}},
    },
    {
        "userName": "cy",
        "emails": [
            {"value": "cy@home.example", "type": "work"},
            {"value": "bo@work.example", "type": "home"},
        ],
        "roles": [{"value": "admin", "primary": "True"}, {"value": "True"}],
        "x509Certificates": [{"value": "QUJD"}],
        ENTERPRISE_URN: {"department": "logistics night", "costCenter": "77"},
        "urn:okta:acme:2.0:user:custom": {"costPool": 4},
    },
    {"userName": "true", "title": "true", "userType": "Contractor", "timezone": "Europe/Oslo"},
    {"userName": "z" * 400, "title": "ß", "displayName": "straße"},
]

FILTERS = [
    'userName eq "mira@NORTHWIND.example"',
    'userName ne "bo"',
    'userName sw "B"',
    'userName ew "o"',
    'userName co "I"',
    'userName co "%_"',
    'userName gt "c"',
    'userName le "cy"',
    "userName pr",
    f'userName eq "{"Z" * 400}"',
    'userName eq "åsa"',
    'externalId eq "E1"',
    'externalId ne "E1"',
    'externalId co "E"',
    "externalId pr",
    "externalId eq null",
    "title pr",
    "not (title pr)",
    'title eq "ss"',
    'displayName eq "STRASSE"',
    'title ne "Planner"',
    'title co "%"',
    'title eq "true"',
    "title eq true",
    "active eq true",
    'active eq "False"',
    "active ne false",
    'active eq "false" and title pr',
    "nickName pr",
    'nickName co "\\\\"',
    'name.familyName eq "ÅKESSON"',
    "name pr",
    'name.familyName gt "a"',
    'emails eq "BO@work.example"',
    'emails.value co "home"',
    'emails.type eq "work"',
    'emails[type eq "work" and value co "home"]',
    'emails[type eq "work" and not (value co "home")]',
    'emails[type eq "home" or primary eq true]',
    "emails[primary eq false]",
    "emails[primary pr]",
    "emails pr",
    "not (emails pr)",
    'emails ne "bo@work.example"',
    'emails[type eq "work"].value eq "bo@work.example"',
    'roles[primary eq "True"]',
    'roles eq "true"',
    'x509Certificates.value eq "QUJD"',
    'x509Certificates.value eq "qujd"',
    'department eq "logistics"',
    f'{ENTERPRISE_URN}:department sw "log"',
    f'{ENTERPRISE_URN}.costCenter eq "77"',
    'manager eq "m1"',
    'manager.displayName co "ir"',
    'manager[value eq "m1"]',
    "manager pr",
    'unknownThing eq "x"',
    'unknownThing ne "x"',
    "unknownThing pr",
    'meta.resourceType eq "User"',
    'meta.resourceType eq "Group"',
    'meta.created gt "2020-01-01T00:00:00Z"',
    'meta.lastModified lt "2020-01-01T00:00:00.0000000Z"',
    'meta.created ge "0001-01-01T00:00:00Z"',
    'meta.version eq "W/\\"1\\""',
    "meta pr",
    'schemas eq "urn:ietf:params:scim:schemas:core:2.0:User"',
    f'schemas eq "{ENTERPRISE_URN.upper()}"',
    'schemas co "okta"',
    "schemas pr",
    "id pr",
    'id eq "nobody"',
    'groups.display eq "dispatch"',
    "groups pr",
    "not (groups pr)",
    'groups[type eq "direct" and display sw "Dis"]',
    'userName eq "bo" or userName eq "cy" and title pr',
    '(userName eq "bo" or userName eq "cy") and emails pr',
    "password pr",
    'profileUrl eq "x"',
]
GROUP_FILTERS = [
    'displayName eq "DISPATCH"',
    'displayName sw "dis"',
    "members pr",
    "not (members pr)",
    'members.type eq "group"',
    'members.display eq "mira@northwind.example"',
    'members.display co "åkesson"',
    'members[type eq "User" and display sw "bo"]',
    "externalId pr",
    'meta.resourceType eq "Group"',
]


@dataclass(frozen=True, slots=True)
class Filled:
    """A directory with the people and three groups, and what SCIM shows of them."""

    kernel: Kernel
    place: Seeded
    users: list[dict[str, Json]]
    groups: list[dict[str, Json]]


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[Filled]:
    async with kernel(database_url) as parts:
        writer = Writer(parts)
        await writer.start()
        place = await seed(parts)
        other = await seed(parts, environment_id=place.environment_id)

        async def do(command: Command, at: Seeded = place) -> UserView | GroupView:
            view = (await writer.submit(at.directory.scope, command, Cause("request_test"))).view
            assert view is not None
            return view

        people = [await do(CreateUser(normalize_user(body))) for body in PEOPLE]
        for body in PEOPLE:
            await do(CreateUser(normalize_user(body)), other)
        dispatch = await do(group("Dispatch", people[0].id, people[3].id))
        await do(group("Everybody", dispatch.id, people[1].id))
        await do(group("Nobody"))
        reads = Resources(parts)
        scope = place.directory.scope
        users = (await reads.users(scope, ResourceQuery())).items
        groups = (await reads.groups(scope, ResourceQuery(labels=True))).items
        yield Filled(
            parts,
            place,
            [render_user(view, base(place)) for view in users],
            [render_group(view, base(place)) for view in groups],
        )
        await writer.close()


def base(place: Seeded) -> str:
    return f"https://syncline.example/scim/v2/{place.directory.id.removeprefix('directory_')}"


def group(name: str, *members: str) -> CreateGroup:
    return CreateGroup(normalize_group({"displayName": name, "members": list(members)}))


async def found(filled: Filled, kind: ResourceKind, text: str) -> list[str]:
    query = ResourceQuery(filter=parse_filter(text, kind))
    reads = Resources(filled.kernel)
    scope = filled.place.directory.scope
    page = await (reads.users(scope, query) if kind is ResourceKind.USER else reads.groups(scope, query))
    assert page.total == len(page.items)
    return [view.id for view in page.items]


def expected(resources: list[dict[str, Json]], kind: ResourceKind, text: str) -> list[str]:
    term = parse_filter(text, kind)
    return [str(resource["id"]) for resource in resources if matches(term, resource, kind)]


async def test_every_filter_finds_what_it_finds_in_memory(filled: Filled) -> None:
    assert len(filled.users) == len(PEOPLE)
    member, group_id = filled.users[0]["id"], filled.groups[0]["id"]
    wrong = []
    users = [*FILTERS, f'id eq "{member}"', f'groups.value eq "{group_id}"', f'groups eq "{group_id}"']
    for text in users:
        if await found(filled, ResourceKind.USER, text) != expected(filled.users, ResourceKind.USER, text):
            wrong.append(text)
    groups = [*GROUP_FILTERS, f'members eq "{member}"', f'members.value eq "{group_id}"']
    groups.append(f'id eq "{group_id}" and members eq "{member}"')
    groups.append(f'members.$ref eq "{base(filled.place)}/Users/{member}"')
    for text in groups:
        if await found(filled, ResourceKind.GROUP, text) != expected(filled.groups, ResourceKind.GROUP, text):
            wrong.append(text)
    assert wrong == []


async def test_combinations_of_filters_too(filled: Filled) -> None:
    parts = [FILTERS[n] for n in range(0, len(FILTERS), 5)]
    wrong = []
    for one, other in itertools.combinations(parts, 2):
        for text in (f"{one} and not ({other})", f"not ({one} or {other})"):
            if await found(filled, ResourceKind.USER, text) != expected(
                filled.users, ResourceKind.USER, text
            ):
                wrong.append(text)
    assert wrong == []


async def test_the_largest_filter_that_is_read_can_be_run(filled: Filled) -> None:
    def text(terms: int) -> str:
        return " or ".join(f'emails[type eq "work" and value eq "x{n}@y.example"]' for n in range(terms))

    for terms in (10, 40, 100, 200, 400):
        try:
            parse_filter(text(terms), ResourceKind.USER)
        except ScimError:
            break
        assert await found(filled, ResourceKind.USER, text(terms)) == []
    deep = 'title eq "Planner"'
    while True:
        try:
            parse_filter(f"not ({deep} and active pr)", ResourceKind.USER)
        except ScimError:
            break
        deep = f"not ({deep} and active pr)"
    assert await found(filled, ResourceKind.USER, deep) == expected(filled.users, ResourceKind.USER, deep)


@pytest.mark.parametrize("order", ["ascending", "descending"])
async def test_sorting_gives_the_order_it_gives_in_memory(filled: Filled, order: str) -> None:
    reads = Resources(filled.kernel)
    for name in (
        "userName",
        "title",
        "emails",
        "name.familyName",
        "meta.created",
        "id",
        "active",
        "department",
    ):
        sort = parse_sort(name, order, [ResourceKind.USER])
        assert sort is not None
        wanted = [resource["id"] for resource in sort_resources(filled.users, sort)]
        if sort.descending:
            # Equal keys keep the order of creation in memory and reverse with the rest in SQL.
            wanted = [
                r["id"]
                for r in reversed(
                    sort_resources(filled.users, parse_sort(name, None, [ResourceKind.USER]) or sort)
                )
            ]
        path = parse_attribute(name, ResourceKind.USER)
        path = path.with_sub("value") if name == "emails" else path
        whole = await reads.users(
            filled.place.directory.scope, ResourceQuery(sort_by=path, descending=order == "descending")
        )
        assert [view.id for view in whole.items] == wanted, name
        walked = await walk(
            reads, filled.place, ResourceQuery(sort_by=path, descending=order == "descending", count=2)
        )
        assert walked == wanted, name


async def walk(reads: Resources, place: Seeded, query: ResourceQuery) -> list[str]:
    """Every id, page by page forwards; then checks that walking back gives the same."""
    scope = place.directory.scope
    pages: list[list[str]] = []
    cursor: str | None = ""
    previous: str | None = None
    while cursor is not None:
        page = await reads.users(scope, replaced(query, cursor))
        pages.append([view.id for view in page.items])
        cursor, previous = page.next_cursor, page.previous_cursor
    back: list[list[str]] = [pages[-1]]
    while previous is not None:
        page = await reads.users(scope, replaced(query, previous))
        back.insert(0, [view.id for view in page.items])
        previous = page.previous_cursor
    assert back == pages
    return [id_ for page_ids in pages for id_ in page_ids]


def replaced(query: ResourceQuery, cursor: str) -> ResourceQuery:
    return ResourceQuery(
        filter=query.filter,
        sort_by=query.sort_by,
        descending=query.descending,
        count=query.count,
        cursor=cursor,
    )


async def test_pages_by_index_are_what_the_contract_says(filled: Filled) -> None:
    reads, scope = Resources(filled.kernel), filled.place.directory.scope
    ids = [str(user["id"]) for user in filled.users]

    async def page(start: int, count: int) -> tuple[int, int, list[str]]:
        got = await reads.users(scope, ResourceQuery(start_index=start, count=count))
        return got.total, got.start_index, [view.id for view in got.items]

    assert await page(1, 3) == (7, 1, ids[:3])
    assert await page(6, 3) == (7, 6, ids[5:])
    assert await page(0, 2) == (7, 1, ids[:2])
    assert await page(-5, 2) == (7, 1, ids[:2])
    assert await page(8, 2) == (7, 8, [])
    assert await page(10**30, 2) == (7, 10**30, [])
    assert await page(1, 0) == (7, 1, [])


async def test_cursors_of_other_searches_and_nonsense_are_refused(filled: Filled) -> None:
    reads, scope = Resources(filled.kernel), filled.place.directory.scope
    first = await reads.users(scope, ResourceQuery(cursor="", count=2))
    assert first.next_cursor is not None
    other = ResourceQuery(
        filter=parse_filter("title pr", ResourceKind.USER), cursor=first.next_cursor, count=2
    )
    for query in (other, ResourceQuery(cursor="!!not-a-cursor!!"), ResourceQuery(cursor="AAAA")):
        with pytest.raises(ScimError) as refused:
            await reads.users(scope, query)
        assert (refused.value.status, refused.value.scim_type) == (400, "invalidCursor")
    there = await seed(filled.kernel)
    with pytest.raises(ScimError):
        await reads.users(there.directory.scope, ResourceQuery(cursor=first.next_cursor, count=2))


async def test_nothing_of_another_directory_is_read(filled: Filled) -> None:
    there = await seed(filled.kernel)
    reads = Resources(filled.kernel)
    scope = there.directory.scope
    assert await reads.user(scope, str(filled.users[0]["id"])) is None
    assert await reads.group(scope, str(filled.groups[0]["id"])) is None
    assert (await reads.users(scope, ResourceQuery())).total == 0
    name = parse_filter('userName eq "bo"', ResourceKind.USER)
    assert (await reads.users(scope, ResourceQuery(filter=name))).items == []


async def test_deleted_people_are_not_found(filled: Filled) -> None:
    def bury(connection: Connection) -> None:
        connection.execute(t.directory_users.update().values(deleted_at=filled.kernel.clock()))

    await filled.kernel.database.write(bury)
    reads, scope = Resources(filled.kernel), filled.place.directory.scope
    assert await reads.user(scope, str(filled.users[0]["id"])) is None
    assert (await reads.users(scope, ResourceQuery())).total == 0
    assert await found(filled, ResourceKind.USER, 'userName eq "bo"') == []
