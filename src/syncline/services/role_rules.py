"""Role rules of directories: read, replaced as a whole, taken back to an earlier version, or out of use."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from syncline.core.errors import Conflict, FieldError, NotFound, ValidationFailed
from syncline.core.model import Cause, Directory
from syncline.core.roles import RoleRule
from syncline.obs.logging import get_logger
from syncline.services.evaluations import reissue
from syncline.services.kernel import Kernel
from syncline.services.role_rule_shapes import (
    STANDARD_KEYS,
    Known,
    RuleSetInput,
    checked_body,
    floors_of,
    groups_named,
    rules_of,
)
from syncline.services.tokens import locked, present
from syncline.store import evaluations as evaluation_store
from syncline.store import held_changes
from syncline.store import role_rules as store
from syncline.store import roles as role_store
from syncline.store.database import Connection
from syncline.store.role_rules import RuleVersion

_logger = get_logger(__name__)
_SHOWN = 100
REMEMBERED = 20
"""So many versions back a rule is known by its id."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A version of a directory's rules, and what of the things they name is there.

    `version` is None while there never were rules. `groups` are names by SCIM id, `roles` names by slug.
    """

    directory_id: str
    version: RuleVersion | None
    groups: Mapping[str, str]
    roles: Mapping[str, str]
    attributes: Collection[str]

    @property
    def body(self) -> Mapping[str, Any]:
        """The stored body; empty if no rules are in use."""
        return self.version.body if self.version is not None else {}

    @property
    def rules(self) -> list[RoleRule]:
        """The rules in order."""
        return rules_of(self.body)


class RoleRuleSets:
    """The role rules of directories; every change is a version of its own."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def get(self, environment_id: str, directory_id: str) -> RuleSet:
        """Return the rules in force. Raises `NotFound` for the directory."""

        def work(connection: Connection) -> RuleSet:
            directory = present(connection, environment_id, directory_id)
            return rule_set(connection, directory, store.newest(connection, directory.scope))

        return await self._kernel.database.read(work)

    async def versions(self, environment_id: str, directory_id: str) -> list[RuleSet]:
        """Return the newest hundred versions, the newest first. Raises `NotFound` for the directory."""

        def work(connection: Connection) -> list[RuleSet]:
            directory = present(connection, environment_id, directory_id)
            found = store.versions(connection, directory.scope, _SHOWN)
            return [rule_set(connection, directory, one) for one in found]

        return await self._kernel.database.read(work)

    async def replace(
        self, environment_id: str, directory_id: str, given: RuleSetInput, cause: Cause
    ) -> RuleSet:
        """Put new rules in force; its people are evaluated again by a job.

        The same rules as before are no change. Raises `NotFound`, `ValidationFailed`, and `Conflict`
        (`role_rules_changed`) if the version that the caller has seen is not the one in force.
        """

        def work(connection: Connection) -> RuleSet:
            evaluation_store.lock(connection, environment_id)
            directory = locked(connection, environment_id, directory_id)
            recent = store.versions(connection, directory.scope, REMEMBERED)
            refuse_stale(given, recent[0].version if recent else 0)
            known = known_to(connection, directory, given, recent)
            body = checked_body(given, known, self._kernel.ids.new)
            return self._put(connection, directory, recent[0] if recent else None, body, cause)

        return await self._kernel.commit(environment_id, work)

    async def restore(self, environment_id: str, directory_id: str, version: str, cause: Cause) -> RuleSet:
        """Put an earlier version in force again, as a new one. Rules whose group or role is gone come along.

        Raises `NotFound`, also for the version, and `ValidationFailed` if its default role is gone or a floor
        names a role that is.
        """

        def work(connection: Connection) -> RuleSet:
            evaluation_store.lock(connection, environment_id)
            directory = locked(connection, environment_id, directory_id)
            number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
            found = store.version(connection, directory.scope, number) if number else None
            if found is None:
                raise NotFound("Version", version)
            if found.body:
                _check_roles(found.body, _roles(connection, directory))
            before = store.newest(connection, directory.scope)
            return self._put(connection, directory, before, found.body, cause)

        return await self._kernel.commit(environment_id, work)

    async def clear(self, environment_id: str, directory_id: str, cause: Cause) -> None:
        """Take the rules out of use: people of the directory show no roles. Raises `NotFound`."""

        def work(connection: Connection) -> None:
            evaluation_store.lock(connection, environment_id)
            directory = locked(connection, environment_id, directory_id)
            before = store.newest(connection, directory.scope)
            self._put(connection, directory, before, {}, cause)

        await self._kernel.commit(environment_id, work)

    def _put(
        self,
        connection: Connection,
        directory: Directory,
        before: RuleVersion | None,
        body: Mapping[str, Any],
        cause: Cause,
    ) -> RuleSet:
        if (before.body if before is not None else {}) == body:
            return rule_set(connection, directory, before)
        now = self._kernel.clock()
        number = before.version + 1 if before is not None else 1
        added = store.add(connection, directory.scope, number, body, cause, now)
        kept = {floor.role for floor in floors_of(body)}
        held_changes.release_all_but(connection, directory.scope, kept, now)
        reissue(self._kernel, connection, directory.environment_id, cause, [directory.id])
        _logger.info("role_rules.changed", directory_id=directory.id, version=number, cause=cause.id)
        return rule_set(connection, directory, added)


