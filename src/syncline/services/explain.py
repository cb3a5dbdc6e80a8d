"""Why a person is as they are: attributes, roles and memberships with sources, and the events that told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from syncline.core import explain, history, wire
from syncline.core.attribute_map import (
    AttributeKind,
    AttributeMap,
    AttributeRule,
    AttributeType,
    Evidence,
    Source,
    evidence,
    read_source,
)
from syncline.core.attribute_sources import Level, layered
from syncline.core.attributes import manager_of, product_attributes, same_value
from syncline.core.errors import NotFound
from syncline.core.explain import RoleQuestion
from syncline.core.ids import Prefix, is_id, make_id
from syncline.core.json import Json
from syncline.core.model import Directory, GroupRecord, Membership, UserRecord
from syncline.core.nesting import path
from syncline.core.paging import Span
from syncline.core.predefined import STANDARD
from syncline.core.roles import HeldGroup, RoleRules
from syncline.core.scim.resource import group_label
from syncline.core.settle import manager_email
from syncline.core.working_set import Needs, WorkingSet
from syncline.providers.registry import profile_of
from syncline.services.attribute_maps import definitions_of
from syncline.services.history import actor_of, cause_of, truncated_before
from syncline.services.kernel import Kernel
from syncline.services.role_grants import ExplainedGrant, explained
from syncline.services.role_rule_shapes import groups_named
from syncline.store import attributes, nested_groups, product_reads, role_rules
from syncline.store import history as store
from syncline.store import roles as role_store
from syncline.store.database import Connection
from syncline.store.history import About, Entry
from syncline.store.working_loads import load_needs

_KIND = "Directory user"
# So many events of a person are looked at for those that told what is shown now.
_EVENTS_AT_ONCE, _EVENTS_AT_MOST = 200, 2_000
_GROUPS_AT_MOST = 1_000
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_ALWAYS = (
    AttributeRule("idp_id", AttributeKind.STANDARD, AttributeType.STRING, sources=(Source("$idp_id"),)),
    AttributeRule("emails", AttributeKind.STANDARD, AttributeType.LIST, sources=(Source("$emails"),)),
)


class Explain:
    """Explanations of people in the product view."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def of_user(self, environment_id: str, directory_user_id: str) -> wire.Explanation:
        """Return why a person is as they are now. Raises `NotFound`."""

        def work(connection: Connection) -> wire.Explanation:
            found = None
            if is_id(Prefix.DIRECTORY_USER, directory_user_id):
                found = product_reads.user(connection, environment_id, directory_user_id)
            if found is None:
                raise NotFound(_KIND, directory_user_id)
            person, directory = found
            return _Explaining(self._kernel, connection, person, directory).explanation()

        return await self._kernel.database.snapshot(work)


@dataclass(frozen=True, slots=True)
class _Layered:
    """An attribute with the sources in force, and the level that they are of."""

    rule: AttributeRule
    level: Level


