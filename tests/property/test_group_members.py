"""A group's members are a set: whatever a PATCH says about them comes to what set operations come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from syncline.core.commands import CreateGroup, CreateUser, Decision, PatchGroup
from syncline.core.json import Json
from syncline.core.model import InactiveUsers
from syncline.core.scim.errors import ScimError
from syncline.core.scim.normalize import normalize_group, normalize_user
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import GROUP_URN, ResourceKind
from tests.property.core_directory import CoreDirectory, Event

USERS, GROUPS, STRANGERS = 5, 3, 2
ABSENT = ("01KA0YPX7B9D1F3H5K7M9Q1S3T", "nobody we know")
Members = frozenset[str]
Meaning = Callable[[Members], Members]

many = settings(max_examples=250)
numbers = st.integers(0, USERS + GROUPS + STRANGERS - 1)
several = st.lists(numbers, max_size=5)


@dataclass
class World:
    """A directory with people (the last one inactive), groups and the group under test."""

    directory: CoreDirectory
    people: list[str]
    groups: list[str]
    group: str

    @property
    def ids(self) -> list[str]:
        """Everybody a request may name, strangers included."""
        return [*self.people, *self.groups, *ABSENT]

    def members(self) -> Members:
        return frozenset(self.directory.rows.members_of(self.group))

    def type_of(self, id_: str) -> str | None:
        if id_ in self.people:
            return "User"
        return "Group" if id_ in self.groups else None


def world(inactive_users: InactiveUsers) -> World:
    directory = CoreDirectory(inactive_users)
    people = []
    for n in range(USERS):
        body: Json = {"userName": f"user{n}", "displayName": f"Person {n}", "active": n < USERS - 1}
        made = directory.submit(CreateUser(normalize_user(body))).result
        assert isinstance(made, Decision)
        assert made.user is not None
        people.append(made.user.id)
    groups = []
    for n in range(GROUPS + 1):
        made = directory.submit(CreateGroup(normalize_group({"displayName": f"Group {n}"}))).result
        assert isinstance(made, Decision)
        assert made.group is not None
        groups.append(made.group.id)
    return World(directory, people, groups[:GROUPS], groups[GROUPS])


@dataclass(frozen=True)
class Step:
    """An operation on members as a client sends it, and what it does to the set."""

    sent: Callable[[World], dict[str, Json]]
    meaning: Callable[[World], Meaning]


# What a client may write for one member, beside its id.
SHAPES: Sequence[Callable[[str], Json]] = (
    lambda id_: {"value": id_},
    lambda id_: {"value": id_, "display": "Anybody", "type": "User"},
    lambda id_: {"VALUE": id_, "$ref": None},
    lambda id_: id_,
    lambda id_: {"$ref": f"https://idp.example/scim/Users/{id_}"},
    lambda id_: {"value": id_, "$ref": f"../Users/{id_}", "colour": "red"},
)
PATHS = ("members", "MEMBERS", f"{GROUP_URN}:members", f"{GROUP_URN}.Members", "members.value")


@st.composite
def listed(draw: st.DrawFn) -> Step:
    """Members listed one by one, in a path's value or in an object without a path."""
    verb = draw(st.sampled_from(["add", "Add", "replace", "REPLACE", "remove", "Remove"]))
    chosen = draw(several)
    shapes = [draw(st.sampled_from(SHAPES)) for _ in chosen]
    path = draw(st.sampled_from([*PATHS, None] if verb.lower() != "remove" else PATHS))
    key = draw(st.sampled_from(["members", "Members", f"{GROUP_URN}:members"]))
    alone = draw(st.booleans())

    def sent(at: World) -> dict[str, Json]:
        entries: list[Json] = [shape(at.ids[n]) for n, shape in zip(chosen, shapes, strict=True)]
        value: Json = entries[0] if alone and len(entries) == 1 else entries
        return {"op": verb, "value": {key: value}} if path is None else one(verb, path, value)

    def meaning(at: World) -> Meaning:
        named = frozenset(at.ids[n] for n in chosen)
        match verb.lower():
            case "add":
                return lambda held: held | named
            case "replace":
                return lambda held: named
        return lambda held: held - named

    return Step(sent, meaning)


def one(verb: str, path: str, value: Json) -> dict[str, Json]:
    return {"op": verb, "path": path, "value": value}


@st.composite
def emptied(draw: st.DrawFn) -> Step:
    """A removal of nobody in particular, and replacements by nothing."""
    path = draw(st.sampled_from(PATHS[:4]))
    request = draw(
        st.sampled_from(
            [
                {"op": "remove", "path": path},
                {"op": "replace", "path": path, "value": []},
                {"op": "replace", "path": path, "value": None},
                {"op": "replace", "value": {"members": []}},
                {"op": "replace", "value": {GROUP_URN: {"members": None}}},
            ]
        )
    )
    return Step(lambda _: dict(request), lambda _: lambda held: frozenset())