def rule_set(connection: Connection, directory: Directory, version: RuleVersion | None) -> RuleSet:
    """Return a version with what is known of what it names."""
    rules = rules_of(version.body) if version is not None else []
    return RuleSet(
        directory_id=directory.id,
        version=version,
        groups=store.group_names(connection, directory.scope, groups_named(rules)),
        roles=_roles(connection, directory),
        attributes=_attributes(connection, directory),
    )


def known_to(
    connection: Connection, directory: Directory, given: RuleSetInput, recent: Collection[RuleVersion]
) -> Known:
    """Return what rules of a directory may name; `recent` are its versions, newest first."""
    rules = _by_id(recent)
    if any(rule.id and rule.id not in rules for rule in given.rules):
        # Rules of a version of long ago, which is listed and may be tried out before it is restored.
        rules = _by_id(store.versions(connection, directory.scope, _SHOWN))
    return Known(
        roles=_roles(connection, directory),
        groups=store.group_names(connection, directory.scope, groups_named(given.rules)),
        attributes=_attributes(connection, directory),
        rules=rules,
    )


def _by_id(versions: Collection[RuleVersion]) -> dict[str, RoleRule]:
    """Return the rules of versions, the newest first, each as it was last."""
    rules: dict[str, RoleRule] = {}
    for version in versions:
        for rule in rules_of(version.body):
            rules.setdefault(rule.id, rule)
    return rules


def refuse_stale(given: RuleSetInput, version: int) -> None:
    """Raise `Conflict` if the caller has seen another version than the one in force."""
    if given.version is not None and given.version != version:
        raise Conflict(f"The rules in force are version {version}.", code="role_rules_changed")


def _roles(connection: Connection, directory: Directory) -> dict[str, str]:
    applying = role_store.of(connection, directory.environment_id, directory.organization_id)
    return {role.slug: role.name for role in applying}


def _attributes(connection: Connection, directory: Directory) -> set[str]:
    return store.attribute_keys(connection, directory.environment_id) | STANDARD_KEYS


def _check_roles(body: Mapping[str, Any], known: Collection[str]) -> None:
    wrong = []
    if body["default_role"] not in known:
        wrong.append(FieldError("default_role", "default_role_unknown"))
    for number, floor in enumerate(floors_of(body)):
        if floor.role not in known:
            wrong.append(FieldError(f"floors[{number}].role", "role_unknown"))
    if wrong:
        raise ValidationFailed(wrong)
