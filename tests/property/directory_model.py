"""What a directory must hold and announce after each command, one after the other, without a database.

Written from `scim.md` §§7 to 11: plain dictionaries and sets, no look at the product's code. A command is
kept as what it asks for; `Model.step` says what must become of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Body = dict[str, Any]


@dataclass(frozen=True)
class MakePerson:
    """POST of a user."""

    body: Body


@dataclass(frozen=True)
class PutPerson:
    """PUT of a user; a missing `active` is no word about it."""

    id: str
    body: Body


@dataclass(frozen=True)
class PatchPerson:
    """PATCH of a user: values to set, None to remove."""

    id: str
    changes: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class DropPerson:
    """DELETE of a user."""

    id: str


@dataclass(frozen=True)
class MakeTeam:
    """POST of a group."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class PutTeam:
    """PUT of a group: without members it has none."""

    id: str
    name: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class PatchTeam:
    """PATCH of a group: set operations on its members, and maybe a new name."""

    id: str
    steps: tuple[tuple[Literal["add", "remove", "replace"], tuple[str, ...]], ...]
    name: str | None = None


@dataclass(frozen=True)
class DropTeam:
    """DELETE of a group."""

    id: str


Action = MakePerson | PutPerson | PatchPerson | DropPerson | MakeTeam | PutTeam | PatchTeam | DropTeam


@dataclass
class Presence:
    """One stay of a person in the product view; its id is learned from the event that begins it."""

    id: str | None = None


@dataclass
class Person:
    """A user as the provider sees it, and their stay in the product view, if any."""

    body: Body
    presence: Presence | None

    @property
    def active(self) -> bool:
        """Whether the provider says so."""
        return bool(self.body["active"])


@dataclass
class Team:
    """A group and everybody it holds: people, groups and ids that nobody knows."""

    name: str
    members: set[str]


@dataclass(frozen=True)
class Announced:
    """One event: whose, and for the person's and the group's own events what it must say."""

    type: str
    presence: Presence | None = None
    team: str | None = None
    says: tuple[tuple[str, Any], ...] = ()
    before: tuple[tuple[str, Any], ...] = ()


@dataclass
class Expected:
    """What must become of a command: a status, and events in order."""

    status: int
    events: list[Announced] = field(default_factory=list)


