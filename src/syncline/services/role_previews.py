"""What role rules would do before they do it: who gains and loses which role, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from syncline.core.evaluation import Evaluation
from syncline.core.events import user_body
from syncline.core.model import Directory, UserRecord
from syncline.core.role_conflicts import Names
from syncline.core.roles import Floor
from syncline.services.evaluations import Proposal, composed, tried_out
from syncline.services.kernel import Kernel
from syncline.services.role_conflicts import ConflictCount, FoundConflicts
from syncline.services.role_person import PersonOutcome, outcome_of, person_named, slugs
from syncline.services.role_rule_shapes import RuleSetInput, checked_body, groups_named, rules_of
from syncline.services.role_rules import REMEMBERED, known_to, refuse_stale
from syncline.services.tokens import present
from syncline.store import role_rules as store
from syncline.store import roles as role_store
from syncline.store.database import Connection

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


@dataclass(slots=True)
class Preview:
    """The whole effect on a directory, floors aside except for what they would keep.

    `person` is who was named in the call, None for nobody.
    """

    total: int = 0
    changed: int = 0
    roles: list[RoleImpact] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    conflicts: FoundConflicts = field(default_factory=FoundConflicts)
    person: PersonOutcome | None = None

    @property
    def summary(self) -> str:
        """The effect in words: "12 gain Admin, 340 lose Editor, 0 Admins left"."""
        parts = [f"{one.gain} gain {one.name}" for one in self.roles if one.gain]
        parts += [f"{one.lose} lose {one.name}" for one in self.roles if one.lose]
        parts += [f"0 {_plural(one.name)} left" for one in self.roles if _is_left_empty(one)]
        return ", ".join(parts) or "nobody's roles change"


class RolePreviews:
    """Tries role rules out on the people of a directory; nothing is written."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def of(
        self, environment_id: str, directory_id: str, given: RuleSetInput, person: str | None = None
    ) -> Preview:
        """Return what rules would do; `person` is somebody who is looked at closely, by id or address.

        Raises as `RoleRuleSets.replace` does, and `ValidationFailed` for a person who is not there.
        """

        def work(connection: Connection) -> _Proposed:
            directory = present(connection, environment_id, directory_id)
            recent = store.versions(connection, directory.scope, REMEMBERED)
            refuse_stale(given, recent[0].version if recent else 0)
            known = known_to(connection, directory, given, recent)
            body = checked_body(given, known, self._kernel.ids.new)
            applying = role_store.of(connection, environment_id, directory.organization_id)
            return _Proposed(
                directory=directory,
                evaluation=composed(connection, directory, Proposal(rules=body)),
                names=Names(
                    store.group_names(connection, directory.scope, groups_named(rules_of(body))),
                    {role.slug: role.name for role in applying},
                ),
                person=person_named(connection, directory, person),
            )

        return await self._counted(await self._kernel.database.read(work))

    async def _counted(self, proposed: _Proposed) -> Preview:
        directory, evaluation = proposed.directory, proposed.evaluation
        counting = _Counting(directory)
        rules = evaluation.roles if evaluation is not None else None
        conflicts = ConflictCount(directory, rules) if rules is not None else None
        groups = conflicts is not None and conflicts.needs_groups
        named = None
        async for people in tried_out(self._kernel, directory, evaluation, groups=groups):
            for tried in people:
                counting.add(tried.before, tried.after)
                if conflicts is not None:
                    conflicts.add(tried)
                if tried.before.id == proposed.person:
                    named = outcome_of(directory, tried.before, tried.after)
        found = counting.preview(proposed.names.roles, rules.floors if rules is not None else ())
        if conflicts is not None:
            found.conflicts = conflicts.found(proposed.names)
        if named is not None:
            found.person = named
            found.warnings += _own_access(named, proposed.names.roles)
        return found


@dataclass(frozen=True, slots=True)
class _Proposed:
    """Rules to try out; `person` is the SCIM id of who is looked at closely."""

    directory: Directory
    evaluation: Evaluation | None
    names: Names
    person: str | None


class _Counting:
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

    def preview(self, names: Mapping[str, str], floors: Iterable[Floor]) -> Preview:
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
        found = Preview(self._total, self._changed, roles, self._examples)
        found.warnings = _warnings(found)
        return found


def _warnings(found: Preview) -> list[Warned]:
    warnings = []
    if found.changed > found.total * LARGE_SHARE:
        share = round(found.changed * 100 / found.total)
        text = f"The roles of {found.changed} of {found.total} people ({share} %) change."
        warnings.append(Warned("large_change", text))
    for one in found.roles:
        if one.held:
            people = "1 person keeps" if one.held == 1 else f"{one.held} people keep"
            text = f"A floor holds the change: {people} {one.name} until somebody decides."
            warnings.append(Warned("floor_holds", text, one.role))
        elif _is_left_empty(one):
            warnings.append(Warned("role_without_holders", f"Nobody holds {one.name} any more.", one.role))
    return warnings


def _own_access(named: PersonOutcome, names: Mapping[str, str]) -> list[Warned]:
    """Warn where the person who is looked at loses something."""
    if not named.loses:
        return []
    lost, left = (", ".join(names.get(role, role) for role in roles) for roles in (named.loses, named.after))
    who = named.email or named.directory_user_id
    text = f"{who} loses {lost} and has {left or 'no role'} from then on."
    return [Warned("person_loses_access", text, named.loses[0])]


def _is_left_empty(one: RoleImpact) -> bool:
    return one.before > 0 and one.after == 0 and one.held == 0


def _plural(name: str) -> str:
    return name if name.endswith("s") else f"{name}s"
