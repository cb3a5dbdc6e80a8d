"""The folded copy of a document that SQL filters read, so that SQL need not know letter case.

Form: one object with the attributes that a schema defines and nothing else, under their RFC names, the
enterprise extension as an object under its URN. Multi-valued attributes are arrays of objects, complex ones
objects with the defined sub-attributes. Strings are `fold`ed unless the attribute (or sub-attribute) is
caseExact; booleans and numbers stay. Empty values are left out. `id`, `meta`, `groups`, `members` and
`schemas` live in columns and other tables; what no schema defines cannot be filtered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from syncline.core.json import Json
from syncline.core.scim.filter import fold_value
from syncline.core.scim.filter.evaluate import is_empty
from syncline.core.scim.schema import (
    ENTERPRISE_URN,
    Attribute,
    ResourceKind,
    attribute,
    enterprise_attribute,
)
from syncline.core.text import fold


def search_document(document: Mapping[str, Json], kind: ResourceKind) -> dict[str, Json]:
    """Return the searchable form of a normalized document (see the module's first lines)."""
    found = _defined(document, lambda name: attribute(kind, name))
    extension = document.get(ENTERPRISE_URN)
    if isinstance(extension, dict):
        found[ENTERPRISE_URN] = _defined(extension, enterprise_attribute)
    return found


def _defined(holder: Mapping[str, Json], lookup: Callable[[str], Attribute | None]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in holder.items():
        definition = lookup(key)
        if definition is None:
            continue
        if isinstance(value, str):
            if value:
                found[definition.name] = value if definition.case_exact else fold(value)
        elif not is_empty(value):
            found[definition.name] = _searchable(definition, value)
    return found


def _searchable(definition: Attribute, value: Json) -> Json:
    if isinstance(value, list):
        return [_searchable(definition, entry) for entry in value if not is_empty(entry)]
    if isinstance(value, dict):
        return _defined(value, definition.sub)
    return fold_value(definition, value) if isinstance(value, str) else value
