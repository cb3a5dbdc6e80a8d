"""Why a person's attributes and state have their values: the level, the source, and what was found there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
from syncline.core.json import Json
from syncline.core.model import Directory, UserRecord
from syncline.core.predefined import STANDARD
from syncline.core.settle import manager_email
from syncline.core.working_set import Needs, WorkingSet
from syncline.providers.registry import profile_of
from syncline.services.attribute_maps import definitions_of
from syncline.store import attributes
from syncline.store.database import Connection
from syncline.store.working_loads import load_needs

_ALWAYS = (
    AttributeRule("idp_id", AttributeKind.STANDARD, AttributeType.STRING, sources=(Source("$idp_id"),)),
    AttributeRule("emails", AttributeKind.STANDARD, AttributeType.LIST, sources=(Source("$emails"),)),
)


@dataclass(frozen=True, slots=True)
class AttributeLayer:
    """An attribute with the sources in force, and the level that they are of."""

    rule: AttributeRule
    level: Level

    @property
    def field(self) -> str:
        """The name of the attribute in histories."""
        rule = self.rule
        return rule.key if rule.kind is AttributeKind.STANDARD else f"{history.CUSTOM}.{rule.key}"


def attribute_layers(connection: Connection, directory: Directory) -> list[AttributeLayer]:
    """Return every attribute that the directory shows, the standard ones first."""
    defined = definitions_of(connection, directory.environment_id)
    newest = attributes.newest_map(connection, directory.scope)
    own = newest.sources if newest is not None else {}
    provided = profile_of(directory.type).attribute_sources
    rules = [
        AttributeRule(key, AttributeKind.STANDARD, AttributeType(STANDARD[key].type))
        for key in STANDARD
        if key not in defined or defined[key].kind is not AttributeKind.STANDARD
    ]
    rules += [one.rule() for one in defined.values()]
    found = [AttributeLayer(rule, Level.BUILT_IN) for rule in _ALWAYS]
    for rule in sorted(rules, key=lambda one: (one.kind is not AttributeKind.STANDARD, one.key)):
        level, sources = layered(rule, own.get(rule.key, ()), provided.get(rule.key, ()))
        chosen = () if level is Level.BUILT_IN else tuple(map(read_source, sources))
        found.append(
            AttributeLayer(AttributeRule(rule.key, rule.kind, rule.type, rule.required, chosen), level)
        )
    return found


def explained_attributes(
    connection: Connection,
    person: UserRecord,
    directory: Directory,
    layers: Sequence[AttributeLayer],
    told: Mapping[str, wire.Announcement],
) -> list[wire.ExplainedAttribute]:
    """Return why each attribute of a person has its value; `told` are events by the name of the field."""
    rules = AttributeMap(tuple(layer.rule for layer in layers))
    found = evidence(
        rules,
        person.document,
        person.raw,
        resource_id=person.id,
        manager_email=manager_email(person, _manager(connection, person, directory), rules),
    )
    return [
        _attribute(person, layer, why, told.get(layer.field))
        for layer, why in zip(layers, found, strict=True)
    ]


def explained_state(person: UserRecord, announced: wire.Announcement | None) -> wire.ExplainedAttribute:
    """Return why a person is active or inactive; `announced` is the event that told."""
    state = "active" if person.active else "inactive"
    raw = person.raw if person.raw is not None else person.document
    sent = next((value for key, value in raw.items() if key.lower() == "active"), None)
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


def _attribute(
    person: UserRecord, layer: AttributeLayer, why: Evidence, announced: wire.Announcement | None
) -> wire.ExplainedAttribute:
    rule = layer.rule
    value = _shown(person, rule)
    # A standard attribute without sources of its own is selected by the built-in rule, not by a map.
    is_mapped = rule.kind is not AttributeKind.STANDARD or layer.level is not Level.BUILT_IN
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


def _shown(person: UserRecord, rule: AttributeRule) -> Json:
    mapped = person.mapped
    if rule.kind is not AttributeKind.STANDARD:
        return None if mapped is None else mapped.custom.get(rule.key)
    standard = product_attributes(person.document, None, person.id)
    return (standard if mapped is None else standard | dict(mapped.standard)).get(rule.key)


def _manager(connection: Connection, person: UserRecord, directory: Directory) -> UserRecord | None:
    named = manager_of(person.document)
    if named is None:
        return None
    rows = WorkingSet(directory)
    load_needs(connection, rows, Needs(managers={named}))
    return rows.managers.get(named)
