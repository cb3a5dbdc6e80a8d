"""Why a person is as they are, as one answer: attributes, roles and memberships with the events that told."""

from __future__ import annotations

from syncline.core import wire
from syncline.core.errors import NotFound
from syncline.core.ids import Prefix, is_id
from syncline.core.model import Directory, UserRecord
from syncline.services.announcements import Reach, announcements
from syncline.services.explain_attributes import attribute_layers, explained_attributes, explained_state
from syncline.services.explain_memberships import explained_memberships, shown_groups
from syncline.services.explain_roles import absent_roles, explained_roles
from syncline.services.history import truncated_before
from syncline.services.kernel import Kernel
from syncline.store import product_reads
from syncline.store.database import Connection

_KIND = "Directory user"


class Explain:
    """Explanations of people in the product view."""

    def __init__(self, kernel: Kernel, reach: Reach | None = None) -> None:
        """`reach` is how far the log is searched for the events that told."""
        self._kernel = kernel
        self._reach = reach or Reach()

    async def of_user(self, environment_id: str, directory_user_id: str) -> wire.Explanation:
        """Return why a person is as they are now. Raises `NotFound`."""

        def work(connection: Connection) -> wire.Explanation:
            found = None
            if is_id(Prefix.DIRECTORY_USER, directory_user_id):
                found = product_reads.user(connection, environment_id, directory_user_id)
            if found is None:
                raise NotFound(_KIND, directory_user_id)
            return self._explanation(connection, *found)

        return await self._kernel.database.snapshot(work)

    def _explanation(
        self, connection: Connection, person: UserRecord, directory: Directory
    ) -> wire.Explanation:
        environment_id, id_ = directory.environment_id, str(person.directory_user_id)
        evaluation = self._kernel.evaluations.of(connection, directory)
        rules = None if evaluation is None else evaluation.roles
        layers = attribute_layers(connection, directory)
        groups = shown_groups(connection, person, directory)
        told = announcements(
            connection,
            environment_id,
            id_,
            fields=["state", *(["roles"] if person.roles else []), *(layer.field for layer in layers)],
            groups=[group.directory_group_id for group in groups],
            reach=self._reach,
        )
        return wire.Explanation(
            id=id_,
            directory_id=directory.id,
            attributes=[
                explained_state(person, told.fields.get("state")),
                *explained_attributes(connection, person, directory, layers, told.fields),
            ],
            roles=explained_roles(connection, person, directory, rules, told.fields.get("roles")),
            absent_roles=absent_roles(connection, person, directory, rules, groups),
            memberships=explained_memberships(connection, person, directory, told.memberships),
            truncated_before=truncated_before(connection, environment_id, id_),
            unsearched_before=told.unsearched_before,
        )
