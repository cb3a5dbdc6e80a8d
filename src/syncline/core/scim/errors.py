"""Every error a SCIM client can be told, and the bodies that carry it (RFC 7644 §3.12).

Client data never causes a 5xx: whatever a request does wrong ends in one of the 4xx below. `detail` is
one sentence that names the attribute, the operation or the member.
"""

from collections.abc import Mapping, Sequence

from syncline.core.json import Json

ERROR_URN = "urn:ietf:params:scim:api:messages:2.0:Error"


class ScimError(Exception):
    """A refused request: HTTP status, a sentence, and `scimType` where RFC 7644 or 9865 defines one."""

    def __init__(
        self,
        status: int,
        detail: str,
        scim_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.scim_type = scim_type
        self.headers: Mapping[str, str] = headers or {}

    def __repr__(self) -> str:
        return f"ScimError({self.status}, {self.detail!r}, {self.scim_type!r})"


def body_v2(error: ScimError) -> dict[str, Json]:
    """Return the SCIM 2.0 Error body; `status` is a string (RFC 7644 §3.12)."""
    body: dict[str, Json] = {"schemas": [ERROR_URN], "status": str(error.status)}
    if error.scim_type is not None:
        body["scimType"] = error.scim_type
    body["detail"] = error.detail
    return body


def body_v1(error: ScimError) -> dict[str, Json]:
    """Return the SCIM 1.1 Errors array, plus `detail` for clients that only look there (S11-3)."""
    return {
        "Errors": [{"description": error.detail, "code": str(error.status)}],
        "detail": error.detail,
    }


def invalid_value(detail: str) -> ScimError:
    """400: a value is missing, of the wrong type or not allowed for its attribute."""
    return ScimError(400, detail, "invalidValue")


def invalid_path(detail: str) -> ScimError:
    """400: a PATCH path, `sortBy` or attribute name cannot be read."""
    return ScimError(400, detail, "invalidPath")


def invalid_filter(detail: str) -> ScimError:
    """400: a filter cannot be read to its end, or compares what cannot be compared."""
    return ScimError(400, detail, "invalidFilter")


def invalid_syntax(detail: str) -> ScimError:
    """400: the body is no JSON object of the expected shape."""
    return ScimError(400, detail, "invalidSyntax")


def no_target(detail: str) -> ScimError:
    """400: a PATCH operation names nothing it could act on."""
    return ScimError(400, detail, "noTarget")


def mutability(detail: str) -> ScimError:
    """400: the operation would change or unset what is read-only or required."""
    return ScimError(400, detail, "mutability")


def too_many(detail: str) -> ScimError:
    """400: the answer would be larger than the server is willing to compute."""
    return ScimError(400, detail, "tooMany")


def invalid_cursor(detail: str = "The cursor was not issued by this server for this request.") -> ScimError:
    """400: the cursor cannot be read (RFC 9865)."""
    return ScimError(400, detail, "invalidCursor")


def expired_cursor(detail: str = "The cursor has expired; start again without one.") -> ScimError:
    """400: the cursor was valid once (RFC 9865)."""
    return ScimError(400, detail, "expiredCursor")


def invalid_count(detail: str) -> ScimError:
    """400: `count` does not fit the cursor's page size (RFC 9865)."""
    return ScimError(400, detail, "invalidCount")


def unauthorized(detail: str = "A valid bearer token of this directory is required.") -> ScimError:
    """401: the one answer for a token that is missing, wrong, expired, revoked or foreign."""
    return ScimError(401, detail, headers={"WWW-Authenticate": "Bearer"})


def forbidden(detail: str) -> ScimError:
    """403: understood and refused, such as a filter on a discovery endpoint (RFC 7644 §4)."""
    return ScimError(403, detail)


def not_found(kind: str, resource_id: str) -> ScimError:
    """404: no such resource here; the same sentence for foreign ids and ids that never existed."""
    return ScimError(404, f"{kind} '{shorten(resource_id)}' was not found.")


def no_such_endpoint() -> ScimError:
    """404: the address names no SCIM endpoint."""
    return ScimError(404, "This address is not a SCIM endpoint.")


def method_not_allowed(method: str, allowed: Sequence[str]) -> ScimError:
    """405 with `Allow`: the endpoint exists and does not know the method."""
    detail = f"The method {shorten(method)} is not allowed here; use {', '.join(allowed)}."
    return ScimError(405, detail, headers={"Allow": ", ".join(allowed)})


def request_timeout(detail: str = "The request body did not arrive in time.") -> ScimError:
    """408: the body's deadline passed."""
    return ScimError(408, detail, headers={"Connection": "close"})


def uniqueness(detail: str) -> ScimError:
    """409: another live resource holds the value (RFC 7644 §3.12)."""
    return ScimError(409, detail, "uniqueness")


def precondition_failed(detail: str = "The resource has changed since the version in If-Match.") -> ScimError:
    """412: `If-Match` names a version that is not the current one."""
    return ScimError(412, detail)


def too_large(detail: str) -> ScimError:
    """413: the body, or the number of operations in it, exceeds a limit."""
    return ScimError(413, detail)


def uri_too_long(detail: str = "The address of the request is too long.") -> ScimError:
    """414: path and query together exceed the limit."""
    return ScimError(414, detail)


def unsupported_media_type(detail: str = "The request body must be uncompressed JSON.") -> ScimError:
    """415: a media type that is not JSON, or a content encoding."""
    return ScimError(415, detail)


def too_many_requests(retry_after: int) -> ScimError:
    """429: integer seconds, because Okta cannot read a date there."""
    detail = f"Too many requests for this directory; retry after {retry_after} seconds."
    return ScimError(429, detail, headers={"Retry-After": str(retry_after)})


def not_implemented(detail: str) -> ScimError:
    """501: an endpoint of RFC 7644 that is not offered, such as /Me."""
    return ScimError(501, detail)


def unavailable(retry_after: int) -> ScimError:
    """503: overload, never a consequence of what was sent."""
    detail = f"The server is busy; retry after {retry_after} seconds."
    return ScimError(503, detail, headers={"Retry-After": str(retry_after)})


def shorten(text: str, limit: int = 120) -> str:
    """Return client text fit for a sentence of an error: printable and of bounded length."""
    shown = text if len(text) <= limit else text[:limit] + "…"
    return shown if shown.isprintable() else "".join(c if c.isprintable() else "�" for c in shown)
