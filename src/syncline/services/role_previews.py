"""What other role rules of a directory would do before they do it, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from syncline.core.evaluation import Evaluation
from syncline.core.model import Directory
from syncline.core.role_conflicts import Names
from syncline.core.roles import RoleRule
from syncline.services.evaluations import Proposal, composed, tried_out
from syncline.services.kernel import Kernel
from syncline.services.role_conflicts import ConflictCount, FoundConflicts
from syncline.services.role_impact import Impact, ImpactCount, Warned, own_access
from syncline.services.role_person import PersonOutcome, outcome_of, person_named
from syncline.services.role_rule_shapes import RuleSetInput, checked_body, groups_named, rules_of
from syncline.services.role_rules import REMEMBERED, known_to, refuse_stale
from syncline.services.tokens import present
from syncline.store import role_rules as store
from syncline.store import roles as role_store
from syncline.store.database import Connection


@dataclass(frozen=True, slots=True)
class Preview:
    """The whole effect on a directory, whom several rules match, and what becomes of who was named."""

    impact: Impact
    warnings: Sequence[Warned]
    conflicts: FoundConflicts = field(default_factory=FoundConflicts)
    person: PersonOutcome | None = None


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
            return _proposed(connection, directory, body, rules_of(body), person)

        return await self._counted(await self._kernel.database.read(work))

    async def of_none(self, environment_id: str, directory_id: str, person: str | None = None) -> Preview:
        """Return what it would do to take the rules out of use. Raises as `of` does."""

        def work(connection: Connection) -> _Proposed:
            directory = present(connection, environment_id, directory_id)
            return _proposed(connection, directory, {}, (), person)

        return await self._counted(await self._kernel.database.read(work))

    async def _counted(self, proposed: _Proposed) -> Preview:
        directory, evaluation = proposed.directory, proposed.evaluation
        counting = ImpactCount(directory)
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
        names = proposed.names.roles
        impact = counting.found(names, rules.floors if rules is not None else ())
        return Preview(
            impact=impact,
            warnings=[*impact.warnings, *(own_access(named, names) if named is not None else ())],
            conflicts=FoundConflicts() if conflicts is None else conflicts.found(proposed.names),
            person=named,
        )


@dataclass(frozen=True, slots=True)
class _Proposed:
    """Rules to try out; `person` is the SCIM id of who is looked at closely."""

    directory: Directory
    evaluation: Evaluation | None
    names: Names
    person: str | None


def _proposed(
    connection: Connection,
    directory: Directory,
    body: Mapping[str, Any],
    rules: Sequence[RoleRule],
    person: str | None,
) -> _Proposed:
    applying = role_store.of(connection, directory.environment_id, directory.organization_id)
    return _Proposed(
        directory=directory,
        evaluation=composed(connection, directory, Proposal(rules=body)),
        names=Names(
            store.group_names(connection, directory.scope, groups_named(rules)),
            {role.slug: role.name for role in applying},
        ),
        person=person_named(connection, directory, person),
    )
