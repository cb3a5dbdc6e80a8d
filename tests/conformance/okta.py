"""A player for the API tests that Okta publishes: requests with templates, variables and assertions."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

_MISSING = object()
Json = Any


@dataclass(slots=True)
class Played:
    """How many requests of a file passed, how many of all are required, and what was wrong with which."""

    passed: int = 0
    required: int = 0
    problems: list[str] = field(default_factory=list)
    optional_problems: list[str] = field(default_factory=list)


def play(document: Mapping[str, Json], base: str, token: str, *, core: str) -> Played:
    """Play every request of a file, those that Okta calls optional too.

    Makes one user before, which the first request expects to find.
    """
    unique = secrets.token_hex(6)
    name = f"rosa.lindqvist.{unique}@northwind.example"
    variables: dict[str, str] = {
        "SCIMBaseURL": base,
        "auth": f"Bearer {token}",
        "randomUsername": name,
        "randomUsernameCaps": name.upper(),
        "randomEmail": name,
        "randomGivenName": "Rosa",
        "randomFamilyName": f"Lindqvist {unique}",
        "InvalidUserEmail": f"nobody.{unique}@northwind.example",
        "UserIdThatDoesNotExist": f"nobody{unique}",
    }
    played = Played()
    with httpx.Client(timeout=30) as client:
        _make_first(client, base, token, core)
        for step in document["steps"]:
            if step["step_type"] != "request" or step.get("skipped"):
                continue
            found = [f"{step.get('note')}: {problem}" for problem in _step(client, step, variables)]
            played.passed += not found
            if str(step.get("note", "")).lower().startswith("optional"):
                played.optional_problems += found
            else:
                played.required += 1
                played.problems += found
    return played


def _make_first(client: httpx.Client, base: str, token: str, core: str) -> None:
    name = "first.person@northwind.example"
    body = {
        "schemas": [core],
        "userName": name,
        "name": {"givenName": "First", "familyName": "Person"},
        "emails": [{"value": name, "type": "work", "primary": True}],
        "active": True,
    }
    made = client.post(f"{base}/Users", json=body, headers={"Authorization": f"Bearer {token}"})
    made.raise_for_status()


def _step(client: httpx.Client, step: Mapping[str, Json], variables: dict[str, str]) -> list[str]:
    # Files of different ages hold a header's value as a text or as a list of one.
    given = {key: value if isinstance(value, str) else value[0] for key, value in step["headers"].items()}
    headers = {key: _filled(value, variables) for key, value in given.items()}
    body = step.get("body")
    answer = client.request(
        step["method"],
        _filled(step["url"], variables),
        headers=headers,
        content=None if body is None else _filled(body, variables).encode(),
    )
    problems = [
        f"{check['source']} {check.get('property') or ''} {check['comparison']} {check.get('value')}"
        for check in step["assertions"]
        if not _holds(check, answer, variables)
    ]
    for variable in step["variables"]:
        value = _source(variable, answer)
        if value is not _MISSING:
            variables[variable["name"]] = str(value)
    return problems


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: variables.get(found[1], found[0]), text)


def _source(check: Mapping[str, Json], answer: httpx.Response) -> Json:
    match check["source"]:
        case "response_status":
            return answer.status_code
        case "response_time":
            return answer.elapsed.total_seconds() * 1000
        case "response_headers":
            return answer.headers.get(check["property"], _MISSING)
    if not answer.content:
        return _MISSING
    return _at(answer.json(), check.get("property") or "")


def _at(document: Json, path: str) -> Json:
    for part in re.findall(r"[^.\[\]]+", path):
        if isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            return _MISSING
    return document


def _text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: Json) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


_COMPARISONS: Mapping[str, Callable[[Json, str], object]] = {
    "equal": lambda found, wanted: _text(found) == wanted,
    "equal_number": lambda found, wanted: _number(found) == _number(wanted),
    "not_equal": lambda found, wanted: _text(found) != wanted,
    "empty": lambda found, _: found in (None, "", [], {}),
    "not_empty": lambda found, _: found not in (None, "", [], {}),
    "is_a_number": lambda found, _: _number(found) is not None,
    "has_value": lambda found, wanted: wanted in found if isinstance(found, list) else _text(found) == wanted,
    "contains": lambda found, wanted: wanted in (found if isinstance(found, list) else _text(found)),
    "is_less_than": lambda found, wanted: (_number(found) or 0) < float(wanted),
}


def _holds(check: Mapping[str, Json], answer: httpx.Response, variables: Mapping[str, str]) -> bool:
    found = _source(check, answer)
    if found is _MISSING:
        return bool(check["comparison"] == "empty")
    wanted = _filled(str(check.get("value") or ""), variables)
    return bool(_COMPARISONS[check["comparison"]](found, wanted))
