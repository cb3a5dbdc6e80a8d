"""What a directory's people are evaluated by: attribute map and role rules in one immutable snapshot.

Whatever changes definitions, maps, roles or rules makes a new snapshot and names it on the directory; every
later decision uses it, and a job evaluates the people who are there already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncline.core.attribute_map import AttributeMap, read_map
from syncline.core.roles import RoleRules, read_rules


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A snapshot: None for what is not in use.

    `raw_attributes`: whether the product view shows people as the provider sent them.
    """

    id: str
    attributes: AttributeMap | None = None
    roles: RoleRules | None = None
    raw_attributes: bool = False


def read_evaluation(id_: str, body: Mapping[str, Any]) -> Evaluation:
    """Return the evaluation of a stored body.

    The body is `{"attributes": [{key, kind, type, required, sources}] or null, "roles": {mode, precedence,
    default_role, priority, rules, floors} or null, "raw_attributes": bool}`.
    """
    attributes, roles = body.get("attributes"), body.get("roles")
    return Evaluation(
        id=id_,
        attributes=read_map(attributes) if attributes else None,
        roles=read_rules(roles) if roles else None,
        raw_attributes=bool(body.get("raw_attributes")),
    )
