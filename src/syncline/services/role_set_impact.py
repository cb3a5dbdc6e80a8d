"""What happens to roles in many directories: figures of all, and of those that change most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from syncline.core.model import Directory
from syncline.services.role_impact import (
    MAX_EXAMPLES,
    Example,
    Impact,
    RoleImpact,
    Warned,
    floor_holds,
    large_change,
    moves,
    plural,
)
from syncline.services.role_person import PersonOutcome

MAX_DIRECTORIES = 20
"""So many directories are told apart."""


@dataclass(slots=True)
class SetImpact(RoleImpact):
    """What happens to one role in all directories; in `emptied` of them nobody would hold it any more."""

    emptied: int = 0


@dataclass(frozen=True, slots=True)
class DirectoryImpact:
    """What happens in one directory."""

    directory: Directory
    impact: Impact


@dataclass(frozen=True, slots=True)
class SetExample:
    """One person whose roles would change, and where they are."""

    directory_id: str
    person: Example


@dataclass(slots=True)
class SetPreview:
    """The effect on all directories that a change of roles concerns.

    Of `concerned` directories the people of `counted` were evaluated, and in `touched` of these somebody
    changes; `directories` are those of them where most do. `own_gain` and `own_lose` count roles of
    organizations that are not among `roles`. `person` is who was named, None for nobody.
    """

    roles: list[SetImpact]
    total: int = 0
    changed: int = 0
    own_gain: int = 0
    own_lose: int = 0
    concerned: int = 0
    counted: int = 0
    touched: int = 0
    directories: list[DirectoryImpact] = field(default_factory=list)
    examples: list[SetExample] = field(default_factory=list)
    person: PersonOutcome | None = None
    person_warnings: Sequence[Warned] = ()

    @property
    def is_complete(self) -> bool:
        """Whether the people of every directory that is concerned were evaluated."""
        return self.counted == self.concerned

    @property
    def summary(self) -> str:
        """The effect in words: "12 gain Admin, 340 lose Editor, 0 Admins left in 2 directories"."""
        parts = moves(self.roles)
        if self.own_gain:
            parts.append(f"{self.own_gain} gain a role of their organization")
        if self.own_lose:
            parts.append(f"{self.own_lose} lose a role of their organization")
        parts += [f"0 {plural(one.name)} left in {_places(one.emptied)}" for one in self.roles if one.emptied]
        return ", ".join(parts) or "nobody's roles change"

    @property
    def warnings(self) -> list[Warned]:
        """What is worth a look before the change is made."""
        warned = large_change(self.changed, self.total)
        for one in self.roles:
            if one.held:
                warned.append(floor_holds(one))
            if one.emptied:
                text = f"Nobody holds {one.name} any more in {_places(one.emptied)}."
                warned.append(Warned("role_without_holders", text, one.role))
        if not self.is_complete:
            text = f"Only the people of {self.counted} of {_places(self.concerned)} were evaluated."
            warned.append(Warned("not_all_counted", text))
        return [*warned, *self.person_warnings]


def set_preview(names: Mapping[str, str]) -> SetPreview:
    """Return a preview to which nothing was added; `names` are those of roles, the most important first."""
    return SetPreview(roles=[SetImpact(role, name) for role, name in names.items()])


def add_directory(preview: SetPreview, directory: Directory, impact: Impact) -> None:
    """Add what happens in a directory."""
    preview.counted += 1
    preview.total += impact.total
    preview.changed += impact.changed
    known = {one.role: one for one in preview.roles}
    for one in impact.roles:
        if one.role in known:
            _add(known[one.role], one)
        else:
            preview.own_gain += one.gain
            preview.own_lose += one.lose
    room = MAX_EXAMPLES - len(preview.examples)
    preview.examples += [SetExample(directory.id, person) for person in impact.examples[:room]]
    if impact.changed:
        preview.touched += 1
        listed = [*preview.directories, DirectoryImpact(directory, impact)]
        listed.sort(key=lambda found: (-found.impact.changed, found.directory.id))
        preview.directories = listed[:MAX_DIRECTORIES]


def _add(total: SetImpact, one: RoleImpact) -> None:
    total.before += one.before
    total.after += one.after
    total.gain += one.gain
    total.lose += one.lose
    total.held += one.held
    total.emptied += one.is_left_empty


def _places(number: int) -> str:
    return "1 directory" if number == 1 else f"{number} directories"
