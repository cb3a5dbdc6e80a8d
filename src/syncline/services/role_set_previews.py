"""What deleting a role or another order of roles would do, in every directory that it concerns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from syncline.core.evaluation import Evaluation
from syncline.core.model import Directory
from syncline.services.evaluating import evaluated_people
from syncline.services.evaluations import Proposal, otherwise, tried_out
from syncline.services.kernel import Kernel
from syncline.services.role_checks import check_organization, refuse_if_used, required_role
from syncline.services.role_impact import Impact, ImpactCount, Warned, own_access
from syncline.services.role_order import reordered
from syncline.services.role_person import PersonOutcome, outcome_of, person_anywhere
from syncline.services.role_set_impact import SetPreview, add_directory, set_preview
from syncline.store import evaluations as evaluation_store
from syncline.store import roles as store
from syncline.store.database import Connection
from syncline.store.roles import Role

PEOPLE_AT_MOST = 200_000
"""Once so many people were evaluated, no further directory is."""

_DIRECTORIES_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of roles: what is to be tried out, and the priorities that roles get, by id."""

    environment_id: str
    organization_id: str | None
    proposal: Proposal
    priorities: Mapping[str, int]

    def names(self, connection: Connection, organization_id: str | None) -> dict[str, str]:
        """Return the names of roles that apply, by slug, in the order that they would have."""
        known = store.of(connection, self.environment_id, organization_id)
        known.sort(key=lambda role: (self.priorities.get(role.id, role.priority), role.id))
        return {role.slug: role.name for role in known}


@dataclass(frozen=True, slots=True)
class _Concerned:
    """A directory whose people would be evaluated otherwise."""

    directory: Directory
    evaluation: Evaluation | None
    names: Mapping[str, str]


class RoleSetPreviews:
    """Tries changes of an environment's or an organization's roles out; nothing is written."""

    def __init__(self, kernel: Kernel, people_at_most: int = PEOPLE_AT_MOST) -> None:
        """Whole directories are looked at, by their ids, until `people_at_most` people were."""
        self._kernel = kernel
        self._people_at_most = people_at_most

    async def of_deletion(
        self, environment_id: str, slug: str, person: str | None = None, organization_id: str | None = None
    ) -> SetPreview:
        """Return what it would do to delete a role; `person` is somebody who is looked at closely.

        Raises as `Roles.delete` does, and `ValidationFailed` for a person who is not there.
        """

        def change(connection: Connection) -> _Change:
            gone = required_role(connection, environment_id, slug, organization_id)
            refuse_if_used(connection, gone)
            left = [role for role in _own(connection, environment_id, organization_id) if role.id != gone.id]
            proposal = _proposal(left, {}, organization_id)
            return _Change(environment_id, organization_id, proposal, {})

        return await self._previewed(environment_id, organization_id, person, change)

    async def of_order(
        self,
        environment_id: str,
        slugs: Sequence[str],
        person: str | None = None,
        organization_id: str | None = None,
    ) -> SetPreview:
        """Return what another order of roles would do. Raises as `Roles.order` does, and for the person."""

        def change(connection: Connection) -> _Change:
            known = store.of(connection, environment_id, organization_id)
            moved = reordered(known, slugs, own=organization_id is not None)
            own = [role for role in known if role.organization_id == organization_id]
            proposal = _proposal(own, moved, organization_id)
            return _Change(environment_id, organization_id, proposal, moved)

        return await self._previewed(environment_id, organization_id, person, change)

    async def _previewed(
        self,
        environment_id: str,
        organization_id: str | None,
        person: str | None,
        of_change: Callable[[Connection], _Change],
    ) -> SetPreview:
        def begin(connection: Connection) -> tuple[_Change, SetPreview]:
            check_organization(connection, environment_id, organization_id)
            change = of_change(connection)
            found = set_preview(change.names(connection, organization_id))
            found.person, found.person_warnings = self._person(connection, change, person)
            return change, found

        change, found = await self._kernel.database.read(begin)
        cursor = ""
        while True:

            def work(connection: Connection, after: str = cursor) -> tuple[list[Directory], list[_Concerned]]:
                return _concerned(connection, change, after)

            seen, concerned = await self._kernel.database.read(work)
            for one in concerned:
                found.concerned += 1
                if found.total < self._people_at_most:
                    add_directory(found, one.directory, await self._impact(one))
            if len(seen) < _DIRECTORIES_AT_ONCE:
                return found
            cursor = seen[-1].id

    async def _impact(self, concerned: _Concerned) -> Impact:
        counting = ImpactCount(concerned.directory)
        async for people in tried_out(self._kernel, concerned.directory, concerned.evaluation):
            for before, after, _ in people:
                counting.add(before, after)
        rules = concerned.evaluation.roles if concerned.evaluation is not None else None
        return counting.found(concerned.names, rules.floors if rules is not None else ())

    def _person(
        self, connection: Connection, change: _Change, given: str | None
    ) -> tuple[PersonOutcome | None, Sequence[Warned]]:
        """Return what becomes of somebody, wherever they are, and what is to be said about it."""
        shown = person_anywhere(connection, change.environment_id, change.organization_id, given)
        if shown is None:
            return None, ()
        record, directory = shown
        after = record
        for _, evaluation in otherwise(connection, change.environment_id, [directory], change.proposal):
            now = self._kernel.clock()
            [(_, after)] = evaluated_people(connection, directory, evaluation, [record], now)
        outcome = outcome_of(directory, record, after)
        return outcome, own_access(outcome, change.names(connection, directory.organization_id))


def _concerned(
    connection: Connection, change: _Change, after: str
) -> tuple[list[Directory], list[_Concerned]]:
    """Return the next directories with rules, and those of them that a change concerns."""
    directories = evaluation_store.directories_after(
        connection, change.environment_id, change.organization_id, after, _DIRECTORIES_AT_ONCE
    )
    found = otherwise(connection, change.environment_id, directories, change.proposal)
    organizations = {directory.organization_id for directory, _ in found}
    names = {id_: change.names(connection, id_) for id_ in sorted(organizations)}
    return directories, [
        _Concerned(directory, evaluation, names[directory.organization_id]) for directory, evaluation in found
    ]


def _own(connection: Connection, environment_id: str, organization_id: str | None) -> list[Role]:
    known = store.of(connection, environment_id, organization_id)
    return [role for role in known if role.organization_id == organization_id]


def _proposal(roles: Sequence[Role], moved: Mapping[str, int], organization_id: str | None) -> Proposal:
    """Return the proposal of an environment's or an organization's own roles, whole."""
    placed = sorted((moved.get(role.id, role.priority), role.id, role.slug) for role in roles)
    return Proposal(roles={organization_id: [(priority, slug) for priority, _, slug in placed]})
