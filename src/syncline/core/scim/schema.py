"""The attributes of User, Group and EnterpriseUser (RFC 7643 §§3.1, 4.1, 4.2, 4.3) and how they are found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

USER_URN = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CORE_V1_URN = "urn:scim:schemas:core:1.0"
ENTERPRISE_V1_URN = "urn:scim:schemas:extension:enterprise:1.0"
LIST_RESPONSE_URN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PATCH_OP_URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SEARCH_REQUEST_URN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
BULK_REQUEST_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
BULK_RESPONSE_URN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"


class ResourceKind(StrEnum):
    """The resource types offered, spelled as `meta.resourceType`."""

    USER = "User"
    GROUP = "Group"

    @property
    def core_urn(self) -> str:
        """The URN of the kind's core schema."""
        return USER_URN if self is ResourceKind.USER else GROUP_URN

    @property
    def endpoint(self) -> str:
        """The path of the kind's collection below the base URL."""
        return "/Users" if self is ResourceKind.USER else "/Groups"


class AttributeType(StrEnum):
    """Data types of RFC 7643 §2.3 that occur here."""

    STRING = "string"
    BOOLEAN = "boolean"
    DATE_TIME = "dateTime"
    BINARY = "binary"
    REFERENCE = "reference"
    COMPLEX = "complex"


class Mutability(StrEnum):
    """Who may change an attribute, and when (RFC 7643 §7)."""

    READ_ONLY = "readOnly"
    READ_WRITE = "readWrite"
    IMMUTABLE = "immutable"
    WRITE_ONLY = "writeOnly"


class Returned(StrEnum):
    """When an attribute appears in an answer (RFC 7643 §7)."""

    ALWAYS = "always"
    NEVER = "never"
    DEFAULT = "default"
    REQUEST = "request"


class Uniqueness(StrEnum):
    """Within what a value is unique (RFC 7643 §7)."""

    NONE = "none"
    SERVER = "server"
    GLOBAL = "global"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute or sub-attribute with its characteristics; all of them are announced in /Schemas."""

    name: str
    description: str
    type: AttributeType = AttributeType.STRING
    multi_valued: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: Mutability = Mutability.READ_WRITE
    returned: Returned = Returned.DEFAULT
    uniqueness: Uniqueness = Uniqueness.NONE
    canonical_values: tuple[str, ...] = ()
    reference_types: tuple[str, ...] = ()
    sub_attributes: tuple[Attribute, ...] = ()
    _by_name: dict[str, Attribute] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {sub.name.lower(): sub for sub in self.sub_attributes})

    def sub(self, name: str) -> Attribute | None:
        """Return the sub-attribute of that name in any letter case, or `None`."""
        return self._by_name.get(name.lower())

    @property
    def is_complex(self) -> bool:
        """Whether values are objects."""
        return self.type is AttributeType.COMPLEX


def attribute(kind: ResourceKind, name: str) -> Attribute | None:
    """Return the common or core attribute of that name in any letter case, or `None`."""
    return _CORE[kind].get(name.lower())


def enterprise_attribute(name: str) -> Attribute | None:
    """Return the enterprise attribute of that name in any letter case, or `None`."""
    return _ENTERPRISE.get(name.lower())


def canonical_urn(urn: str) -> str | None:
    """Return the 2.0 spelling of a schema URN we model (any letter case, 1.0 or 2.0), or `None`.

    The core 1.0 URN names users and groups alike and has no single 2.0 spelling: it is returned as itself.
    """
    return _CANONICAL.get(urn.lower())


def is_core_urn(urn: str, kind: ResourceKind) -> bool:
    """Tell whether a URN, in any letter case, names the kind's own core schema."""
    return canonical_urn(urn) in (kind.core_urn, CORE_V1_URN)


def known_urns() -> tuple[tuple[str, str], ...]:
    """Return (lower-case spelling, canonical URN) of every modeled schema URN, the longest first."""
    return _KNOWN


def _lookup(attributes: Iterable[Attribute]) -> dict[str, Attribute]:
    return {entry.name.lower(): entry for entry in attributes}


def _read_only(entry: Attribute) -> Attribute:
    return replace(
        entry,
        mutability=Mutability.READ_ONLY,
        sub_attributes=tuple(_read_only(sub) for sub in entry.sub_attributes),
    )


