"""Compare an app's own roster with a directory: who is missing, who should be gone, what is out of date.

Everything here is pure. A row is matched by the first identifier it has, and by nothing else: an answer that
needs a guess is `ambiguous`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import msgspec
from msgspec import UNSET

from syncline.core import wire
from syncline.core.events import builtins
from syncline.core.ids import bare
from syncline.core.json import Json
from syncline.core.rosters import CUSTOM, RosterRow
from syncline.core.text import fold, index_key

_CUSTOM = f"{CUSTOM}."
_ROLES = ("role", "roles")


class Drift(StrEnum):
    """The classes of findings, in the order in which they are listed."""

    GONE_BUT_ACTIVE = "gone_but_active"
    WRONG_ROLE = "wrong_role"
    MISSING = "missing"
    STALE_PROFILE = "stale_profile"
    EXTRA = "extra"
    AMBIGUOUS = "ambiguous"


CORRECTABLE = (Drift.GONE_BUT_ACTIVE, Drift.WRONG_ROLE, Drift.MISSING, Drift.STALE_PROFILE)
"""Classes for which there is an event that the app has missed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One attribute: what the app has, and what the directory says."""

    app: Json
    directory: Json


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between roster and directory.

    `line` and `app_id` are of the row, None for who is missing; `user_id` is the SCIM id of a person who is
    there, `directory_user_id` the id in the product view, `position` that of the event with which they left.
    `candidates` are ids that an ambiguous row may mean, `lines` rows that mean the same person.
    """

    drift: Drift
    line: int | None = None
    app_id: str | None = None
    matched_by: str | None = None
    directory_user_id: str | None = None
    user_id: str | None = None
    idp_id: str | None = None
    email: str | None = None
    reason: str | None = None
    position: int | None = None
    differences: Mapping[str, Difference] = field(default_factory=dict)
    candidates: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()


def finding_id(reconciliation_id: str, drift: Drift, number: int) -> str:
    """Return the id of a finding: the same for the same number, and sorted by class, then number."""
    rank = list(Drift).index(drift)
    return f"finding_{rank}{number:09d}{bare(reconciliation_id)[-16:]}"


def matched_by(row: RosterRow) -> str:
    """Return the name of the identifier that a row is matched by."""
    if row.directory_user_id:
        return "directory_user_id"
    return "idp_id" if row.idp_id else "email"


def key_of(row: RosterRow) -> str:
    """Return the key that a row is matched by; `keys_of_person` has the same one for who is meant."""
    if row.directory_user_id:
        return id_key(row.directory_user_id)
    if row.idp_id:
        return idp_key(index_key(row.idp_id, folded=False))
    return email_key(index_key(row.email or ""))


def id_key(directory_user_id: str) -> str:
    """Return the key of an id of the product view."""
    return f"i:{directory_user_id}"


def idp_key(column: str) -> str:
    """Return the key of a provider's id, from its index key."""
    return f"x:{column}"


def email_key(column: str) -> str:
    """Return the key of an address, from its index key."""
    return f"e:{column}"


@dataclass(frozen=True, slots=True)
class Departed:
    """Somebody in the event of their departure; nothing but the id is left of who was erased."""

    id: str
    idp_id: str
    email: str | None


def departed(body: str) -> Departed | None:
    """Return whom the data of a `dsync.user.deleted` is about."""
    data = msgspec.json.decode(body)
    if not isinstance(data, dict) or not isinstance(data.get("id"), str):
        return None
    address = data.get("email")
    return Departed(data["id"], str(data.get("idp_id") or ""), address if isinstance(address, str) else None)


