"""Snapshots of what directories evaluate their people by: composed, stored, tried out.

Everything that changes attribute definitions, maps, roles or role rules calls `reissue` in the same
transaction. The people who are there already are evaluated again by a job (`services.reevaluation`).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from syncline.core.evaluation import Evaluation, read_evaluation
from syncline.core.json import Json
from syncline.core.model import Cause, Directory, Document, UserRecord
from syncline.core.predefined import STANDARD
from syncline.core.roles import HeldGroup
from syncline.providers.registry import profile_of
from syncline.services.evaluating import evaluated_people
from syncline.services.held_groups import held_groups
from syncline.services.kernel import Kernel
from syncline.store import evaluations as store
from syncline.store import reevaluations
from syncline.store.database import Connection
from syncline.store.evaluations import Parts
from syncline.store.jsontext import dump

_BATCH = 500
_ID_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to be tried out instead of what is stored; None leaves a part as it is.

    `definitions` are attributes of the environment by key, in the form of an evaluation's body (`key`,
    `kind`, `type`, `required`, `sources`); None for one that would be deleted. `sources` are the directory's
    own sources by key, whole. `rules` is the body of `role_rules` (`mode`, `precedence`, `default_role`,
    `rules`, `floors`), whole; an empty one is none. `roles` are the roles (priority, slug) of the environment
    (None) or of organizations, each list whole; what is not named stays.
    """

    definitions: Mapping[str, Mapping[str, Json] | None] = field(default_factory=dict)
    sources: Mapping[str, Sequence[Mapping[str, Json]]] | None = None
    rules: Mapping[str, Json] | None = None
    roles: Mapping[str | None, Sequence[tuple[int, str]]] = field(default_factory=dict)


_NOTHING = Proposal()


def reissue(
    kernel: Kernel,
    connection: Connection,
    environment_id: str,
    cause: Cause,
    directory_ids: Collection[str] | None = None,
) -> list[str]:
    """Compose the evaluations of directories (all of the environment if None) from what is stored now.

    Where one comes out differently the directory is pointed at it and a job to evaluate its people begins.
    Returns the ids of these directories. The caller has written its change on the same connection before.
    """
    now = kernel.clock()
    # Two changes at once must not each compose without the other.
    store.lock(connection, environment_id)
    directories = store.directories(connection, environment_id, directory_ids)
    parts = store.parts(connection, environment_id, directory_ids)
    changed: list[str] = []
    for directory in directories:
        text = _text(directory, parts, _NOTHING)
        evaluation_id = None if text is None else _id_of(text)
        if evaluation_id == directory.evaluation_id:
            continue
        if text is not None and evaluation_id is not None:
            store.keep(connection, environment_id, evaluation_id, text, now)
        store.point(connection, directory.scope, evaluation_id)
        reevaluations.begin(connection, directory, cause, now)
        changed.append(directory.id)
    if changed:
        kernel.reevaluations.notify(environment_id)
    return changed


def composed(connection: Connection, directory: Directory, proposal: Proposal) -> Evaluation | None:
    """Return the evaluation that a directory would have with a proposal; nothing is written."""
    parts = store.parts(connection, directory.environment_id, [directory.id])
    body = _body(directory, parts, proposal)
    return None if body is None else read_evaluation("proposal", body)


def otherwise(
    connection: Connection, environment_id: str, directories: Sequence[Directory], proposal: Proposal
) -> list[tuple[Directory, Evaluation | None]]:
    """Return those of some directories whose evaluation a proposal changes, with the one they would have."""
    if not directories:
        return []
    parts = store.parts(connection, environment_id, [directory.id for directory in directories])
    found: list[tuple[Directory, Evaluation | None]] = []
    for directory in directories:
        body = _body(directory, parts, proposal)
        if body != _body(directory, parts, _NOTHING):
            found.append((directory, None if body is None else read_evaluation("proposal", body)))
    return found


class Tried(NamedTuple):
    """A person as stored and as an evaluation would leave them, and the groups that count for them.

    `groups` is empty unless it was asked for.
    """

    before: UserRecord
    after: UserRecord
    groups: Sequence[HeldGroup]