def _plural(name: str, description: str, value: Attribute, *types: str) -> Attribute:
    """Return a multi-valued attribute with the default sub-attributes of RFC 7643 §2.4."""
    return Attribute(
        name,
        description,
        AttributeType.COMPLEX,
        multi_valued=True,
        sub_attributes=(
            value,
            Attribute("display", "A label for people to read."),
            Attribute("type", "What the value is used for.", canonical_values=types),
            Attribute("primary", "Whether this is the preferred value.", AttributeType.BOOLEAN),
        ),
    )


def _reference(name: str, description: str, *types: str, mutability: Mutability) -> Attribute:
    return Attribute(
        name,
        description,
        AttributeType.REFERENCE,
        case_exact=True,
        mutability=mutability,
        reference_types=types,
    )


COMMON_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(
        "id",
        "The resource's identifier, made by the server, stable for ever and never used again.",
        case_exact=True,
        mutability=Mutability.READ_ONLY,
        returned=Returned.ALWAYS,
        uniqueness=Uniqueness.SERVER,
    ),
    Attribute("externalId", "The client's own identifier of the resource.", case_exact=True),
    _read_only(
        Attribute(
            "meta",
            "What the server knows about the resource itself.",
            AttributeType.COMPLEX,
            sub_attributes=(
                Attribute("resourceType", "The name of the resource type.", case_exact=True),
                Attribute("created", "When the resource was created.", AttributeType.DATE_TIME),
                Attribute("lastModified", "When the resource last changed.", AttributeType.DATE_TIME),
                Attribute(
                    "location",
                    "The absolute address of the resource.",
                    AttributeType.REFERENCE,
                    case_exact=True,
                    reference_types=("uri",),
                ),
                Attribute("version", "The weak entity tag of the current state.", case_exact=True),
            ),
        )
    ),
)

# `schemas` is no attribute of any schema, yet it can be filtered and projected. URNs compare in any case.
SCHEMAS_ATTRIBUTE = Attribute(
    "schemas",
    "The URNs of the schemas in use.",
    AttributeType.REFERENCE,
    multi_valued=True,
    required=True,
    returned=Returned.ALWAYS,
    reference_types=("uri",),
)

USER_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(
        "userName",
        "The name a person signs in with, unique in the directory without regard to letter case.",
        required=True,
        uniqueness=Uniqueness.SERVER,
    ),
    Attribute(
        "name",
        "The parts of the person's name.",
        AttributeType.COMPLEX,
        sub_attributes=(
            Attribute("formatted", "The whole name, ready for display."),
            Attribute("familyName", "The family name, or last name."),
            Attribute("givenName", "The given name, or first name."),
            Attribute("middleName", "Names between the given and the family name."),
            Attribute("honorificPrefix", "A title in front of the name."),
            Attribute("honorificSuffix", "A suffix behind the name."),
        ),
    ),
    Attribute("displayName", "The name shown to other people."),
    Attribute("nickName", "The name the person goes by."),
    Attribute(
        "profileUrl",
        "The address of the person's online profile.",
        AttributeType.REFERENCE,
        case_exact=True,
        reference_types=("external",),
    ),
    Attribute("title", "The person's title in the company, such as a job title."),
    Attribute("userType", "How the person relates to the company, such as employee or contractor."),
    Attribute("preferredLanguage", "The person's language, as in an Accept-Language header."),
    Attribute("locale", "The person's locale for dates, numbers and currency."),
    Attribute("timezone", "The person's time zone, by its name in the IANA database."),
    Attribute("active", "Whether the person may use the application.", AttributeType.BOOLEAN),
    Attribute(
        "password",
        "Accepted and discarded: passwords are neither stored nor logged.",
        case_exact=True,
        mutability=Mutability.WRITE_ONLY,
        returned=Returned.NEVER,
    ),
    _plural(
        "emails",
        "The person's e-mail addresses.",
        Attribute("value", "The address."),
        *("work", "home", "other"),
    ),
    _plural(
        "phoneNumbers",
        "The person's telephone numbers.",
        Attribute("value", "The number, as the client writes it."),
        *("work", "home", "mobile", "fax", "pager", "other"),
    ),
    _plural(
        "ims",
        "The person's instant messaging addresses.",
        Attribute("value", "The address."),
        *("aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"),
    ),
    _plural(
        "photos",
        "Addresses of pictures of the person.",
        Attribute(
            "value",
            "The address of the picture; it is never fetched.",
            AttributeType.REFERENCE,
            case_exact=True,
            reference_types=("external",),
        ),
        *("photo", "thumbnail"),
    ),
    Attribute(
        "addresses",
        "The person's postal addresses.",
        AttributeType.COMPLEX,
        multi_valued=True,
        sub_attributes=(
            Attribute("formatted", "The whole address, ready for a label."),
            Attribute("streetAddress", "Street, house number and what else stands on that line."),
            Attribute("locality", "The city or locality."),
            Attribute("region", "The state or region."),
            Attribute("postalCode", "The postal code."),
            Attribute("country", "The country."),
            Attribute("type", "What the address is used for.", canonical_values=("work", "home", "other")),
            Attribute("primary", "Whether this is the preferred address.", AttributeType.BOOLEAN),
        ),
    ),
    _read_only(
        Attribute(
            "groups",
            "The groups the person is a direct member of.",
            AttributeType.COMPLEX,
            multi_valued=True,
            sub_attributes=(
                Attribute("value", "The id of the group.", case_exact=True),
                _reference("$ref", "The address of the group.", "Group", mutability=Mutability.READ_ONLY),
                Attribute("display", "The group's displayName."),
                Attribute("type", "How the membership comes about.", canonical_values=("direct",)),
            ),
        )
    ),
    _plural("entitlements", "What the person is entitled to.", Attribute("value", "The entitlement.")),
    _plural("roles", "The person's roles.", Attribute("value", "The role.")),
    _plural(
        "x509Certificates",
        "The person's certificates.",
        Attribute("value", "A DER certificate in base64.", AttributeType.BINARY, case_exact=True),
    ),
)

