"""People of pulled sources: what they show by default, and parts of what is expected of them."""

from __future__ import annotations

from typing import Any

from syncline.core.attribute_map import evaluate, read_map
from syncline.core.json import Json
from syncline.core.predefined import PREDEFINED, STANDARD
from syncline.providers.registry import profile_of

MIRA = "mira.voss@northwind.example"
NOOR = "noor.ada@northwind.example"


def attributes(type_: str, raw: dict[str, Json], manager: str | None = None) -> dict[str, Json]:
    """Return what a person shows at the top level and in `custom_attributes`, nothing left out."""
    provided = profile_of(type_).attribute_sources
    rules: list[dict[str, Json]] = [
        {
            "key": key,
            "kind": kind,
            "type": table[key].type,
            "sources": [dict(source) for source in provided.get(key, ())],
        }
        for kind, table in (("standard", STANDARD), ("predefined", PREDEFINED))
        for key in table
        if kind == "predefined" or key not in PREDEFINED
    ]
    made = evaluate(read_map(rules), {}, raw, resource_id="01", manager_email=manager)
    return {key: value for key, value in {**made.custom, **made.standard}.items() if value is not None}


def address(**parts: Any) -> dict[str, Any]:
    names = ("type", "street_address", "locality", "region", "postal_code", "country", "raw_address")
    return {name: parts.get(name) for name in names} | {"primary": parts.get("primary", False)}


def phone(value: str, type_: str | None = None, primary: bool = False) -> dict[str, Any]:
    return {"value": value, "display": None, "type": type_, "primary": primary}


def mail(value: str, type_: str | None = None, primary: bool = False) -> dict[str, Any]:
    return {"primary": primary, "type": type_, "value": value}


QUAY = {"street_address": "Quay 7", "locality": "Bremen", "region": "HB"}
NAMED = {"first_name": "Mira", "last_name": "Voss", "name": "Mira Voss"}
GIVEN = {"first_name": "Mira", "last_name": "Voss"}
STARTED = "2021-06-27T12:00:00.000Z"
ADDRESSED = NAMED | {"email": MIRA, "emails": [mail(MIRA, primary=True)]}
NAMED_BY_ADDRESS = ADDRESSED | {"username": MIRA}
