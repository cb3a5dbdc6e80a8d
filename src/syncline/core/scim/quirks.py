"""The catalog of named leniencies (quirks), and the collector of those a request needed.

Ids are stable: tests, provider profiles, the traffic log and the corpus carry them. All quirks are on for
every directory; no code path asks who the provider is. `@quirk` marks the code that grants a leniency.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from syncline.core.scim.errors import too_many

# About half a second; a thousand operations on a person of a thousand attributes need half of it.
MAX_LOOKS = 2_000_000

_Callable = TypeVar("_Callable", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Quirk:
    """One leniency: its stable id and what we do about it."""

    id: str
    text: str

    @property
    def family(self) -> str:
        """The prefix of the id: clients of one kind, or `G` and `M` for any, `H` for hostile input."""
        return self.id.rpartition("-")[0]


_TEXTS = {
    "G-02": "A userName taken under another letter case is a 409 on POST, PUT and PATCH.",
    "G-03": "Deactivated people stay readable by id and by filter, with `active: false`.",
    "G-04": "After a DELETE the userName and externalId are free; a new POST gets a new id.",
    "G-05": "Attribute names, operators, `op` and URNs are matched in any letter case.",
    "G-06": "At most one entry is primary; setting a new one takes the flag from the others.",
    "G-07": "Empty strings and hollow objects count as absent; entries left with only a type are dropped.",
    "G-08": "null is absent on POST and PUT and clears on a PATCH replace.",
    "G-09": "Removing what is not there succeeds and announces nothing.",
    "G-10": "Any spelling of the Bearer scheme, of a JSON media type and of its charset is fine.",
    "G-11": "Spaces in the query may be `%20`, `+` or raw.",
    "G-12": "Value filters may use `or` and `not`, in searches and in PATCH paths.",
    "G-13": "Removing `members` without a value empties the group, one event per person.",
    "G-14": "startIndex and count outside their range are brought back into it.",
    "G-15": "A single member, as an object or a bare string, is a list of one.",
    "G-16": "The operations of one PATCH take effect together or not at all.",
    "M-01": "`schemas` may be a string, missing or unknown on input; the answer is always right.",
    "M-02": "`operations` in lower case and a PATCH body without `schemas` are accepted.",
    "M-03": "A trailing slash names the same resource, without a redirect.",
    "M-04": "Query parameter names are matched in any letter case.",
    "M-05": "Core attributes nested under the core URN are lifted to the top level.",
    "M-06": "A dot after an extension URN means the same as the colon.",
    "M-07": "E-mail values that are no addresses are stored and returned, and never chosen as `email`.",
    "M-08": "Dates may carry seven fraction digits, an offset, or the year 0001.",
    "E-01": "A connection test that searches for a random id gets an empty list, not an error.",
    "E-02": "nulls are dropped and enterprise attributes at top level moved to their extension.",
    "E-03": "Operations that mix filter paths and dotted paths are applied in order to one copy.",
    "E-04": "An `eq` value path without a match creates the entry it describes.",
    "E-05": 'Booleans arrive as "True" and "False", also in one-element arrays.',
    "E-06": "A path or key that starts with a schema URN is split after the URN.",
    "E-07": "The manager arrives as a string, an object or a one-element array, and may be unknown.",
    "E-08": "Groups list a schema of Microsoft's own and come without members.",
    "E-09": "`excludedAttributes=members` makes the read of a group cheap.",
    "E-10": "A null `$ref` in a member is ignored.",
    "E-11": "Adding members who are already there is cheap and silent.",
    "E-12": "A probe for one id and one member, or one manager, is an ordinary search.",
    "E-13": "Members are removed by a value array or by a filter path.",
    "E-14": "Feature flags in the query of the tenant URL are ignored, with or without a value.",
    "E-15": "A value object may hold dotted and URN-qualified keys; they are expanded.",
    "E-16": "One bare word may follow a comparison operator where a quoted value belongs.",
    "E-17": "A value path followed by a comparison tests both on the same entry.",
    "E-18": "A misspelled enterprise URN in `schemas` is ignored.",
    "E-19": "Without any usable e-mail, a userName that is an address serves as `email`.",
    "E-20": "Enterprise attributes are found by their bare name in paths and filters.",
    "E-21": "Replacing a complex attribute merges the sub-attributes given.",
    "E-22": "App roles as JSON text stay as sent; `primary` compares as a boolean also when quoted.",
    "E-23": "An add on `members[value eq …]` adds that member.",
    "E-24": "The id of the first answer is good for ever.",
    "O-01": "The two constant probes are answered with integers and arrays.",
    "O-02": "A password is dropped before storage and logs and causes no event.",
    "O-03": "A create that is repeated after a time-out is a 409.",
    "O-04": "An identical PUT changes nothing and announces nothing.",
    "O-05": "GET returns everything held, because the next PUT is built on it; no `active` is not false.",
    "O-06": "Replacing members announces only the difference.",
    "O-07": "Known members are applied, unknown ones are parked and counted.",
    "O-08": "A re-assigned person is found by userName and reactivated under the same id.",
    "O-09": "A replace without path applies the attributes of its value object.",
    "O-10": "Custom attributes under a URN of the client's own are kept and returned.",
    "O-11": "A rename that changes nothing is silent; a differing id in it is refused.",
    "O-12": "Removals and additions of one request take effect in the order sent.",
    "O-13": "An e-mail that arrives as an empty string is absent.",
    "S11-1": "SCIM 1.1 answers carry the core 1.0 schema and discovery has its 1.1 addresses.",
    "S11-2": "A malformed filter is a 400 in SCIM 1.1 too.",
    "S11-3": "SCIM 1.1 errors carry the Errors array and `detail`.",
    "S11-4": "A SCIM 1.1 PATCH is a partial resource with merging arrays and delete marks.",
    "S11-5": "A group description under Okta's custom URN is kept.",
    "S11-6": "The enterprise 1.0 URN and `manager.managerId` are the 2.0 attributes.",
    "S11-7": "A method override header is a 405 and never a creation.",
    "L-01": "`id: null` in a create is ignored.",
    "L-02": "`manager.managerId` sets the manager; blank clears it.",
    "L-03": "A create without `active` makes an active person.",
    "L-04": "E-mails sent as one object are a list of one.",
    "L-05": "A numeric externalId becomes text.",
    "L-06": "A remove without path is a 400 and removes nothing.",
    "J-01": "The activation test's user and group can be created, changed and deleted.",
    "J-02": "One operation per attribute, each with its path, is the same as one for all.",
    "J-03": "Members may carry nothing but their value.",
    "J-04": "A rename without path leaves the members alone.",
    "P-01": "Groups can be downloaded page by page, complete and in a stable order.",
    "P-02": "A group may be created with its members.",
    "C-01": "Each resource type can be read by its id.",
    "C-02": "A list limited to one user serves as verification.",
    "S-01": "A relative `$ref` in a member is ignored.",
    "S-02": "A user's `groups` are complete and current.",
    "S-03": "Grants written through a user's `groups` are ignored.",
    "R-01": "`employeeNumber` at top level moves to the enterprise extension.",
    "A-01": "ServiceProviderConfig carries every capability block.",
    "A-02": "A person whose only e-mail has the type `other` still has that e-mail.",
    "A-03": "After a 409 the person is found by userName, also unquoted.",
    "A-04": "Hundreds of single-member operations fit in one PATCH.",
    "A-05": "A group read always carries `members`.",
    "A-06": "Replacing a whole group without members leaves the members.",
    "A-07": "A PUT of an unknown id is a 404, after which the client creates.",
    "K-01": "The answer to a create carries what was sent.",
    "K-02": "A relative `$ref` is ignored.",
    "K-03": "A PUT of a group without members empties it.",
    "H-01": "Filter bombs end at limits of size, depth and nodes.",
    "H-02": "Wildcards and regular expressions in values are plain text.",
    "H-03": "JSON bombs end at limits of size and depth.",
    "H-04": "Ids, metadata and tenants are never taken from a body.",
    "H-05": "Tokens in the query or the body are never read.",
}

CATALOG: dict[str, Quirk] = {id_: Quirk(id_, text) for id_, text in _TEXTS.items()}
GRANTED_BY: dict[str, list[str]] = {}


def quirk(id_: str, text: str | None = None) -> Callable[[_Callable], _Callable]:
    """Mark a function as granting a quirk; `text` says what it sees, for the reader of that line.

    Raises `KeyError` at import time for an id that the catalog does not know.
    """
    entry = CATALOG[id_]

    def mark(function: _Callable) -> _Callable:
        name = f"{function.__module__}.{function.__qualname__}"
        GRANTED_BY.setdefault(entry.id, []).append(f"{name}: {text}" if text else name)
        return function

    return mark


class Quirks(set[str]):
    """The ids of the quirks that one request needed, and how much it has asked for so far."""

    looks = 0

    def spend(self, looks: int) -> None:
        """Count attributes and entries that are looked at; 400 `tooMany` for more than a request may have."""
        self.looks += looks
        if self.looks > MAX_LOOKS:
            raise too_many("The request asks for more comparisons than a request may; split it.")

    def note(self, id_: str) -> None:
        """Record that a quirk was applied."""
        self.add(CATALOG[id_].id)
