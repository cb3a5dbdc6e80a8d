"""Lists of addresses, e-mail addresses and phone numbers brought into the form of the API (`api.md` §6.1).

Providers name the parts of an entry differently, and some send bare texts. What an entry does not say is
null, `primary` is false then. A single value that is no list is the primary one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from syncline.core.attribute_values import Coercion, as_boolean, as_text
from syncline.core.json import Json
from syncline.core.text import fold, looks_like_email

_Entry: TypeAlias = dict[str, Json]

_EMAIL = {"primary": ("primary",), "type": ("type",), "value": ("value", "address", "email")}
_ADDRESS = {
    "type": ("type",),
    "street_address": ("street_address", "streetAddress"),
    "locality": ("locality",),
    "region": ("region",),
    "postal_code": ("postal_code", "postalCode"),
    "country": ("country",),
    "raw_address": ("raw_address", "formatted"),
    "primary": ("primary",),
}
_PHONE = {"value": ("value",), "display": ("display",), "type": ("type",), "primary": ("primary",)}


def as_emails(value: Json) -> Json:
    """Return e-mail addresses in the form of the API.

    A bare text that one of the entries says as well is left out. `SMTP:` before an address marks the primary
    one and `smtp:` another one, as directories write proxy addresses; other schemes are no e-mail addresses.
    """
    kept: list[Json] = []
    seen: dict[str, _Entry] = {}
    for entry, is_bare in _entries(value, _EMAIL, "value", _proxy_address):
        address = fold(str(entry["value"]))
        if not is_bare or address not in seen:
            kept.append(entry)
            seen.setdefault(address, entry)
        elif entry["primary"] is True:
            seen[address]["primary"] = True
    return kept or None


def as_address(value: Json) -> Json:
    """Return one e-mail address: the only one, or of several as everywhere (`api.md` §6.2).

    What does not look like an address is passed over. Of the others the primary one counts, else that for
    work, else the first.
    """
    entries = _entries(value, _EMAIL, "value", _proxy_address)
    usable = [(entry, text) for entry, _ in entries if looks_like_email(text := str(entry["value"]).strip())]
    for entry, text in usable:
        if entry["primary"] is True:
            return text
    for entry, text in usable:
        if fold(str(entry["type"])) == "work":
            return text
    return usable[0][1] if usable else None


def as_addresses(value: Json) -> Json:
    """Return postal addresses in the form of the API; a bare text is the whole address."""
    return [entry for entry, _ in _entries(value, _ADDRESS, "raw_address")] or None


def as_phone_numbers(value: Json) -> Json:
    """Return phone numbers in the form of the API."""
    return [entry for entry, _ in _entries(value, _PHONE, "value")] or None


FORMS: Mapping[str, Coercion] = {
    "addresses": as_addresses,
    "emails": as_emails,
    "phone_numbers": as_phone_numbers,
}
"""The predefined attributes whose entries have a form of their own, whatever their sources are."""


def _plain(text: str) -> _Entry | None:
    return {"": text}


def _proxy_address(text: str) -> _Entry | None:
    scheme, colon, rest = text.partition(":")
    if not colon:
        return {"": text}
    if scheme.lower() != "smtp" or not looks_like_email(rest):
        return None
    return {"": rest, "primary": scheme == "SMTP"}


def _entries(
    value: Json,
    form: Mapping[str, tuple[str, ...]],
    bare: str,
    read: Callable[[str], _Entry | None] = _plain,
) -> list[tuple[_Entry, bool]]:
    """Return entries in a form, each with whether it was a bare text, which stands for `bare`."""
    is_single = not isinstance(value, list)
    found: list[tuple[_Entry, bool]] = []
    for given in [value] if not isinstance(value, list) else value:
        said = given
        if not isinstance(given, dict):
            text = as_text(given)
            plain = None if text is None else read(text.strip())
            said = None if plain is None else {bare: plain.pop(""), **plain}
        if not isinstance(said, dict):
            continue
        entry = {key: _part(said, key, names) for key, names in form.items()}
        if any(part for key, part in entry.items() if key not in ("type", "primary")):
            if is_single and "primary" not in said:
                entry["primary"] = True
            found.append((entry, not isinstance(given, dict)))
    return found


def _part(said: Mapping[str, Json], key: str, names: tuple[str, ...]) -> Json:
    if key == "primary":
        return as_boolean(said.get("primary")) is True
    return next((text for name in names if (text := as_text(said.get(name)))), None)
