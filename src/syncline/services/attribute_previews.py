"""What a change of attributes would do to a directory's people, before anybody makes it.

Everybody is evaluated as the job would do it, some at a time; what is kept are counts and a few examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from syncline.core.attribute_definitions import AttributeInput, DefinedAttribute, define, redefine
from syncline.core.attribute_paths import is_blank
from syncline.core.attribute_sources import Problems
from syncline.core.attributes import attribute_changes
from syncline.core.evaluation import Evaluation
from syncline.core.json import Json
from syncline.core.model import Directory, UserRecord
from syncline.services.attribute_maps import definitions_of, left_out, map_version, read_own
from syncline.services.evaluations import Proposal, composed, tried_out
from syncline.services.kernel import Kernel
from syncline.services.role_person import PersonOutcome, outcome_of, person_named, slugs
from syncline.services.tokens import present
from syncline.store.database import Connection

MAX_EXAMPLES = 20


@dataclass(slots=True)
class Counts:
    """How many people have another value, have one for the first time, or have none any more."""

    changed: int = 0
    filled: int = 0
    emptied: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """One value of one person, by directory user id, before and after."""

    directory_user_id: str
    key: str
    before: Json
    after: Json


@dataclass(slots=True)
class Preview:
    """What would happen; `changed` people get a `dsync.user.updated` each.

    `losing` counts people who lose a value, `lost` are examples of it. `roles` counts people whose roles come
    out differently because their attributes do, floors aside. `person` is who was named, None for nobody.
    `left_out` are attributes that a map has sources for and the environment does not define.
    """

    total: int = 0
    changed: int = 0
    roles: int = 0
    attributes: dict[str, Counts] = field(default_factory=dict)
    examples: list[Difference] = field(default_factory=list)
    losing: int = 0
    lost: list[Difference] = field(default_factory=list)
    person: PersonOutcome | None = None
    left_out: Sequence[str] = ()

    def add(self, before: UserRecord, after: UserRecord) -> None:
        """Count one person."""
        self.total += 1
        changes = attribute_changes(before, after)
        has_other_roles = slugs(before.roles) != slugs(after.roles)
        self.roles += has_other_roles
        self.changed += bool(changes) or has_other_roles
        is_losing = False
        for key, (old, new) in changes.items():
            counts = self.attributes.setdefault(key, Counts())
            counts.changed += 1
            counts.filled += is_blank(old)
            counts.emptied += is_blank(new)
            difference = Difference(str(before.directory_user_id), key, old, new)
            if len(self.examples) < MAX_EXAMPLES:
                self.examples.append(difference)
            if is_blank(new):
                is_losing = True
                if len(self.lost) < MAX_EXAMPLES:
                    self.lost.append(difference)
        self.losing += is_losing


class AttributePreviews:
    """Tries changes of definitions and maps out."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def preview(
        self,
        environment_id: str,
        directory_id: str,
        *,
        sources: Json = None,
        definitions: Mapping[str, AttributeInput | None] | None = None,
        person: str | None = None,
    ) -> Preview:
        """Return what a change would do to the people of a directory.

        `sources` are the directory's own, whole, None for those there are. `definitions` are attributes of
        the environment by key: what would be said about them, None for one that would be deleted. `person`
        is somebody whose roles are looked at, by id or address. Raises `NotFound` and `ValidationFailed`.
        """

        def work(connection: Connection) -> tuple[Directory, Evaluation | None, str | None]:
            directory = present(connection, environment_id, directory_id)
            known = definitions_of(connection, environment_id)
            problems = Problems()
            proposed = _proposed(definitions or {}, known, problems)
            left = {key: one for key, one in (known | proposed).items() if one is not None}
            own = None if sources is None else read_own(sources, left, problems)
            problems.refuse()
            bodies = {key: None if one is None else one.body() for key, one in proposed.items()}
            named = person_named(connection, directory, person)
            return directory, composed(connection, directory, Proposal(bodies, own)), named

        directory, evaluation, named = await self._kernel.database.read(work)
        return await self._try(directory, evaluation, Preview(), named)

    async def preview_version(
        self, environment_id: str, directory_id: str, version: str, person: str | None = None
    ) -> Preview:
        """Return what restoring a version of a directory's own sources would do to its people.

        As with restoring, sources of attributes that are gone mean nothing; `left_out` names these. `person`
        is somebody whose roles are looked at. Raises `NotFound`, and `ValidationFailed` for the person.
        """

        def work(connection: Connection) -> tuple[Directory, Evaluation | None, Preview, str | None]:
            directory = present(connection, environment_id, directory_id)
            found = map_version(connection, directory, version)
            own = left_out(found.sources, definitions_of(connection, environment_id))
            proposal = Proposal(sources=found.sources)
            named = person_named(connection, directory, person)
            return directory, composed(connection, directory, proposal), Preview(left_out=own), named

        return await self._try(*await self._kernel.database.read(work))

    async def _try(
        self,
        directory: Directory,
        evaluation: Evaluation | None,
        found: Preview,
        named: str | None,
    ) -> Preview:
        async for people in tried_out(self._kernel, directory, evaluation):
            for before, after, _ in people:
                found.add(before, after)
                if before.id == named:
                    found.person = outcome_of(directory, before, after)
        return found


def _proposed(
    given: Mapping[str, AttributeInput | None], known: Mapping[str, DefinedAttribute], problems: Problems
) -> dict[str, DefinedAttribute | None]:
    proposed: dict[str, DefinedAttribute | None] = {}
    for key, wanted in given.items():
        name = f"definitions.{key[:80]}"
        if wanted is None:
            if key not in known:
                problems.unknown(name, "The environment has no such attribute.")
            proposed[key] = None
        elif key in known:
            proposed[key] = redefine(known[key], wanted, problems, f"{name}.")
        else:
            proposed[key] = define(key, wanted, problems, f"{name}.")
    return proposed