class _Explaining:
    """One person being explained."""

    def __init__(
        self, kernel: Kernel, connection: Connection, person: UserRecord, directory: Directory
    ) -> None:
        self._kernel = kernel
        self._connection = connection
        self._person = person
        self._directory = directory
        self._id = str(person.directory_user_id)
        self._environment = directory.environment_id

    def explanation(self) -> wire.Explanation:
        layers = self._layers()
        told = self._told(layer.rule.key for layer in layers)
        return wire.Explanation(
            id=self._id,
            directory_id=self._directory.id,
            attributes=[self._state(told), *self._attributes(layers, told)],
            roles=self._roles(told),
            absent_roles=self._absent_roles(),
            memberships=self._memberships(),
            truncated_before=truncated_before(self._connection, self._environment, self._id),
        )

    def _layers(self) -> list[_Layered]:
        """Return every attribute that the directory shows, the standard ones first."""
        directory = self._directory
        defined = definitions_of(self._connection, self._environment)
        newest = attributes.newest_map(self._connection, directory.scope)
        own = newest.sources if newest is not None else {}
        provided = profile_of(directory.type).attribute_sources
        rules = [
            AttributeRule(key, AttributeKind.STANDARD, AttributeType(STANDARD[key].type))
            for key in STANDARD
            if key not in defined or defined[key].kind is not AttributeKind.STANDARD
        ]
        rules += [one.rule() for one in defined.values()]
        found = [_Layered(rule, Level.BUILT_IN) for rule in _ALWAYS]
        for rule in sorted(rules, key=lambda one: (one.kind is not AttributeKind.STANDARD, one.key)):
            level, sources = layered(rule, own.get(rule.key, ()), provided.get(rule.key, ()))
            chosen = () if level is Level.BUILT_IN else tuple(map(read_source, sources))
            found.append(
                _Layered(AttributeRule(rule.key, rule.kind, rule.type, rule.required, chosen), level)
            )
        return found

    def _attributes(
        self, layers: Sequence[_Layered], told: Mapping[str, wire.Announcement]
    ) -> list[wire.ExplainedAttribute]:
        person = self._person
        attributes = AttributeMap(tuple(layer.rule for layer in layers))
        found = evidence(
            attributes,
            person.document,
            person.raw,
            resource_id=person.id,
            manager_email=manager_email(person, self._manager(), attributes),
        )
        return [self._attribute(layer, why, told) for layer, why in zip(layers, found, strict=True)]

    def _attribute(
        self, layer: _Layered, why: Evidence, told: Mapping[str, wire.Announcement]
    ) -> wire.ExplainedAttribute:
        rule = layer.rule
        is_standard = rule.kind is AttributeKind.STANDARD
        value = self._shown(rule)
        announced = told.get(rule.key if is_standard else f"{history.CUSTOM}.{rule.key}")
        # A standard attribute without sources of its own is selected by the built-in rule, not by a map.
        is_mapped = not is_standard or layer.level is not Level.BUILT_IN
        pending = is_mapped and not same_value(value, why.value)
        source = why.source
        return wire.ExplainedAttribute(
            key=rule.key,
            kind=rule.kind.value,
            value=value,
            level=layer.level.value,
            source=None
            if source is None or why.number is None
            else wire.ExplainedSource(
                number=why.number + 1,
                path=source.path,
                value=source.value,
                transforms=[step.name for step in source.transforms],
            ),
            raw=why.found,
            pending=pending,
            announced=announced,
            sentence=explain.attribute_text(why, layer.level, value, announced, pending=pending),
        )

    def _shown(self, rule: AttributeRule) -> Json:
        mapped = self._person.mapped
        if rule.kind is not AttributeKind.STANDARD:
            return None if mapped is None else mapped.custom.get(rule.key)
        standard = product_attributes(self._person.document, None, self._person.id)
        return (standard if mapped is None else standard | dict(mapped.standard)).get(rule.key)

    def _state(self, told: Mapping[str, wire.Announcement]) -> wire.ExplainedAttribute:
        person = self._person
        state = "active" if person.active else "inactive"
        raw = person.raw if person.raw is not None else person.document
        sent = next((value for key, value in raw.items() if key.lower() == "active"), None)
        announced = told.get("state")
        return wire.ExplainedAttribute(
            key="state",
            kind="standard",
            value=state,
            level="built_in",
            source=wire.ExplainedSource(number=1, path="active", value=None, transforms=[]),
            raw=sent,
            pending=False,
            announced=announced,
            sentence=explain.state_text(state, sent, announced),
        )

    def _manager(self) -> UserRecord | None:
        named = manager_of(self._person.document)
        if named is None:
            return None
        rows = WorkingSet(self._directory)
        load_needs(self._connection, rows, Needs(managers={named}))
        return rows.managers.get(named)

    def _roles(self, told: Mapping[str, wire.Announcement]) -> list[wire.ExplainedRole]:
        rules = self._rules()
        numbers = {rule.id: number for number, rule in enumerate(rules.rules if rules else (), 1)}
        grants = explained(self._connection, self._directory, self._person.roles or ())
        return [_role(one, numbers, told.get("roles")) for one in grants]

    def _absent_roles(self) -> list[wire.AbsentRole]:
        rules = self._rules()
        if rules is None:
            return []
        person, directory = self._person, self._directory
        held = [grant.role for grant in person.roles or ()]
        applying = role_store.of(self._connection, directory.environment_id, directory.organization_id)
        names = role_rules.group_names(self._connection, directory.scope, groups_named(rules.rules))
        groups = [HeldGroup(group.id, group_label(group.document)) for group in self._groups_that_count()]
        asked = RoleQuestion(
            rules=rules,
            groups=groups,
            attributes=product_attributes(person.document, person.mapped, person.id),
            group_names=names,
            role_names={role.slug: role.name for role in applying},
        )
        return [explain.absent_role(asked, role, held) for role in rules.priority if role not in held]

    def _rules(self) -> RoleRules | None:
        evaluation = self._kernel.evaluations.of(self._connection, self._directory)
        return None if evaluation is None else evaluation.roles

    def _groups_that_count(self) -> list[GroupRecord]:
        shown = [(self._person, self._directory)]
        return product_reads.groups_of(self._connection, self._environment, shown)[self._person.id]

    def _memberships(self) -> list[wire.ExplainedMembership]:
        scope, connection = self._directory.scope, self._connection
        held = product_reads.groups(
            connection,
            self._environment,
            Span(_GROUPS_AT_MOST, descending=False),
            member=(scope, self._person.id),
            effective=True,
        )
        names = {group.id: group_label(group.document) for group, _ in held}
        direct = nested_groups.direct_groups(connection, scope, [self._person.id])[self._person.id]
        graph = nested_groups.edges_around(connection, scope, self._person.id)
        joined = self._joined()
        effective = self._directory.membership is Membership.EFFECTIVE
        return [
            _membership(
                group,
                [wire.MembershipStep(id=_group_id(id_), name=names[id_]) for id_ in way if id_ in names],
                direct=group.id in direct,
                shown=effective or group.id in direct,
                announced=joined.get(group.directory_group_id),
            )
            for group, _ in held
            for way in (path(direct, group.id, graph),)
        ]

    def _told(self, keys: Iterable[str]) -> dict[str, wire.Announcement]:
        """Return the event that told the value that each field has now, as far as the log holds it."""
        found: dict[str, wire.Announcement] = {}
        wanted = {"state", "roles", *keys}

        def take(event: Entry) -> bool:
            if event.told.type == history.USER_CREATED:
                announced = self._announced(event)
                for key in wanted:
                    for name in (key, f"{history.CUSTOM}.{key}"):
                        found.setdefault(name, announced)
                return True
            changes = history.changes(event.told.type, _decode(event.told.body), of_user=True)
            for change in changes:
                found.setdefault(change.field, self._announced(event))
            return False

        self._walk(history.OF_PEOPLE, take)
        return found

    def _joined(self) -> dict[str, wire.Announcement]:
        """Return the event that told each membership that the person has now."""
        found: dict[str, wire.Announcement] = {}

        def take(event: Entry) -> bool:
            if event.told.group_id is not None and event.told.type == history.JOINED:
                found.setdefault(event.told.group_id, self._announced(event))
            return False

        self._walk(history.OF_MEMBERSHIPS, take)
        return found

    def _walk(self, types: tuple[str, ...], take: Callable[[Entry], bool]) -> None:
        """Show the person's events to `take`, the newest first, until it has seen enough."""
        about = About(self._id, "user_id", types)
        below: str | None = None
        for _ in range(0, _EVENTS_AT_MOST, _EVENTS_AT_ONCE):
            events = store.entries(
                self._connection,
                self._environment,
                about,
                Span(_EVENTS_AT_ONCE, below=below),
                _EVENTS_AT_ONCE,
            )
            if any(take(event) for event in events) or len(events) < _EVENTS_AT_ONCE:
                return
            below = events[-1].event_id

    def _announced(self, event: Entry) -> wire.Announcement:
        told = event.told
        rules: Mapping[str, str] = {}
        if told.actor is not None:
            rules = store.rule_causes(self._connection, self._environment, [told.cause])
        return wire.Announcement(
            event_id=event.event_id,
            event=told.type,
            actor=actor_of(told.actor, told.cause, rules),
            cause=cause_of(told.cause),
            recorded_at=wire.iso(told.recorded_at),
        )