async def tried_out(
    kernel: Kernel, directory: Directory, evaluation: Evaluation | None, *, groups: bool = False
) -> AsyncIterator[list[Tried]]:
    """Walk over everybody in the product view of a directory, in batches, in id order.

    Floors are left aside; before and after are equal where nothing changes. Reads only. `groups`: whether
    the groups of people are wanted as well.
    """
    cursor = ""
    now = kernel.clock()
    while True:
        after = cursor

        def work(connection: Connection, after: str = after) -> list[Tried]:
            people = reevaluations.people(connection, directory.scope, after, _BATCH)
            held: Mapping[str, Sequence[HeldGroup]] = {}
            if groups:
                held = held_groups(connection, directory, [person.id for person in people])
            pairs = evaluated_people(connection, directory, evaluation, people, now, held if groups else None)
            return [Tried(before, then, held.get(before.id, ())) for before, then in pairs]

        found = await kernel.database.read(work)
        yield [one for one in found if one.before.directory_user_id is not None]
        if len(found) < _BATCH:
            return
        cursor = found[-1].before.id


def _id_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_LENGTH]


def _text(directory: Directory, parts: Parts, proposal: Proposal) -> str | None:
    body = _body(directory, parts, proposal)
    return None if body is None else dump(body)


def _body(directory: Directory, parts: Parts, proposal: Proposal) -> Document | None:
    """Return the body of a directory's evaluation, None if it would say nothing."""
    attributes = _attributes(directory, parts, proposal)
    roles = _roles(directory, parts, proposal)
    raw = parts.settings.get("raw_attributes") is True
    if not attributes and roles is None and not raw:
        return None
    return {"attributes": attributes or None, "roles": roles, "raw_attributes": raw}


def _attributes(directory: Directory, parts: Parts, proposal: Proposal) -> list[Json]:
    definitions: dict[str, Mapping[str, Json] | None] = {**parts.definitions, **proposal.definitions}
    own: Mapping[str, Json] = parts.sources.get(directory.id, {})
    if proposal.sources is not None:
        own = {key: [dict(source) for source in sources] for key, sources in proposal.sources.items()}
    provided = profile_of(directory.type).attribute_sources
    for key in (*own, *provided):
        # A directory or its provider may map a standard attribute of which the environment says nothing.
        if key in STANDARD:
            definitions.setdefault(
                key, {"key": key, "kind": "standard", "type": "string", "required": False, "sources": []}
            )
    found: list[Json] = []
    for key in sorted(definitions):
        definition = definitions[key]
        if definition is None:
            continue
        sources = own.get(key) or definition["sources"] or [dict(s) for s in provided.get(key, ())]
        if definition["kind"] == "standard" and not sources:
            continue
        found.append({**definition, "sources": sources})
    return found


def _roles(directory: Directory, parts: Parts, proposal: Proposal) -> Document | None:
    rules: Mapping[str, Json] | None = parts.rules.get(directory.id)
    if proposal.rules is not None:
        rules = proposal.rules
    if not rules:
        return None
    default_role = rules.get("default_role") or parts.settings.get("default_role") or "member"
    named = {default_role, *(_role_of(one) for part in ("rules", "floors") for one in _entries(rules, part))}
    applying = {**parts.roles, **proposal.roles}
    known = [*applying.get(None, ()), *applying.get(directory.organization_id, ())]
    return {
        **rules,
        "mode": rules.get("mode") or parts.settings.get("role_mode") or "single",
        "default_role": default_role,
        # Another role that comes or goes is no reason to evaluate anybody.
        "priority": [slug for _, slug in sorted(known, key=lambda one: one[0]) if slug in named],
    }


def _entries(rules: Mapping[str, Json], part: str) -> list[Json]:
    found = rules.get(part)
    return found if isinstance(found, list) else []


def _role_of(entry: Json) -> Json:
    return entry.get("role") if isinstance(entry, dict) else None
