"""Pages of the REST reference, read from the OpenAPI document that Syncline serves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from scripts.docs_site import examples
from scripts.docs_site.markdown import code, joined, pretty, slug, table
from syncline import __version__
from syncline.web.api.app import ROUTES
from syncline.web.api.openapi import document
from syncline.web.api.routing import Route

_REF = "#/components/schemas/"
_SHARED = {
    **dict.fromkeys(("limit", "order", "after", "before"), "lists"),
    "Idempotency-Key": "repeating-a-post",
}
"""Parameters that many calls take, and where they are explained."""


@cache
def openapi() -> dict[str, Any]:
    """Return the OpenAPI document as a fresh installation serves it."""
    return document(ROUTES, version=__version__, base_url=examples.BASE_URL)


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: its route and what the document says about it."""

    route: Route
    entry: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The anchor of its section."""
        return slug(str(self.entry["operationId"]))


def operations() -> list[Operation]:
    """Return every call, in the order of the route table."""
    paths = openapi()["paths"]
    return [Operation(route, paths[route.path][route.method.lower()]) for route in ROUTES]


def pages() -> Iterator[tuple[str, str]]:
    """Yield path and text of a page for each kind of resource."""
    for tag in openapi()["tags"]:
        found = [operation for operation in operations() if tag["name"] in operation.entry["tags"]]
        yield f"reference/api/{slug(tag['name'])}.md", _page(tag, found)


def overview() -> str:
    """Return a table of every call."""
    rows = [
        (
            f"[`{one.route.method} {one.route.path}`]({slug(one.entry['tags'][0])}.md#{one.id})",
            str(one.entry["summary"]),
            f"`{one.route.needs}`",
        )
        for one in operations()
    ]
    return table(("call", "does", "scope"), rows)


def curl(operation: Operation) -> str:
    """Return the example of a call as a shell command."""
    route = operation.route
    path = route.path.replace("{id}", examples.PATH_IDS.get(route.segments[0], "…"))
    for name, value in examples.OTHER_IDS.items():
        path = path.replace(f"{{{name}}}", value)
    verb = "" if route.method == "GET" else f"-X {route.method} "
    lines = [f"curl {verb}{examples.BASE_URL}{path}", '-H "Authorization: Bearer $SYNCLINE_API_KEY"']
    if route.takes is not None:
        body = request_example(operation)
        lines += ['-H "Content-Type: application/json"', f"-d '{pretty(body)}'"]
    return " \\\n  ".join(lines)


def request_example(operation: Operation) -> dict[str, Any]:
    """Return a body made of the examples that the fields carry."""
    properties = _body_schema(operation).get("properties", {})
    return {name: schema["examples"][0] for name, schema in properties.items() if schema.get("examples")}


def answer_example(operation: Operation) -> Any:
    """Return the body of a good answer, None if there is none."""
    route = operation.route
    if route.answers is None:
        return None
    if isinstance(route.answers, list):
        item = examples.answer(route.answers[0], is_new=False)
        cursors = dict.fromkeys(route.cursors) | ({"cursor": item["id"]} if "cursor" in route.cursors else {})
        return {"object": "list", "data": [item], "list_metadata": cursors}
    return examples.answer(route.answers, is_new=route.method == "POST")


def _page(tag: Mapping[str, str], found: list[Operation]) -> str:
    title = tag["name"].replace("_", " ").capitalize().replace("Api", "API")
    shown = [schema for one in found for schema in (_answer_schema(one), _body_schema(one))]
    kinds = dict.fromkeys(name for schema in shown for name in _names(schema))
    return joined(
        f"# {title}",
        tag["description"],
        *(_operation(one) for one in found),
        *([f"## Objects {{#{slug(tag['name'])}-objects}}"] if kinds else []),
        *(_object(name) for name in kinds),
    )


def _operation(operation: Operation) -> str:
    entry, route = operation.entry, operation.route
    answer = answer_example(operation)
    return joined(
        f"## {entry['summary']} {{#{operation.id}}}",
        f"`{route.method} {route.path}`{{ .call .{route.method.lower()} }} needs the scope `{route.needs}`.",
        str(entry.get("description", "")),
        _section("Parameters", _parameters(entry.get("parameters", ()))),
        _section("Body", _fields(_body_schema(operation))),
        _section("Example", code("bash", curl(operation))),
        _section("Answer", joined(_answer(operation), code("json", pretty(answer)) if answer else "")),
        _section("Refusals", _refusals(entry["responses"])),
    )


def _section(title: str, text: str) -> str:
    return f"**{title}**\n\n{text}" if text else ""


def _parameters(parameters: Iterable[Mapping[str, Any]]) -> str:
    """Return a table of what is particular to the call; what every list or POST takes is said once."""
    shared = [one["name"] for one in parameters if one["name"] in _SHARED]
    rows = [
        (
            f"`{one['name']}`",
            str(one["in"]),
            _type(one["schema"]),
            " ".join([str(one["description"]), *_default(one["schema"])]),
        )
        for one in parameters
        if one["name"] not in _SHARED
    ]
    links = ", ".join(f"[`{name}`](index.md#{_SHARED[name]})" for name in shared)
    return joined(table(("parameter", "in", "type", "meaning"), rows), f"Also {links}." if links else "")


def _answer(operation: Operation) -> str:
    status = operation.route.status
    names = list(_names(_answer_schema(operation)))
    if not names:
        return f"`{status}`, without a body."
    anchor = f"[{_label(names[0])}](#{slug(names[0])})"
    is_list = isinstance(operation.route.answers, list)
    return f"`{status}` with a page of: {anchor}." if is_list else f"`{status}` with: {anchor}."


def _refusals(responses: Mapping[str, Any]) -> str:
    rows = [
        (f"`{status}`", _codes(answer.get("x-codes", ["entity_not_found"])), str(answer["description"]))
        for status, answer in responses.items()
        if status == "404" or "x-codes" in answer
    ]
    also = "[those of every call](../errors.md#every-call)"
    if not rows:
        return f"Only {also}."
    return joined(table(("status", "code", "when"), rows), f"And {also}.")


def _codes(codes: Iterable[str]) -> str:
    return ", ".join(f"[`{one}`](../errors.md#{slug(one)})" for one in codes)


def _object(name: str) -> str:
    schema = openapi()["components"]["schemas"][name]
    return joined(f"### {_label(name)} {{#{slug(name)}}}", schema.get("description", ""), _fields(schema))


def _fields(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        (
            f"`{name}`",
            _type(part),
            "yes" if name in required else "",
            " ".join([part.get("description", ""), *_default(part)]),
        )
        for name, part in schema.get("properties", {}).items()
    ]
    return table(
        ("field", "type", "always" if "object" in schema.get("properties", {}) else "required", "meaning"),
        rows,
    )


def _type(schema: Mapping[str, Any]) -> str:
    """Return a schema's type in words."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return f"[{_label(name)}](#{slug(name)})"
    if "enum" in schema:
        return ", ".join(
            f"`{json.dumps(value)}`" if value is None else f"`{value}`" for value in schema["enum"]
        )
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(part) for part in schema["anyOf"]))
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return "time" if schema.get("format") == "date-time" else str(kind)


