"""What an answer to a hostile request must look like: never a fault, and an error in its interface's form."""

from __future__ import annotations

import json
from typing import Any

from tests.hostile.requests import Request
from tests.hostile.wire import Answer

_ERROR_URN = "urn:ietf:params:scim:api:messages:2.0:Error"
_SCIM_TYPES = frozenset(
    {
        "invalidFilter",
        "tooMany",
        "uniqueness",
        "mutability",
        "invalidSyntax",
        "invalidPath",
        "noTarget",
        "invalidValue",
        "invalidCursor",
        "expiredCursor",
        "invalidCount",
    }
)


def is_overload(answer: Answer) -> bool:
    """Tell whether an answer is the one fault that is allowed: too much at once, come back later."""
    return answer.status == 503 and answer.headers.get("retry-after", "").isdigit()


def complaint(request: Request, answer: Answer) -> str | None:
    """Return what is wrong with an answer, None if nothing is."""
    if answer.status >= 500 and not is_overload(answer):
        # RFC 7644 §3.11: the one endpoint that is not offered says so.
        is_me = answer.status == 501 and b"Me" in request.path
        return None if is_me else f"a fault: {answer.status} {answer.body[:200]!r}"
    if not answer.body:
        needs = answer.status >= 400 and request.method.upper() != "HEAD"
        return f"{answer.status} without a body" if needs else None
    try:
        body = json.loads(answer.body.decode())
    except ValueError:
        is_text = answer.headers.get("content-type", "").startswith("text/plain")
        return None if answer.status == 200 and is_text else f"no JSON: {answer.body[:200]!r}"
    if answer.status < 400:
        return None
    forms = [_form(request.path)]
    if request.closes:
        # What cannot be read as a request was said to no interface in particular.
        forms = list(_FORMS.values())
    problems = [form(answer, body) for form in forms]
    return None if None in problems else problems[0]


def _form(path: bytes) -> Any:
    if path.startswith(b"/scim/v1/"):
        return _FORMS["scim 1.1"]
    return _FORMS["scim 2.0"] if path.startswith(b"/scim/") else _FORMS["rest"]


def _scim2(answer: Answer, body: Any) -> str | None:
    if answer.headers.get("content-type") != "application/scim+json":
        return f"media type {answer.headers.get('content-type')!r}"
    if not isinstance(body, dict) or body.get("schemas") != [_ERROR_URN]:
        return f"no SCIM error: {body!r}"[:300]
    if body.get("status") != str(answer.status) or not _is_sentence(body.get("detail")):
        return f"status or detail: {body!r}"[:300]
    if body.get("scimType") is not None and body["scimType"] not in _SCIM_TYPES:
        return f"unknown scimType: {body!r}"[:300]
    return _extra_headers(answer)


def _scim1(answer: Answer, body: Any) -> str | None:
    if answer.headers.get("content-type") != "application/json; charset=utf-8":
        return f"media type {answer.headers.get('content-type')!r}"
    listed = body.get("Errors") if isinstance(body, dict) else None
    if not isinstance(listed, list) or len(listed) != 1:
        return f"no SCIM 1.1 error: {body!r}"[:300]
    if listed[0].get("code") != str(answer.status) or not _is_sentence(listed[0].get("description")):
        return f"code or description: {body!r}"[:300]
    return _extra_headers(answer)


def _rest(answer: Answer, body: Any) -> str | None:
    if answer.headers.get("content-type") != "application/json":
        return f"media type {answer.headers.get('content-type')!r}"
    if not isinstance(body, dict) or not _is_sentence(body.get("message")):
        return f"no REST error: {body!r}"[:300]
    if not isinstance(body.get("code"), str) or "error" in body:
        return f"code: {body!r}"[:300]
    if ("errors" in body) != (answer.status == 422):
        return f"errors belong to 422: {body!r}"[:300]
    return _extra_headers(answer)


def _extra_headers(answer: Answer) -> str | None:
    if answer.status == 405 and "allow" not in answer.headers:
        return "405 without Allow"
    return None


def _is_sentence(text: Any) -> bool:
    # Whatever the client sent is shortened in it.
    return isinstance(text, str) and 0 < len(text) < 40_000 and "Traceback" not in text


_FORMS = {"scim 2.0": _scim2, "scim 1.1": _scim1, "rest": _rest}
