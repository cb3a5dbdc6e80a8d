"""SCIM as an OpenAPI document, for a fuzzer that asks one thing of it: never a fault.

It is written by hand and loose on purpose: what a body must look like is the matter of other suites.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_ANY = {"type": ["string", "number", "boolean", "null", "array", "object"]}
_TEXT = {"type": ["string", "null", "integer", "array"]}
_FLAG = {"enum": [True, False, "True", "false", None, "maybe", [True]]}


def document(bases: Sequence[str]) -> dict[str, Any]:
    """Return the document of what is served below these addresses of a directory."""
    paths = {f"{base}{path}": found for base in bases for path, found in _paths().items()}
    return {"openapi": "3.1.0", "info": {"title": "SCIM", "version": "2.0"}, "paths": paths}


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for kind in ("Users", "Groups"):
        body = _body(_USER if kind == "Users" else _GROUP)
        paths[f"/{kind}"] = {
            "get": _operation(*_search_parameters()),
            "post": _operation(*_shown(), body=body),
        }
        paths[f"/{kind}/{{id}}"] = {
            "get": _operation(_id(), *_shown(), _header("If-None-Match")),
            "put": _operation(_id(), _header("If-Match"), body=body),
            "patch": _operation(_id(), _header("If-Match"), body=_body(_patch(kind))),
            "delete": _operation(_id(), _header("If-Match")),
        }
        paths[f"/{kind}/.search"] = {"post": _operation(body=_body(_SEARCH))}
    paths["/.search"] = {"post": _operation(body=_body(_SEARCH))}
    paths["/Bulk"] = {"post": _operation(body=_body(_BULK))}
    for name in ("ServiceProviderConfig", "ResourceTypes", "Schemas"):
        paths[f"/{name}"] = {"get": _operation()}
    return paths


def _operation(*parameters: dict[str, Any], body: dict[str, Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"responses": {"default": {"description": "Any answer."}}}
    if parameters:
        found["parameters"] = list(parameters)
    if body is not None:
        found["requestBody"] = body
    return found


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/scim+json": {"schema": schema}, "application/json": {"schema": schema}}}


def _id() -> dict[str, Any]:
    return {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": {"type": "string"}}


def _query(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema or {"type": "string"}}


def _shown() -> list[dict[str, Any]]:
    names = {"enum": ["userName", "emails.value,name", "members", f"{_ENTERPRISE}:manager", ",", "a.b.c"]}
    return [_query("attributes", **names), _query("excludedAttributes", **names)]


def _search_parameters() -> list[dict[str, Any]]:
    filters = [
        'userName eq "a"', 'emails[type eq "work" and value co "x"]', "not (active eq true)", "id pr", "a eq",
        'meta.created gt "2026-01-01T00:00:00Z"', 'members[value eq "x"] or displayName sw "\\u00e9"',
    ]  # fmt: skip
    return [
        *_shown(),
        {"name": "filter", "in": "query", "schema": {"anyOf": [{"enum": filters}, {"type": "string"}]}},
        _query("startIndex", type=["integer", "string"]),
        _query("count", type=["integer", "string"]),
        _query("sortBy", enum=["userName", "meta.created", "emails", "displayName", "id", "x"]),
        _query("sortOrder", enum=["ascending", "descending", "up"]),
        _query("cursor"),
    ]


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": _ANY}


def _several(**properties: Any) -> dict[str, Any]:
    entry = _object(value=_TEXT, type=_TEXT, primary=_FLAG, **properties)
    return {"anyOf": [{"type": "array", "items": {"anyOf": [entry, _TEXT]}}, entry, {"type": "null"}]}


_NAME = {"type": "string", "minLength": 1, "maxLength": 30}
_USER = {
    **_object(
        userName=_NAME,
        active=_FLAG,
        name=_object(givenName=_TEXT, familyName=_TEXT, formatted=_TEXT),
        emails=_several(display=_TEXT),
        addresses=_several(locality=_TEXT),
        roles=_several(),
        externalId=_TEXT,
        manager=_ANY,
        schemas=_ANY,
        **{_ENTERPRISE: _object(department=_TEXT, manager=_object(value=_TEXT))},
    ),
    "required": ["userName"],
}
_GROUP = {
    **_object(displayName=_NAME, members=_several(**{"$ref": _TEXT}), externalId=_TEXT),
    "required": ["displayName"],
}
_SEARCH = _object(
    filter={"type": "string"},
    attributes={"type": ["array", "string"], "items": {"type": "string"}},
    startIndex={"type": ["integer", "string"]},
    count={"type": ["integer", "string"]},
    sortBy={"type": "string"},
    cursor={"type": ["string", "null"]},
)
_BULK = {
    **_object(
        failOnErrors={"type": ["integer", "null"]},
        Operations={
            "type": "array",
            "maxItems": 5,
            "items": _object(
                method={"enum": ["POST", "PUT", "PATCH", "DELETE", "GET"]},
                path={"enum": ["/Users", "/Groups", "/Users/x", "/Users/bulkId:1", "/Me"]},
                bulkId={"enum": ["1", "2"]},
                data={"anyOf": [_USER, _GROUP, _ANY]},
            ),
        },
    ),
    "required": ["Operations"],
}


def _patch(kind: str) -> dict[str, Any]:
    paths = [
        "active",
        "name.givenName",
        'emails[type eq "work"].value',
        "id",
        "roles",
        f"{_ENTERPRISE}.manager",
    ]
    if kind == "Groups":
        paths = ["members", 'members[value eq "x"]', "displayName", "members.value", "externalId"]
    operation = {
        **_object(
            op={"enum": ["add", "Replace", "REMOVE", "set"]},
            path={"anyOf": [{"enum": paths}, {"type": ["string", "null"]}]},
            value={"anyOf": [_ANY, _USER if kind == "Users" else _GROUP, _several()]},
        ),
        "required": ["op"],
    }
    operations = {"type": "array", "items": operation, "minItems": 1, "maxItems": 4}
    return {**_object(Operations=operations), "required": ["Operations"]}
