"""One person named in a preview: whoever edits sees what becomes of their own access (`ui.md` §12.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from syncline.core.errors import FieldError, ValidationFailed
from syncline.core.events import user_body
from syncline.core.ids import Prefix, is_id
from syncline.core.model import Directory, DirectoryId, EnvironmentId, RoleGrant, Scope, UserRecord
from syncline.core.paging import Span
from syncline.store import product_reads
from syncline.store import roles as role_store
from syncline.store.database import Connection
from syncline.store.product_reads import ShownUser, UserFilter


@dataclass(frozen=True, slots=True)
class PersonOutcome:
    """The roles of a person before and after, floors aside."""

    directory_user_id: str
    email: str | None
    before: Sequence[str]
    after: Sequence[str]

    @property
    def gains(self) -> list[str]:
        """The roles that the person would get."""
        return [role for role in self.after if role not in self.before]

    @property
    def loses(self) -> list[str]:
        """The roles that the person would lose."""
        return [role for role in self.before if role not in self.after]


def person_named(connection: Connection, directory: Directory, given: str | None) -> str | None:
    """Return the SCIM id of somebody in a directory's product view, None if nobody is named.

    `given` is the id of a directory user, or a primary e-mail address. Raises `ValidationFailed`
    (`person_unknown`, and `person_ambiguous` for an address that several people have).
    """
    if given is None:
        return None
    return _one_of(_found(connection, directory.environment_id, [directory.scope], given))[0].id


def person_anywhere(
    connection: Connection, environment_id: str, organization_id: str | None, given: str | None
) -> ShownUser | None:
    """Return somebody of any directory of an environment, or of an organization; None if nobody is named.

    Raises as `person_named` does.
    """
    if given is None:
        return None
    scopes = None
    if organization_id is not None:
        ids = role_store.directories_of(connection, environment_id, organization_id)
        scopes = [Scope(EnvironmentId(environment_id), DirectoryId(id_)) for id_ in sorted(ids)]
    return _one_of(_found(connection, environment_id, scopes, given))


def outcome_of(directory: Directory, before: UserRecord, after: UserRecord) -> PersonOutcome:
    """Return what becomes of a person of the product view."""
    shown = user_body(directory, before)
    return PersonOutcome(shown.id, shown.email, slugs(before.roles), slugs(after.roles))


def slugs(grants: Sequence[RoleGrant] | None) -> list[str]:
    """Return the slugs of roles that somebody holds, in their order."""
    return [grant.role for grant in grants or ()]


def _one_of(found: Sequence[ShownUser]) -> ShownUser:
    if not found:
        raise ValidationFailed(
            [FieldError("person", "person_unknown")], "Nobody there has this id or address."
        )
    if len(found) > 1:
        raise ValidationFailed(
            [FieldError("person", "person_ambiguous")],
            "Several people have this address: name one by id.",
        )
    return found[0]


def _found(
    connection: Connection, environment_id: str, scopes: Sequence[Scope] | None, given: str
) -> list[ShownUser]:
    """Return up to two people in some directories, in all of the environment if None."""
    if is_id(Prefix.DIRECTORY_USER, given):
        one = product_reads.user(connection, environment_id, given)
        return [one] if one is not None and (scopes is None or one[1].scope in scopes) else []
    if "@" not in given or "\x00" in given:
        return []
    found: list[ShownUser] = []
    for scope in [None] if scopes is None else scopes:
        wanted = UserFilter(directory=scope, email=given)
        found += product_reads.users(connection, environment_id, wanted, Span(2))
    return found[:2]