def _role(
    one: ExplainedGrant, numbers: Mapping[str, int], announced: wire.Announcement | None
) -> wire.ExplainedRole:
    grant = one.grant
    rule = group = None
    if grant.rule_id is not None:
        rule = wire.ExplainedRule(id=grant.rule_id, number=numbers.get(grant.rule_id), text=one.rule_text)
    if grant.group_id is not None:
        group = wire.ExplainedGroup(id=_group_id(grant.group_id), name=one.group_name)
    found = wire.ExplainedRole(
        role=grant.role,
        name=one.role_name,
        rule=rule,
        group=group,
        since=wire.iso(grant.since),
        held=grant.held,
        announced=announced,
        sentence="",
    )
    return msgspec.structs.replace(found, sentence=explain.role_text(found))


def _membership(
    group: GroupRecord,
    way: Sequence[wire.MembershipStep],
    *,
    direct: bool,
    shown: bool,
    announced: wire.Announcement | None,
) -> wire.ExplainedMembership:
    name = group_label(group.document)
    return wire.ExplainedMembership(
        id=group.directory_group_id,
        name=name,
        direct=direct,
        shown=shown,
        path=way,
        announced=announced,
        sentence=explain.membership_text(name, way, announced),
    )


def _group_id(scim_id: str) -> str:
    return make_id(Prefix.DIRECTORY_GROUP, scim_id)
