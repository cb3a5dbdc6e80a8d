"""What happens to roles when people are evaluated otherwise: who gains and loses which, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from syncline.core.events import user_body
from syncline.core.model import Directory, UserRecord
from syncline.core.roles import Floor
from syncline.services.role_person import PersonOutcome, slugs

MAX_EXAMPLES = 20
LARGE_SHARE = 0.2
"""Above this share of people a change is worth a warning."""


@dataclass(slots=True)
class RoleImpact:
    """What happens to one role; `held` is how many a floor would keep from losing it."""

    role: str
    name: str
    before: int = 0
    after: int = 0
    gain: int = 0
    lose: int = 0
    held: int = 0

    @property
    def is_left_empty(self) -> bool:
        """Whether nobody would hold the role any more."""
        return self.before > 0 and self.after == 0 and self.held == 0

    @property
    def is_touched(self) -> bool:
        """Whether anybody gains or loses the role."""
        return self.gain > 0 or self.lose > 0


@dataclass(frozen=True, slots=True)
class Example:
    """One person whose roles would change."""

    directory_user_id: str
    email: str | None
    before: Sequence[str]
    after: Sequence[str]


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that the caller should look at; `role` where it is about one."""

    code: str
    message: str
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Impact:
    """The whole effect on the people of a directory, floors aside except for what they would keep."""

    total: int
    changed: int
    roles: Sequence[RoleImpact]
    examples: Sequence[Example]

    @property
    def summary(self) -> str:
        """The effect in words: "12 gain Admin, 340 lose Editor, 0 Admins left"."""
        parts = [
            *moves(self.roles),
            *(f"0 {plural(one.name)} left" for one in self.roles if one.is_left_empty),
        ]
        return ", ".join(parts) or "nobody's roles change"

    @property
    def warnings(self) -> list[Warned]:
        """What is worth a look before the change is made."""
        warned = large_change(self.changed, self.total)
        for one in self.roles:
            if one.held:
                warned.append(floor_holds(one))
            elif one.is_left_empty:
                warned.append(Warned("role_without_holders", f"Nobody holds {one.name} any more.", one.role))
        return warned


class ImpactCount:
    """Figures that grow with roles and not with people."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._total = self._changed = 0
        self._examples: list[Example] = []
        self._before: Counter[str] = Counter()
        self._after: Counter[str] = Counter()
        self._gain: Counter[str] = Counter()
        self._lose: Counter[str] = Counter()
        # Floors count active people only.
        self._active_after: Counter[str] = Counter()
        self._active_lose: Counter[str] = Counter()

    def add(self, before: UserRecord, after: UserRecord) -> None:
        """Count a person."""
        old, new = slugs(before.roles), slugs(after.roles)
        self._total += 1
        self._before.update(old)
        self._after.update(new)
        if before.active:
            self._active_after.update(new)
        if old == new:
            return
        self._changed += 1
        lost = [role for role in old if role not in new]
        self._gain.update(role for role in new if role not in old)
        self._lose.update(lost)
        if before.active:
            self._active_lose.update(lost)
        if len(self._examples) < MAX_EXAMPLES:
            shown = user_body(self._directory, before)
            self._examples.append(Example(shown.id, shown.email, old, new))

    def found(self, names: Mapping[str, str], floors: Iterable[Floor]) -> Impact:
        """Return the figures; `names` are those of the roles, the most important first."""
        held = {
            floor.role: min(
                self._active_lose[floor.role], max(0, floor.minimum - self._active_after[floor.role])
            )
            for floor in floors
        }
        gone = sorted(self._before.keys() - names.keys())
        roles = [
            RoleImpact(
                role=role,
                name=names.get(role, role),
                before=self._before[role],
                after=self._after[role],
                gain=self._gain[role],
                lose=self._lose[role],
                held=held.get(role, 0),
            )
            for role in (*names, *gone)
        ]
        return Impact(self._total, self._changed, roles, self._examples)


def moves(roles: Iterable[RoleImpact]) -> list[str]:
    """Return in words how many gain and lose which role."""
    roles = list(roles)
    gained = [f"{one.gain} gain {one.name}" for one in roles if one.gain]
    return [*gained, *(f"{one.lose} lose {one.name}" for one in roles if one.lose)]


def large_change(changed: int, total: int) -> list[Warned]:
    """Warn where so many people change that it may be a mistake."""
    if changed <= total * LARGE_SHARE:
        return []
    share = round(changed * 100 / total)
    return [Warned("large_change", f"The roles of {changed} of {total} people ({share} %) change.")]


def floor_holds(one: RoleImpact) -> Warned:
    """Warn that a floor keeps people in a role until somebody decides."""
    people = "1 person keeps" if one.held == 1 else f"{one.held} people keep"
    text = f"A floor holds the change: {people} {one.name} until somebody decides."
    return Warned("floor_holds", text, one.role)


def own_access(named: PersonOutcome, names: Mapping[str, str]) -> list[Warned]:
    """Warn where the person who is looked at loses something."""
    if not named.loses:
        return []
    lost, left = (", ".join(names.get(role, role) for role in roles) for roles in (named.loses, named.after))
    who = named.email or named.directory_user_id
    text = f"{who} loses {lost} and has {left or 'no role'} from then on."
    return [Warned("person_loses_access", text, named.loses[0])]


def plural(name: str) -> str:
    """Return the name of a role for none or several holders."""
    return name if name.endswith("s") else f"{name}s"