ENTERPRISE_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("employeeNumber", "The number the company gave the person."),
    Attribute("costCenter", "The cost center the person belongs to."),
    Attribute("organization", "The organization the person belongs to."),
    Attribute("division", "The division the person belongs to."),
    Attribute("department", "The department the person belongs to."),
    Attribute(
        "manager",
        "The person's manager, who need not be known here.",
        AttributeType.COMPLEX,
        sub_attributes=(
            Attribute("value", "The manager's id, as the client names it."),
            _reference("$ref", "The address of the manager.", "User", mutability=Mutability.READ_WRITE),
            Attribute("displayName", "The manager's displayName, as the client names it."),
        ),
    ),
)

GROUP_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("displayName", "The group's name; it need not be unique.", required=True),
    Attribute(
        "members",
        "The group's direct members.",
        AttributeType.COMPLEX,
        multi_valued=True,
        sub_attributes=(
            Attribute("value", "The id of the member.", case_exact=True, mutability=Mutability.IMMUTABLE),
            _reference(
                "$ref", "The address of the member.", "User", "Group", mutability=Mutability.IMMUTABLE
            ),
            Attribute(
                "type",
                "The resource type of the member.",
                mutability=Mutability.IMMUTABLE,
                canonical_values=("User", "Group"),
            ),
            Attribute(
                "display",
                "The member's name, shown where it is asked for.",
                mutability=Mutability.READ_ONLY,
                returned=Returned.REQUEST,
            ),
        ),
    ),
)

_CORE: dict[ResourceKind, dict[str, Attribute]] = {
    ResourceKind.USER: _lookup((*COMMON_ATTRIBUTES, SCHEMAS_ATTRIBUTE, *USER_ATTRIBUTES)),
    ResourceKind.GROUP: _lookup((*COMMON_ATTRIBUTES, SCHEMAS_ATTRIBUTE, *GROUP_ATTRIBUTES)),
}
_ENTERPRISE = _lookup(ENTERPRISE_ATTRIBUTES)
_CANONICAL: dict[str, str] = {
    USER_URN.lower(): USER_URN,
    GROUP_URN.lower(): GROUP_URN,
    ENTERPRISE_URN.lower(): ENTERPRISE_URN,
    CORE_V1_URN.lower(): CORE_V1_URN,
    f"{CORE_V1_URN}:User".lower(): CORE_V1_URN,
    f"{CORE_V1_URN}:Group".lower(): CORE_V1_URN,
    ENTERPRISE_V1_URN.lower(): ENTERPRISE_URN,
    f"{ENTERPRISE_V1_URN}:User".lower(): ENTERPRISE_URN,
}
_KNOWN = tuple(sorted(_CANONICAL.items(), key=lambda pair: -len(pair[0])))