def compare(row: RosterRow, user_id: str, body: wire.DirectoryUser) -> Iterable[Finding]:
    """Yield what a row gets wrong about the person it means, who is in the product view."""
    shown = builtins(body)
    about = Finding(
        Drift.STALE_PROFILE,
        line=row.line,
        app_id=row.app_id,
        matched_by=matched_by(row),
        directory_user_id=body.id,
        user_id=user_id,
        idp_id=body.idp_id,
        email=body.email,
    )
    if row.active and body.state == "inactive":
        state = {"state": Difference("active", "inactive")}
        yield replace(about, drift=Drift.GONE_BUT_ACTIVE, reason="inactive", differences=state)
    different = differences(row.values, shown)
    if not row.active and body.state == "active":
        different["state"] = Difference("inactive", "active")
    roles = {name: different.pop(name) for name in _ROLES if name in different}
    if roles:
        yield replace(about, drift=Drift.WRONG_ROLE, differences=roles)
    if different:
        yield replace(about, differences=dict(sorted(different.items())))


def differences(values: Mapping[str, Json], shown: Mapping[str, Json]) -> dict[str, Difference]:
    """Return in which attributes what the app has differs from a person as the product view shows them.

    Roles are not compared where the directory gives none.
    """
    found = {}
    for name, app in values.items():
        if name in _ROLES and name not in shown:
            continue
        directory = _shown_value(name, shown)
        if not alike(name, app, directory):
            found[name] = Difference(app, directory)
    return found


def alike(name: str, app: Json, directory: Json) -> bool:
    """Tell whether two values mean the same.

    Nothing is nothing, however it is written; letter case of addresses, order of roles, and how a table
    writes numbers and booleans do not count.
    """
    if _is_nothing(app) and _is_nothing(directory):
        return True
    if name == "roles" and isinstance(app, list) and isinstance(directory, list):
        return {str(slug) for slug in app} == {str(slug) for slug in directory}
    if isinstance(app, str) and isinstance(directory, str):
        if name == "email":
            return fold(app.strip()) == fold(directory.strip())
        return unicodedata.normalize("NFC", app.strip()) == unicodedata.normalize("NFC", directory.strip())
    if isinstance(app, str):
        return _written_alike(app.strip(), directory)
    # Databases without booleans write 1 and 0.
    return app == directory


def _is_nothing(value: Json) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


def _written_alike(text: str, value: Json) -> bool:
    if isinstance(value, bool):
        return text.lower() in (("true", "t", "yes", "1") if value else ("false", "f", "no", "0"))
    if isinstance(value, int | float):
        try:
            return float(text) == value
        except ValueError:
            return False
    if isinstance(value, list | dict):
        try:
            decoded: Json = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return False
        return decoded == value
    return False


def _shown_value(name: str, shown: Mapping[str, Json]) -> Json:
    if name.startswith(_CUSTOM):
        custom = shown.get(CUSTOM)
        return custom.get(name.removeprefix(_CUSTOM)) if isinstance(custom, dict) else None
    value = shown.get(name)
    if name == "role" and isinstance(value, dict):
        return value.get("slug")
    if name == "roles" and isinstance(value, list):
        return [part.get("slug") for part in value if isinstance(part, dict)]
    return value


def as_the_app_has_it(body: wire.DirectoryUser, found: Mapping[str, Difference]) -> wire.DirectoryUser:
    """Return a person with the app's values in place of those that differ.

    It is the state before the event that puts the app right, whose `previous_attributes` follow from it.
    """
    changes: dict[str, object] = {}
    custom = dict(body.custom_attributes)
    for name, difference in found.items():
        app = difference.app
        if name.startswith(_CUSTOM):
            custom[name.removeprefix(_CUSTOM)] = app
        elif name == "role":
            changes["role"] = _slug(app)
        elif name == "roles":
            slugs = app if isinstance(app, list) else []
            changes["roles"] = [_slug(slug) for slug in slugs] or UNSET
        else:
            changes[name] = app
    return msgspec.structs.replace(body, custom_attributes=custom, **changes)


def _slug(value: Json) -> object:
    return wire.RoleSlug(slug=str(value)) if value else UNSET