class Model:
    """The whole directory. `keeps`: whether people who are inactive stay in the product view."""

    def __init__(self, *, keeps: bool) -> None:
        self.keeps = keeps
        self.people: dict[str, Person] = {}
        self.teams: dict[str, Team] = {}

    def step(self, action: Action, made: str | None) -> Expected:
        """Carry out one command; `made` is the id that a creation was given."""
        match action:
            case MakePerson(body):
                return self._make_person(body, made)
            case PutPerson(id_, body):
                return self._change_person(id_, lambda held: {"active": held["active"], **body})
            case PatchPerson(id_, changes):
                return self._change_person(id_, lambda held: _changed(held, changes))
            case DropPerson(id_):
                return self._drop_person(id_)
            case MakeTeam(name, members):
                return self._make_team(name, members, made)
            case PutTeam(id_, name, members):
                return self._change_team(id_, name, [("replace", members)])
            case PatchTeam(id_, steps, new_name):
                return self._change_team(id_, new_name, steps)
            case DropTeam(id_):
                return self._drop_team(id_)

    def teams_of(self, id_: str) -> list[str]:
        """The groups that somebody or something is a direct member of."""
        return sorted(team for team, held in self.teams.items() if id_ in held.members)

    # People

    def _make_person(self, body: Body, made: str | None) -> Expected:
        body = {"active": True, **body}
        if self._is_taken(body["userName"], None):
            return Expected(409)
        assert made is not None, "a creation that nothing speaks against was refused"
        person = Person(body, None)
        self.people[made] = person
        return Expected(201, self._moved(made, person, {}))

    def _change_person(self, id_: str, change: Any) -> Expected:
        person = self.people.get(id_)
        if person is None:
            return Expected(404)
        before, after = person.body, change(person.body)
        if before == after:
            return Expected(200)
        if self._is_taken(after["userName"], id_):
            return Expected(409)
        person.body = after
        return Expected(200, self._moved(id_, person, before))

    def _moved(self, id_: str, person: Person, before: Body) -> list[Announced]:
        """Let a person enter, leave, or change in the product view, and return what that announces."""
        visible = person.active or self.keeps
        presence = person.presence
        teams = self.teams_of(id_)
        if visible and presence is None:
            person.presence = presence = Presence()
            joined = [Announced("dsync.group.user_added", presence, team) for team in teams]
            return [Announced("dsync.user.created", presence, says=_shown(person.body)), *joined]
        if presence is not None and not visible:
            person.presence = None
            return [*_left(presence, teams), Announced("dsync.user.deleted", presence)]
        if presence is None:
            return []
        old, new = dict(_shown(before)), dict(_shown(person.body))
        differing = tuple((key, old[key]) for key in old if old[key] != new[key])
        return [Announced("dsync.user.updated", presence, says=_shown(person.body), before=differing)]

    def _drop_person(self, id_: str) -> Expected:
        person = self.people.pop(id_, None)
        if person is None:
            return Expected(404)
        teams = self.teams_of(id_)
        for team in teams:
            self.teams[team].members.discard(id_)
        if person.presence is None:
            return Expected(204)
        leaving = [*_left(person.presence, teams), Announced("dsync.user.deleted", person.presence)]
        return Expected(204, leaving)

    def _is_taken(self, name: str, by_other_than: str | None) -> bool:
        return any(
            id_ != by_other_than and person.body["userName"].casefold() == name.casefold()
            for id_, person in self.people.items()
        )

    # Groups

    def _make_team(self, name: str, members: Iterable[str], made: str | None) -> Expected:
        assert made is not None, "a creation that nothing speaks against was refused"
        self.teams[made] = Team(name, set())
        created = Announced("dsync.group.created", team=made, says=(("name", name),))
        return Expected(201, [created, *self._set_members(made, set(members))])

    def _change_team(self, id_: str, name: str | None, steps: Iterable[tuple[str, Any]]) -> Expected:
        team = self.teams.get(id_)
        if team is None:
            return Expected(404)
        events = []
        if name is not None and name != team.name:
            events.append(
                Announced(
                    "dsync.group.updated",
                    team=id_,
                    says=(("name", name),),
                    before=(("name", team.name),),
                )
            )
            team.name = name
        members = set(team.members)
        for verb, ids in steps:
            match verb:
                case "add":
                    members |= set(ids)
                case "remove":
                    members -= set(ids)
                case _:
                    members = set(ids)
        return Expected(200, [*events, *self._set_members(id_, members)])

    def _set_members(self, id_: str, members: set[str]) -> list[Announced]:
        team = self.teams[id_]
        gone, come = team.members - members, members - team.members
        team.members = members
        return [
            Announced(f"dsync.group.user_{verb}", presence, id_)
            for verb, changed in (("removed", gone), ("added", come))
            for member in sorted(changed)
            if member in self.people and (presence := self.people[member].presence) is not None
        ]

    def _drop_team(self, id_: str) -> Expected:
        if self.teams.pop(id_, None) is None:
            return Expected(404)
        for team in self.teams.values():
            team.members.discard(id_)
        return Expected(204, [Announced("dsync.group.deleted", team=id_)])


def _changed(body: Body, changes: Iterable[tuple[str, Any]]) -> Body:
    after = dict(body)
    for name, value in changes:
        if value is None:
            after.pop(name, None)
        else:
            after[name] = value
    return after


def _left(presence: Presence, teams: Iterable[str]) -> list[Announced]:
    return [Announced("dsync.group.user_removed", presence, team) for team in teams]


def _shown(body: Body) -> tuple[tuple[str, Any], ...]:
    """What the product view shows of a body, under the names it has there."""
    return (
        ("username", body["userName"]),
        ("job_title", body.get("title")),
        ("state", "active" if body["active"] else "inactive"),
    )
