"""The events of a log applied from the beginning, and every event that could not have happened then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.reliability.journals import Register, Value, digest, directory_of

_TOKENS = "dsync.token."


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One event as the Events API gives it; `digest` is that of its exact bytes."""

    id: str
    type: str
    sequence: int
    directory_id: str | None
    directory_sequence: int | None
    data: Mapping[str, Any]
    digest: str
    created_at: str = ""

    @classmethod
    def of(cls, event: Mapping[str, Any], raw: bytes) -> LogEntry:
        """Make an entry of a decoded event and its bytes."""
        context = event["context"]
        return cls(
            event["id"],
            event["event"],
            context["sequence"],
            directory_of(event),
            context.get("directory_sequence"),
            event["data"],
            digest(raw),
            event.get("created_at", ""),
        )


def user_register(directory_id: str, user_name: str) -> Register:
    """Return the register of a person: the job title while they are in the product view, else None."""
    return ("user", directory_id, user_name)


def group_register(directory_id: str, name: str) -> Register:
    """Return the register of a group: True while it is there, else None."""
    return ("group", directory_id, name)


def member_register(directory_id: str, group: str, user_name: str) -> Register:
    """Return the register of a membership in the product view."""
    return ("member", directory_id, group, user_name)


@dataclass(slots=True)
class DirectoryState:
    """A directory as its events leave it: people and groups by their public ids."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    activated: bool = False
    deleted: bool = False

    def names(self) -> tuple[dict[str, Any], dict[str, set[str]]]:
        """Return titles by user name, and the user names of each group by its name, as SCIM shows them."""
        people = {user["username"]: user["job_title"] for user in self.users.values()}
        return people, {
            group["name"]: {self.users[user]["username"] for user in self.members[id_] if user in self.users}
            for id_, group in self.groups.items()
        }


class Replay:
    """Applies events one by one; `problems` says what contradicts what came before.

    `transitions` holds the values that each register took, `moments` when.
    """

    def __init__(self) -> None:
        self.directories: dict[str, DirectoryState] = defaultdict(DirectoryState)
        self.problems: list[str] = []
        self.transitions: dict[Register, list[Value]] = defaultdict(list)
        self.moments: dict[Register, list[str]] = defaultdict(list)
        self._now = ""

    @classmethod
    def of(cls, log: Sequence[LogEntry]) -> Replay:
        """Apply a whole log."""
        replay = cls()
        for entry in log:
            replay.apply(entry)
        return replay

    def apply(self, entry: LogEntry) -> None:
        """Apply one event."""
        self._now = entry.created_at
        if entry.directory_id is None or entry.type.startswith(_TOKENS):
            return
        state = self.directories[entry.directory_id]
        for problem in self._lifecycle(state, entry):
            self.problems.append(f"{entry.id} ({entry.type}, {entry.sequence}): {problem}")
        kind = entry.type.removeprefix("dsync.")
        step = {
            "user.created": self._user_created,
            "user.updated": self._user_updated,
            "user.deleted": self._user_deleted,
            "group.created": self._group_created,
            "group.updated": self._group_updated,
            "group.deleted": self._group_deleted,
            "group.user_added": self._user_added,
            "group.user_removed": self._user_removed,
        }.get(kind)
        if step is not None:
            for problem in step(state, entry):
                self.problems.append(f"{entry.id} ({entry.type}, {entry.sequence}): {problem}")

    @staticmethod
    def _lifecycle(state: DirectoryState, entry: LogEntry) -> Iterator[str]:
        if state.deleted:
            yield "comes after its directory was deleted"
        if entry.type == "dsync.activated":
            if state.activated:
                yield "the directory was active already"
            state.activated = True
        elif entry.type == "dsync.deleted":
            state.deleted = True
        elif not state.activated:
            yield "comes before its directory was activated"

    def _user_created(self, state: DirectoryState, entry: LogEntry) -> Iterator[str]:
        user = dict(entry.data)
        if user["id"] in state.users:
            yield "the person was there already"
        if any(other["username"] == user["username"] for other in state.users.values()):
            yield f"another person is called {user['username']}"
        state.users[user["id"]] = user
        self._note_user(entry, user["username"], user["job_title"])

    def _user_updated(self, state: DirectoryState, entry: LogEntry) -> Iterator[str]:
        user = dict(entry.data)
        previous = user.pop("previous_attributes")
        known = state.users.get(user["id"])
        if known is None:
            yield "the person was not there"
        else:
            wrong = _unlike(_flat(known), _flat(user), _flat(previous))
            if wrong:
                yield f"does not follow from the state before it: {', '.join(sorted(wrong))}"
        state.users[user["id"]] = user
        self._note_user(entry, user["username"], user["job_title"])

    def _user_deleted(self, state: DirectoryState, entry: LogEntry) -> Iterator[str]:
        user = entry.data
        if state.users.pop(user["id"], None) is None:
            yield "the person was not there"
        for id_, members in state.members.items():
            if user["id"] in members:
                yield f"the person is still a member of {id_}"
                members.discard(user["id"])
        self._note_user(entry, user["username"], None)

    def _group_created(self, state: DirectoryState, entry: LogEntry) -> Iterator[str]:
        group = dict(entry.data)
        if group["id"] in state.groups:
            yield "the group was there already"
        state.groups[group["id"]] = group
        self._note(group_register(entry.directory_id or "", group["name"]), True)

    def _group_updated(self, state: DirectoryState, entry: LogEntry) -> Iterator[str]:
        group = dict(entry.data)
        previous = group.pop("previous_attributes")
        known = state.groups.get(group["id"])
        if known is None:
            yield "the group was not there"
        elif wrong := sorted(key for key, value in previous.items() if known.get(key) != value):
            yield f"does not follow from the state before it: {', '.join(wrong)}"
        state.groups[group["id"]] = group

    def _group_deleted(self, state: DirectoryState, entry: LogEntry) -> Iterator[str]:
        group = entry.data
        if state.groups.pop(group["id"], None) is None:
            yield "the group was not there"
        for user in state.members.pop(group["id"], set()):
            name = state.users[user]["username"] if user in state.users else user
            self._note(member_register(entry.directory_id or "", group["name"], name), False)
        self._note(group_register(entry.directory_id or "", group["name"]), None)

    def _user_added(self, state: DirectoryState, entry: LogEntry) -> Iterator[str]:
        user, group = entry.data["user"], entry.data["group"]
        if user["id"] not in state.users:
            yield "the person is not there"
        elif state.users[user["id"]]["job_title"] != user["job_title"]:
            yield "shows a state of the person that is not the last one"
        if group["id"] not in state.groups:
            yield "the group is not there"
        if user["id"] in state.members[group["id"]]:
            yield "the person was a member already"
        state.members[group["id"]].add(user["id"])
        self._note_member(entry, True)

    def _user_removed(self, state: DirectoryState, entry: LogEntry) -> Iterator[str]:
        user, group = entry.data["user"], entry.data["group"]
        if user["id"] not in state.members[group["id"]]:
            yield "the person was no member"
        state.members[group["id"]].discard(user["id"])
        self._note_member(entry, False)

    def _note_user(self, entry: LogEntry, user_name: str, title: Value) -> None:
        register = user_register(entry.directory_id or "", user_name)
        if title is None or self._last(register) != title:
            self._note(register, title)

    def _note_member(self, entry: LogEntry, value: bool) -> None:
        group, user = entry.data["group"]["name"], entry.data["user"]["username"]
        self._note(member_register(entry.directory_id or "", group, user), value)

    def _last(self, register: Register) -> Value:
        seen = self.transitions.get(register)
        return seen[-1] if seen else None

    def _note(self, register: Register, value: Value) -> None:
        self.transitions[register].append(value)
        self.moments[register].append(self._now)


def _flat(user: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a person shows, each custom attribute by itself, as changes of them are told."""
    custom = user.get("custom_attributes", {})
    plain = {key: value for key, value in user.items() if key not in ("custom_attributes", "updated_at")}
    return plain | {f"custom_attributes.{key}": value for key, value in custom.items()}


def _unlike(before: dict[str, Any], after: dict[str, Any], previous: dict[str, Any]) -> list[str]:
    """Return what was not so before as an event tells, and what it has changed without telling."""
    wrong = [key for key, value in previous.items() if before.get(key) != value]
    told = [key for key in before.keys() | after.keys() if key not in previous]
    return wrong + [key for key in told if before.get(key) != after.get(key)]
