"""The SCIM 1.1 skin: other URNs, another PATCH, other discovery documents, the same core (`scim.md` §14)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncline.core.json import Json
from syncline.core.scim.discovery import Capabilities
from syncline.core.scim.errors import invalid_syntax, invalid_value, not_found, too_large
from syncline.core.scim.patch import PatchRequest, parse_operations
from syncline.core.scim.quirks import quirk
from syncline.core.scim.schema import (
    COMMON_ATTRIBUTES,
    CORE_V1_URN,
    ENTERPRISE_ATTRIBUTES,
    ENTERPRISE_URN,
    ENTERPRISE_V1_URN,
    GROUP_ATTRIBUTES,
    PATCH_OP_URN,
    USER_ATTRIBUTES,
    Attribute,
    ResourceKind,
    attribute,
)

Document = dict[str, Json]

MAX_CHANGES = 5_000

_DELETE = "delete"


@quirk("S11-4", "a partial resource with merging arrays and delete marks")
def patch_from_v1(body: Json, kind: ResourceKind) -> PatchRequest:
    """Read a SCIM 1.1 PATCH body, a partial resource; a 2.0 body with Operations is accepted too.

    Raises `ScimError` 400 like `parse_operations`.
    """
    if not isinstance(body, dict):
        raise invalid_syntax("The body must be a JSON object.")
    if any(key.lower() == "operations" for key in body):
        return parse_operations(body, kind)
    operations: list[Json] = []
    for name in _cleared(body):
        operations.append({"op": "remove", "path": name})
    for key, value in body.items():
        if key.lower() in ("schemas", "meta"):
            continue
        definition = attribute(kind, key)
        if definition is not None and definition.multi_valued:
            operations.extend(_array_operations(definition.name, value))
        else:
            operations.append({"op": "replace", "value": {key: value}})
    if len(operations) > MAX_CHANGES:
        raise too_large(f"A PATCH may change {MAX_CHANGES} attributes, not {len(operations)}.")
    return parse_operations({"schemas": [PATCH_OP_URN], "Operations": operations}, kind)


@quirk("S11-1", "the core 1.0 schema everywhere")
@quirk("S11-6", "the enterprise 1.0 URN with manager.managerId")
def resource_to_v1(resource: Mapping[str, Json]) -> Document:
    """Return a rendered 2.0 resource as 1.1 shows it; attributes keep their values and order."""
    found: Document = {}
    for key, value in resource.items():
        if key == "schemas":
            found[key] = [CORE_V1_URN, *_extension_urns(value)]
        elif key == ENTERPRISE_URN and isinstance(value, dict):
            found[ENTERPRISE_V1_URN] = {name: _enterprise_v1(name, part) for name, part in value.items()}
        else:
            found[key] = value
    return found


def list_to_v1(listed: Mapping[str, Json]) -> Document:
    """Return a 2.0 ListResponse as 1.1 shows it."""
    resources = listed.get("Resources")
    shown: list[Json] = [
        resource_to_v1(entry)
        for entry in (resources if isinstance(resources, list) else ())
        if isinstance(entry, dict)
    ]
    return {**listed, "schemas": [CORE_V1_URN], "Resources": shown}


def service_provider_config_v1(base_url: str, capabilities: Capabilities) -> Document:
    """Return the ServiceProviderConfigs document of SCIM 1.1 (core schema 1.0 §9)."""
    return {
        "schemas": [CORE_V1_URN],
        "documentationUrl": "https://datatracker.ietf.org/doc/html/draft-scim-core-schema-01",
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
        "xmlDataFormat": {"supported": False},
        "authenticationSchemes": [
            {
                "name": "Bearer token",
                "description": "A token of the directory in the Authorization header.",
                "specUrl": "https://www.rfc-editor.org/rfc/rfc6750",
                "type": "oauthbearertoken",
                "primary": True,
            }
        ],
        "meta": {"location": f"{base_url.rstrip('/')}/ServiceProviderConfigs"},
    }


def schemas_v1(base_url: str) -> Document:
    """Return the list of schemas of SCIM 1.1."""
    listed = _listed([schema_v1(base_url, kind.value) for kind in ResourceKind])
    # Okta's tests want this URN on the list of schemas, and the core schema on every other list.
    return {**listed, "schemas": [CORE_V1_URN, f"{CORE_V1_URN}:ListResponse"]}


def schema_v1(base_url: str, name: str) -> Document:
    """Return the schema of `User` or `Group`, in any letter case or by its URN; raises 404 `ScimError`."""
    last = name.rpartition(":")[2].lower()
    for kind in ResourceKind:
        if kind.value.lower() == last:
            return _schema(base_url, kind)
    raise not_found("Schema", name)


def resource_types_v1(base_url: str) -> Document:
    """Return the resource types, for clients that look for them in 1.1 as well."""
    return _listed([resource_type_v1(base_url, kind.value) for kind in ResourceKind])


def resource_type_v1(base_url: str, name: str) -> Document:
    """Return one resource type by its name, in any letter case; raises 404 `ScimError`."""
    for kind in ResourceKind:
        if kind.value.lower() == name.lower():
            return {
                "schemas": [CORE_V1_URN],
                "id": kind.value,
                "name": kind.value,
                "endpoint": kind.endpoint,
                "schema": CORE_V1_URN,
                "meta": {"location": f"{base_url.rstrip('/')}/ResourceTypes/{kind.value}"},
            }
    raise not_found("ResourceType", name)


def _cleared(body: Mapping[str, Json]) -> list[str]:
    """Return the attributes that `meta.attributes` lists as to be cleared."""
    meta = next((value for key, value in body.items() if key.lower() == "meta"), None)
    listed = meta.get("attributes") if isinstance(meta, dict) else None
    if listed is None:
        return []
    names = listed if isinstance(listed, list) else [listed]
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise invalid_value("meta.attributes must be an array of attribute names.")
    return [str(name) for name in names]


def _array_operations(name: str, value: Json) -> list[Json]:
    entries = value if isinstance(value, list) else [value]
    removed: list[Json] = []
    added: list[Json] = []
    for entry in entries:
        mark = None
        if isinstance(entry, dict):
            mark = next((part for key, part in entry.items() if key.lower() == "operation"), None)
            entry = {key: part for key, part in entry.items() if key.lower() != "operation"}
        if mark is not None and str(mark).lower() != _DELETE:
            raise invalid_value(f"The operation of an entry of {name} can only be 'delete'.")
        if mark is None and entry is not None:
            added.append(entry)
        elif mark is not None:
            removed.append(entry)
    operations: list[Json] = []
    if removed:
        operations.append({"op": "remove", "path": name, "value": removed})
    if added:
        operations.append({"op": "add", "path": name, "value": added})
    return operations


def _extension_urns(schemas: Json) -> list[Json]:
    listed = schemas if isinstance(schemas, list) else []
    return [ENTERPRISE_V1_URN if urn == ENTERPRISE_URN else urn for urn in listed[1:]]


def _enterprise_v1(name: str, value: Json) -> Json:
    if name != "manager" or not isinstance(value, dict):
        return value
    return {"managerId" if key == "value" else key: part for key, part in value.items()}


def _schema(base_url: str, kind: ResourceKind) -> Document:
    attributes: Sequence[Attribute] = (*COMMON_ATTRIBUTES, *GROUP_ATTRIBUTES)
    described = [_attribute(entry, CORE_V1_URN) for entry in attributes]
    if kind is ResourceKind.USER:
        described = [_attribute(entry, CORE_V1_URN) for entry in (*COMMON_ATTRIBUTES, *USER_ATTRIBUTES)]
        described += [_attribute(entry, ENTERPRISE_V1_URN) for entry in ENTERPRISE_ATTRIBUTES]
    return {
        "schemas": [CORE_V1_URN],
        "id": f"{CORE_V1_URN}:{kind.value}",
        "name": kind.value,
        "description": f"The {kind.value} resource.",
        "schema": CORE_V1_URN,
        "endpoint": kind.endpoint,
        "attributes": described,
        "meta": {"location": f"{base_url.rstrip('/')}/Schemas/{kind.value}"},
    }


def _attribute(entry: Attribute, urn: str) -> Json:
    document: Document = {
        "name": entry.name,
        "type": entry.type.value if entry.type.value != "reference" else "string",
        "multiValued": entry.multi_valued,
        "description": entry.description,
        "schema": urn,
        "readOnly": entry.mutability.value == "readOnly",
        "required": entry.required,
        "caseExact": entry.case_exact,
    }
    if entry.sub_attributes:
        document["subAttributes"] = [
            {
                "name": "managerId" if entry.name == "manager" and sub.name == "value" else sub.name,
                "type": sub.type.value if sub.type.value != "reference" else "string",
                "multiValued": sub.multi_valued,
                "description": sub.description,
                "readOnly": sub.mutability.value == "readOnly",
                "required": sub.required,
                "caseExact": sub.case_exact,
            }
            for sub in entry.sub_attributes
        ]
    return document


def _listed(resources: list[Json]) -> Document:
    return {
        "schemas": [CORE_V1_URN],
        "totalResults": len(resources),
        "itemsPerPage": len(resources),
        "startIndex": 1,
        "Resources": resources,
    }
