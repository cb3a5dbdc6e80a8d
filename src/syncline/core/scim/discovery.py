"""What the server says about itself in SCIM 2.0: ServiceProviderConfig, ResourceTypes, Schemas.

RFC 7643 §§5, 6, 7, RFC 9865 §4. Announces only what is true, and everything of it: clients switch features
off when a capability block is missing (A-01). No null, absolute addresses built from the base URL.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncline.core.json import Json
from syncline.core.scim.errors import not_found
from syncline.core.scim.quirks import quirk
from syncline.core.scim.schema import (
    COMMON_ATTRIBUTES,
    ENTERPRISE_ATTRIBUTES,
    ENTERPRISE_URN,
    GROUP_ATTRIBUTES,
    GROUP_URN,
    LIST_RESPONSE_URN,
    USER_ATTRIBUTES,
    USER_URN,
    Attribute,
    AttributeType,
    ResourceKind,
)

CONFIG_URN = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
RESOURCE_TYPE_URN = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
SCHEMA_URN = "urn:ietf:params:scim:schemas:core:2.0:Schema"

_Document = dict[str, Json]

_RESOURCE_TYPES = {
    ResourceKind.USER: "A person of the connected directory.",
    ResourceKind.GROUP: "A group of people, or of groups, of the connected directory.",
}
# RFC 7643 §8.7.1 lists no common attributes; clients that build classes from a schema have their own `meta`.
_COMMON = tuple(entry for entry in COMMON_ATTRIBUTES if entry.name != "meta")
_SCHEMAS: dict[str, tuple[str, str, tuple[Attribute, ...]]] = {
    USER_URN: ("User", "A person.", (*_COMMON, *USER_ATTRIBUTES)),
    GROUP_URN: ("Group", "A group.", (*_COMMON, *GROUP_ATTRIBUTES)),
    ENTERPRISE_URN: ("EnterpriseUser", "What a company knows about a person.", ENTERPRISE_ATTRIBUTES),
}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The limits that ServiceProviderConfig announces, and whether Basic is accepted besides Bearer."""

    bulk_max_operations: int = 1000
    bulk_max_payload_bytes: int = 10_485_760
    max_page_size: int = 1000
    default_page_size: int = 100
    cursor_timeout_seconds: int = 3600
    basic_authentication: bool = False


@quirk("A-01", "every block is present, with real booleans and integers")
def service_provider_config(base_url: str, capabilities: Capabilities) -> _Document:
    """Return the ServiceProviderConfig resource."""
    return {
        "schemas": [CONFIG_URN],
        "patch": {"supported": True},
        "bulk": {
            "supported": True,
            "maxOperations": capabilities.bulk_max_operations,
            "maxPayloadSize": capabilities.bulk_max_payload_bytes,
        },
        "filter": {"supported": True, "maxResults": capabilities.max_page_size},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": True},
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": capabilities.default_page_size,
            "maxPageSize": capabilities.max_page_size,
            "cursorTimeout": capabilities.cursor_timeout_seconds,
        },
        "authenticationSchemes": _authentication_schemes(capabilities),
        "meta": _meta(base_url, "ServiceProviderConfig", "/ServiceProviderConfig"),
    }


def resource_types(base_url: str) -> _Document:
    """Return the list of resource types."""
    return _listed([_resource_type(base_url, kind) for kind in ResourceKind])


def resource_type(base_url: str, name: str) -> _Document:
    """Return one resource type by its name, in any letter case; raises 404 `ScimError` if unknown."""
    for kind in ResourceKind:
        if kind.value.lower() == name.lower():
            return _resource_type(base_url, kind)
    raise not_found("ResourceType", name)


def schemas(base_url: str) -> _Document:
    """Return the list of schemas."""
    return _listed([_schema(base_url, urn) for urn in _SCHEMAS])


def schema(base_url: str, urn: str) -> _Document:
    """Return one schema by its URN, in any letter case; raises 404 `ScimError` if unknown."""
    for known in _SCHEMAS:
        if known.lower() == urn.lower():
            return _schema(base_url, known)
    raise not_found("Schema", urn)


def attribute_document(entry: Attribute) -> _Document:
    """Return the announced form of an attribute, each characteristic spelled out (RFC 7643 §7)."""
    document: _Document = {
        "name": entry.name,
        "type": entry.type.value,
        "multiValued": entry.multi_valued,
        "description": entry.description,
        "required": entry.required,
        "caseExact": entry.case_exact,
        "mutability": entry.mutability.value,
        "returned": entry.returned.value,
        "uniqueness": entry.uniqueness.value,
    }
    if entry.canonical_values:
        document["canonicalValues"] = list(entry.canonical_values)
    if entry.type is AttributeType.REFERENCE:
        document["referenceTypes"] = list(entry.reference_types)
    if entry.sub_attributes:
        document["subAttributes"] = [attribute_document(sub) for sub in entry.sub_attributes]
    return document


def _schema(base_url: str, urn: str) -> _Document:
    name, description, attributes = _SCHEMAS[urn]
    return {
        "schemas": [SCHEMA_URN],
        "id": urn,
        "name": name,
        "description": description,
        "attributes": [attribute_document(entry) for entry in attributes],
        "meta": _meta(base_url, "Schema", f"/Schemas/{urn}"),
    }


def _resource_type(base_url: str, kind: ResourceKind) -> _Document:
    document: _Document = {
        "schemas": [RESOURCE_TYPE_URN],
        "id": kind.value,
        "name": kind.value,
        "description": _RESOURCE_TYPES[kind],
        "endpoint": kind.endpoint,
        "schema": kind.core_urn,
        "meta": _meta(base_url, "ResourceType", f"/ResourceTypes/{kind.value}"),
    }
    if kind is ResourceKind.USER:
        document["schemaExtensions"] = [{"schema": ENTERPRISE_URN, "required": False}]
    return document


def _authentication_schemes(capabilities: Capabilities) -> list[Json]:
    found: list[Json] = [
        {
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token of the directory in the Authorization header.",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
            "primary": True,
        }
    ]
    if capabilities.basic_authentication:
        found.append(
            {
                "type": "httpbasic",
                "name": "HTTP Basic",
                "description": "Any user name, and a token of the directory as the password.",
                "specUri": "https://www.rfc-editor.org/rfc/rfc7617",
                "primary": False,
            }
        )
    return found


def _listed(resources: list[Json]) -> _Document:
    return {
        "schemas": [LIST_RESPONSE_URN],
        "totalResults": len(resources),
        "itemsPerPage": len(resources),
        "startIndex": 1,
        "Resources": resources,
    }


def _meta(base_url: str, resource_type: str, path: str) -> _Document:
    return {"resourceType": resource_type, "location": f"{base_url.rstrip('/')}{path}"}
