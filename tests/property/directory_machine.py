"""A state machine that drives a directory with generated commands and compares it with the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from syncline.core.commands import (
    Command,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DeleteUser,
    PatchGroup,
    PatchUser,
    ReplaceGroup,
    ReplaceUser,
)
from syncline.core.json import Json
from syncline.core.model import InactiveUsers
from syncline.core.scim.errors import ScimError
from syncline.core.scim.normalize import normalize_group, normalize_user
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import ResourceKind
from tests.property.directory_model import (
    Action,
    Announced,
    DropPerson,
    DropTeam,
    MakePerson,
    MakeTeam,
    Model,
    PatchPerson,
    PatchTeam,
    PutPerson,
    PutTeam,
)

Event = tuple[str, dict[str, Any]]
STRANGER = "01KA0YPX7B9D1F3H5K7M9Q1S3T"


@dataclass(frozen=True)
class Done:
    """What became of a command: a refusal, or the id of what it made or changed and whether it changed.

    `shown`: the version of a user that the answer carries, and the body and groups it shows under it.
    """

    refusal: ScimError | None = None
    id: str | None = None
    changed: bool = False
    shown: tuple[int, tuple[dict[str, Json], list[str]]] | None = None


@dataclass(frozen=True)
class Picture:
    """All that a directory holds: bodies, groups of people, members, and versions, by SCIM id."""

    people: dict[str, tuple[dict[str, Json], list[str]]]
    teams: dict[str, tuple[str, list[str]]]
    versions: dict[str, int]
    # Ids of the product view; None where that view is not at hand.
    shown: dict[str, list[str]] | None = None


class Backend(Protocol):
    """A directory that commands can be sent to."""

    def submit(self, commands: Sequence[Command]) -> list[Done]:
        """Send commands together, in order."""

    def events(self) -> list[Event]:
        """Return the events since the last time, in order."""

    def picture(self) -> Picture:
        """Return what the directory holds now."""


# Names that fold to each other are one name; the others are others.
_NAMES = ("ada", "ADA", "bo", "Straße", "STRASSE", "cy")
_TITLES = ("Planner", "Pilot")
# Mostly somebody who is there; from `_GONE` on somebody who is not.
_GONE = 12
_numbers = st.integers(0, _GONE + 1)
_members = st.lists(_numbers, max_size=4).map(tuple)
_bodies: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"userName": st.sampled_from(_NAMES)},
    optional={"active": st.booleans(), "title": st.sampled_from(_TITLES)},
)
_changes = st.lists(
    st.tuples(st.just("active"), st.booleans())
    | st.tuples(st.just("active"), st.booleans())
    | st.tuples(st.just("title"), st.sampled_from([*_TITLES, None]))
    | st.tuples(st.just("userName"), st.sampled_from(_NAMES)),
    min_size=1,
    max_size=3,
).map(tuple)
_member_steps = st.lists(
    st.tuples(st.sampled_from(["add", "add", "remove", "replace"]), _members), max_size=3
).map(tuple)
_team_names = st.sampled_from(["Staff", "Night", "staff"])


@dataclass(frozen=True)
class Draft:
    """An action before its numbers are ids: people, groups and members are named by number."""

    kind: type[Action]
    number: int = 0
    fields: tuple[Any, ...] = ()


drafts = st.one_of(
    st.builds(Draft, st.just(MakePerson), _numbers, st.tuples(_bodies)),
    st.builds(Draft, st.just(PutPerson), _numbers, st.tuples(_bodies)),
    st.builds(Draft, st.just(PatchPerson), _numbers, st.tuples(_changes)),
    st.builds(Draft, st.just(PatchPerson), _numbers, st.tuples(_changes)),
    st.builds(Draft, st.just(DropPerson), _numbers),
    st.builds(Draft, st.just(MakeTeam), _numbers, st.tuples(_team_names, _members)),
    st.builds(Draft, st.just(PutTeam), _numbers, st.tuples(_team_names, _members)),
    st.builds(Draft, st.just(PatchTeam), _numbers, st.tuples(_member_steps, st.none() | _team_names)),
    st.builds(Draft, st.just(PatchTeam), _numbers, st.tuples(_member_steps, st.none())),
    st.builds(Draft, st.just(DropTeam), _numbers),
)


def _folded_name(body: dict[str, Any]) -> str:
    return str(body["userName"]).casefold()


class DirectoryMachine(RuleBasedStateMachine):
    """Sends commands alone, twice in a row and several at once; after each the directory is as modeled."""

    make: Callable[..., Backend]

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, int], Any] = {}
        self._presences: set[str] = set()

    @initialize(
        policy=st.sampled_from(InactiveUsers),
        people=st.lists(_bodies, min_size=1, max_size=3, unique_by=_folded_name),
    )
    def begin(self, policy: InactiveUsers, people: list[dict[str, Any]]) -> None:
        """Start with a few people and a group of them, as most directories do."""
        self.model = Model(keeps=policy is InactiveUsers.KEEP)
        self.backend: Backend = self.make(policy)
        self.made: list[str] = [STRANGER]
        self._carry_out([MakePerson(body) for body in people])
        self._carry_out([MakeTeam("Everybody", (*self.made, STRANGER))])

    @rule(drafts=st.lists(drafts, min_size=2, max_size=5))
    def several_at_once(self, drafts: list[Draft]) -> None:
        """Commands that meet in one batch come to what they come to one after the other."""
        self._carry_out([self._action(draft) for draft in drafts])

    @rule(draft=drafts)
    def twice(self, draft: Draft) -> None:
        """The second time nothing happens: no event, no new version of anything."""
        action = self._action(draft)
        self._carry_out([action])
        before = self.backend.picture()
        done, events = self._carry_out([action])
        if isinstance(action, MakeTeam):
            return
        assert events == []
        assert not done[0].changed
        assert self.backend.picture() == before

    @rule(draft=drafts)
    def twice_at_once(self, draft: Draft) -> None:
        """A request and its repetition that meet in one batch."""
        action = self._action(draft)
        done, _ = self._carry_out([action, action])
        assert isinstance(action, MakeTeam) or not done[1].changed

    def _action(self, draft: Draft) -> Action:
        kind, fields = draft.kind, draft.fields
        people, teams = list(self.model.people), list(self.model.teams)
        if kind is MakePerson:
            return MakePerson(*fields)
        if kind is MakeTeam:
            return MakeTeam(fields[0], self._members(fields[1]))
        if kind in (PutPerson, PatchPerson, DropPerson):
            return kind(self._one_of(people, draft.number), *fields)
        at = self._one_of(teams, draft.number)
        if kind is PutTeam:
            return PutTeam(at, fields[0], self._members(fields[1]))
        if kind is PatchTeam:
            return PatchTeam(at, tuple((verb, self._members(named)) for verb, named in fields[0]), fields[1])
        return DropTeam(at)

    def _one_of(self, ids: Sequence[str], number: int) -> str:
        """One of those who are there, or anybody who ever was: gone, of the other kind, or a stranger."""
        if ids and number < _GONE:
            return ids[number % len(ids)]
        return self.made[-1 - number % len(self.made)]

    def _members(self, numbers: Sequence[int]) -> tuple[str, ...]:
        everybody = [*self.model.people, *self.model.teams]
        return tuple(dict.fromkeys(self._one_of(everybody, number) for number in numbers))

    def _carry_out(self, actions: list[Action]) -> tuple[list[Done], list[Event]]:
        if not actions:
            return [], []
        note(f"together: {actions}")
        done = self.backend.submit([command(action) for action in actions])
        expected: list[Announced] = []
        for action, one in zip(actions, done, strict=True):
            wanted = self.model.step(action, one.id)
            status = one.refusal.status if one.refusal is not None else None
            assert status == (wanted.status if wanted.status >= 400 else None), (action, one)
            expected += wanted.events
            if one.id is not None and one.shown is not None:
                self._compare_version(one.id, *one.shown)
            if one.id is not None and isinstance(action, MakePerson | MakeTeam):
                self.made.append(one.id)
        events = self.backend.events()
        self._compare_events(expected, events)
        self._compare_picture(self.backend.picture())
        return done, events

    def _compare_events(self, expected: list[Announced], events: list[Event]) -> None:
        assert [one.type for one in expected] == [name for name, _ in events]
        for wanted, (name, data) in zip(expected, events, strict=True):
            user, group = data, data
            if name.startswith("dsync.group.user_"):
                user, group = data["user"], data["group"]
            if wanted.presence is not None:
                self._learn(wanted, user["id"])
                assert user["id"] == wanted.presence.id, name
            if wanted.team is not None:
                assert group["id"] == f"directory_group_{wanted.team}", name
            assert {key: data[key] for key, _ in wanted.says} == dict(wanted.says), name
            if name.endswith(".updated"):
                told = {k: v for k, v in data["previous_attributes"].items() if k in dict(wanted.says)}
                assert told == dict(wanted.before), name

    def _learn(self, wanted: Announced, id_: str) -> None:
        """A person who comes, or comes back, has an id that nobody had before."""
        if wanted.type == "dsync.user.created" and wanted.presence is not None:
            assert wanted.presence.id is None
            assert id_ not in self._presences
            self._presences.add(id_)
            wanted.presence.id = id_

    def _compare_picture(self, picture: Picture) -> None:
        model = self.model
        assert picture.people == {
            id_: (person.body, model.teams_of(id_)) for id_, person in model.people.items()
        }
        known = model.people.keys() | model.teams.keys()
        assert picture.teams == {
            id_: (team.name, sorted(team.members & known)) for id_, team in model.teams.items()
        }
        if picture.shown is not None:
            assert picture.shown == {
                str(person.presence.id): [f"directory_group_{team}" for team in model.teams_of(id_)]
                for id_, person in model.people.items()
                if person.presence is not None
            }
        for id_, version in picture.versions.items():
            self._compare_version(id_, version, picture.people.get(id_) or picture.teams.get(id_))

    def _compare_version(self, id_: str, version: int, held: Any) -> None:
        """Whoever holds an entity tag may rely on what came with it (RFC 7644 §3.14)."""
        assert self._seen.setdefault((id_, version), held) == held, f"two states of version {version}"


def command(action: Action) -> Command:
    """The action as the command that a provider's request becomes."""
    match action:
        case MakePerson(body):
            return CreateUser(normalize_user(dict(body)))
        case PutPerson(id_, body):
            return ReplaceUser(id_, normalize_user(dict(body)))
        case PatchPerson(id_, changes):
            operations: list[Json] = [
                {"op": "remove", "path": name}
                if value is None
                else {"op": "replace", "path": name, "value": value}
                for name, value in changes
            ]
            return PatchUser(id_, parse_operations({"Operations": operations}, ResourceKind.USER))
        case DropPerson(id_):
            return DeleteUser(id_)
        case MakeTeam(name, members):
            return CreateGroup(normalize_group({"displayName": name, "members": list(members)}))
        case PutTeam(id_, name, members):
            return ReplaceGroup(id_, normalize_group({"displayName": name, "members": list(members)}))
        case PatchTeam(id_, steps, new_name):
            asked: list[Json] = [{"op": verb, "path": "members", "value": list(ids)} for verb, ids in steps]
            if new_name is not None:
                asked.append({"op": "replace", "path": "displayName", "value": new_name})
            return PatchGroup(id_, parse_operations({"Operations": asked}, ResourceKind.GROUP))
        case DropTeam(id_):
            return DeleteGroup(id_)