def _default(schema: Mapping[str, Any]) -> list[str]:
    default = schema.get("default")
    if default is None or default == []:
        return []
    return [f"Default: `{default if isinstance(default, str) else json.dumps(default)}`."]


def _body_schema(operation: Operation) -> Mapping[str, Any]:
    content = operation.entry.get("requestBody", {}).get("content", {})
    return _resolved(content.get("application/json", {}).get("schema", {}))


def _answer_schema(operation: Operation) -> Mapping[str, Any]:
    answer = operation.entry["responses"][str(operation.route.status)]
    found: Mapping[str, Any] = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return found


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = openapi()["components"]["schemas"][schema["$ref"].removeprefix(_REF)]
    return found


def _names(schema: Any) -> Iterator[str]:
    """Yield the named schemas that a schema needs, each before those inside it."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(_REF)
            yield name
            yield from _names(openapi()["components"]["schemas"][name])
        for key, part in schema.items():
            if key != "$ref":
                yield from _names(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _names(part)


_LABELS = {"ManagedDirectoryBody": "Managed directory", "ApiKeyBody": "API key"}


def _label(name: str) -> str:
    if name in _LABELS:
        return _LABELS[name]
    words = "".join(f" {char.lower()}" if char.isupper() else char for char in name.removesuffix("Input"))
    return words.strip().capitalize().replace("Scim ", "SCIM ")