@st.composite
def filtered(draw: st.DrawFn) -> Step:
    """A removal by a filter: by ids, by what the members are, by what they are called."""
    chosen = draw(st.lists(numbers, min_size=1, max_size=3))
    which = draw(st.sampled_from(["ids", "type", "name", "not", "both"]))
    wanted = draw(st.sampled_from(["User", "group"]))
    sub = draw(st.sampled_from(["", ".value"]))

    def test(at: World) -> tuple[str, Callable[[str], bool]]:
        named = {at.ids[n] for n in chosen}
        either = " or ".join(f'value eq "{id_}"' for id_ in sorted(named))

        def is_wanted(id_: str) -> bool:
            return (at.type_of(id_) or "").lower() == wanted.lower()

        match which:
            case "ids":
                return either, lambda id_: id_ in named
            case "type":
                return f'Type EQ "{wanted}"', is_wanted
            case "name":
                return 'display sw "person"', lambda id_: id_ in at.people
            case "not":
                return f"not ({either})", lambda id_: id_ not in named
        return f'type eq "{wanted}" and ({either})', lambda id_: is_wanted(id_) and id_ in named

    return Step(
        lambda at: {"op": "remove", "path": f"members[{test(at)[0]}]{sub}"},
        lambda at: lambda held: frozenset(id_ for id_ in held if not test(at)[1](id_)),
    )


@st.composite
def named_by_path(draw: st.DrawFn) -> Step:
    """E-23: a member to add, named by the path."""
    chosen = draw(numbers)
    values: list[Json] = [{}, {"type": "User"}, None]
    value = draw(st.sampled_from(values))
    return Step(
        lambda at: {"op": "add", "path": f'members[value eq "{at.ids[chosen]}"]', "value": value},
        lambda at: lambda held: held | {at.ids[chosen]},
    )


steps = st.lists(listed() | listed() | emptied() | filtered() | named_by_path(), min_size=1, max_size=4)
policies = st.sampled_from(InactiveUsers)


def patch(at: World, asked: Sequence[Step], extra: Sequence[dict[str, Json]] = ()) -> tuple[Any, list[Event]]:
    operations: list[Json] = [*(step.sent(at) for step in asked), *extra]
    try:
        request = parse_operations({"Operations": operations}, ResourceKind.GROUP)
    except ScimError as refusal:
        return refusal, []
    outcome = at.directory.submit(PatchGroup(at.group, request))
    return outcome.result, outcome.events


def announced(events: Sequence[Event]) -> list[tuple[str, str]]:
    """Who was added and who removed, in order, by the id of the person's resource."""
    return [
        (name.rpartition("_")[2], data["user"]["id"].removeprefix("directory_user_"))
        for name, data in events
        if name.startswith("dsync.group.user_")
    ]


@many
@given(policies, several, steps)
def test_members_are_a_set_and_only_the_difference_is_announced(
    inactive: InactiveUsers, first: list[int], asked: list[Step]
) -> None:
    at = world(inactive)
    held = frozenset(at.ids[n] for n in first)
    begin: list[Json] = [{"value": id_} for id_ in sorted(held)]
    patch(at, (), [{"op": "add", "path": "members", "value": begin}])
    assert at.members() == held

    after = held
    for step in asked:
        after = step.meaning(at)(after)
    decision, events = patch(at, asked)
    assert isinstance(decision, Decision), decision
    assert at.members() == after
    assert decision.changed is (after != held)
    assert decision.parked == len((after - held) & set(ABSENT))
    assert decision.group is not None
    assert decision.group.member_count == len(after - set(ABSENT))

    visible = at.people if inactive is InactiveUsers.KEEP else at.people[:-1]
    gone = sorted((held - after) & set(visible))
    come = sorted((after - held) & set(visible))
    assert announced(events) == [("removed", id_) for id_ in gone] + [("added", id_) for id_ in come]
    assert len(events) == len(gone) + len(come)
    for person in at.people:
        assert (at.group in at.directory.rows.groups_of(person)) is (person in after)
    for group in at.groups:
        assert (at.group in at.directory.rows.parents_of(group)) is (group in after)


@many
@given(policies, several, steps)
def test_a_patch_of_members_sent_again_does_nothing(
    inactive: InactiveUsers, first: list[int], asked: list[Step]
) -> None:
    at = world(inactive)
    begin: list[Json] = [at.ids[n] for n in first]
    patch(at, (), [{"op": "add", "path": "members", "value": begin}])
    patch(at, asked)
    record, held = at.directory.rows.group(at.group), at.members()
    decision, events = patch(at, asked)
    assert isinstance(decision, Decision)
    assert not decision.changed
    assert events == []
    assert (at.directory.rows.group(at.group), at.members()) == (record, held)


REFUSED: Sequence[dict[str, Json]] = (
    {"op": "remove"},
    {"op": "remove", "value": {"members": [{"value": ABSENT[0]}]}},
    {"op": "add", "path": "members"},
    {"op": "add", "path": "members", "value": [{"display": "Nobody"}]},
    {"op": "replace", "path": "members", "value": [True]},
    {"op": "add", "path": 'members[type eq "User"]', "value": {}},
    {"op": "remove", "path": 'members[value eq "x'},
    {"op": "replace", "path": "displayName", "value": ""},
    {"op": "remove", "path": "displayName"},
    {"op": "replace", "path": "id", "value": ABSENT[0]},
    {"op": "replace", "value": {"id": ABSENT[0], "displayName": "Other"}},
)


@settings(max_examples=100)
@given(policies, several, st.lists(listed(), max_size=2), st.sampled_from(REFUSED))
def test_a_refused_patch_leaves_every_member_where_it_was(
    inactive: InactiveUsers, first: list[int], asked: list[Step], refused: dict[str, Json]
) -> None:
    at = world(inactive)
    begin: list[Json] = [at.ids[n] for n in first]
    patch(at, (), [{"op": "add", "path": "members", "value": begin}])
    record, held = at.directory.rows.group(at.group), at.members()
    refusal, events = patch(at, asked, [refused])
    assert isinstance(refusal, ScimError)
    assert refusal.status == 400
    assert events == []
    assert (at.directory.rows.group(at.group), at.members()) == (record, held)
