"""Targets for the small readers: signatures, cursors, headers, queries, addresses, times, filters as SQL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import Dialect
from sqlalchemy.dialects import registry

from syncline.core.errors import BadRequest, ValidationFailed
from syncline.core.ids import Prefix
from syncline.core.paging import PageRequest, Span
from syncline.core.redact import redact_headers, redact_url
from syncline.core.scim.errors import ScimError
from syncline.core.scim.filter import parse_filter, parse_instant
from syncline.core.scim.schema import ResourceKind
from syncline.core.signing import (
    SignatureRefused,
    standard_headers,
    verify_standard,
    verify_workos,
    workos_signature,
)
from syncline.net.policy import AddressPolicy, AddressRefused
from syncline.services.domains import checked_name
from syncline.services.kernel import Kernel
from syncline.services.resources import Resources
from syncline.services.scim_access import read_token
from syncline.store.scim_filter import condition
from syncline.store.scim_values import Place
from syncline.web.api.app import _segments
from syncline.web.api.routing import Call, read_moment
from syncline.web.api.routing import read_query as read_api_query
from syncline.web.scim.app import _etags
from syncline.web.scim.parameters import search
from syncline.web.scim.request import (
    ScimRequest,
    _check_media_type,
    read_headers,
    read_query,
    read_target,
)
from tests.fuzz import seeds
from tests.fuzz.checks import check, check_refusal, text_of

Run = Callable[[bytes], None]
_NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
_DIALECTS: tuple[Dialect, ...] = tuple(registry.load(name)() for name in ("postgresql", "sqlite"))
_SEARCH = "a search"
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_NOW_MS = 1_768_478_400_000
# Of all its parts the reader of cursors needs the clock alone.
_RESOURCES = Resources.__new__(Resources)
_RESOURCES._kernel = cast(Kernel, SimpleNamespace(clock=lambda: _NOW))


def _lines(data: bytes, count: int) -> list[bytes]:
    found = data.split(b"\n", count - 1)
    return found + [b""] * (count - len(found))


def _signature(data: bytes) -> None:
    """A secret, header values and a body as a receiver has them; only what was signed is accepted."""
    secret, first, second, third, body = _lines(data, 5)
    # Secrets are the receiver's own, so they are at least text.
    secrets = [secret.decode(errors="replace"), _SECRET]
    try:
        verify_workos(_SECRET, text_of(first), body, now_ms=_NOW_MS)
    except SignatureRefused:
        pass
    else:
        at = int(text_of(first).removeprefix("t=").partition(",")[0])
        check(text_of(first).replace(" ", "") == workos_signature(_SECRET, at, body).replace(" ", ""), first)
    headers = {
        "Webhook-ID": text_of(first),
        "webhook-timestamp": text_of(second),
        "WEBHOOK-SIGNATURE": text_of(third),
    }
    try:
        verify_standard(secrets, headers, body, now_s=_NOW_MS // 1000)
    except SignatureRefused:
        pass
    else:
        made = standard_headers(secrets, text_of(first), int(second), body)["webhook-signature"]
        check(bool(set(made.split(" ")) & set(text_of(third).split(" "))), third)
    verify_workos(_SECRET, workos_signature(_SECRET, _NOW_MS, body), body, now_ms=_NOW_MS)


def _signed() -> list[bytes]:
    """Inputs that verify."""
    body = b'{"a":1}'
    workos = workos_signature(_SECRET, _NOW_MS, body).encode()
    made = standard_headers([_SECRET], "msg_1", _NOW_MS // 1000, body)
    standard = [made[name].encode() for name in ("webhook-id", "webhook-timestamp", "webhook-signature")]
    return [b"\n".join((b"x", workos, b"", b"", body)), b"\n".join((b"x", *standard, body))]


def _cursor(data: bytes) -> None:
    """Cursors of SCIM searches and of REST lists, as text of a query."""
    text = text_of(data)
    try:
        cursor = _RESOURCES._opened(text, _SEARCH)
    except ScimError as error:
        check_refusal(error, "invalidCursor", "expiredCursor")
    else:
        # What goes into a statement: PostgreSQL takes no NUL in a text.
        for part in (cursor.key or "", cursor.id):
            part.encode()
            check("\0" not in part, cursor)
    for prefix in (Prefix.EVENT, Prefix.ORGANIZATION, Prefix.DIRECTORY_USER):
        try:
            page = PageRequest(after=text, before=text or None).of(prefix)
        except ValidationFailed:
            continue
        assert page.read(_nothing, key=str).items == []


def _nothing(_: Span) -> Sequence[str]:
    return []


def _query(data: bytes) -> None:
    """Query strings of both interfaces, and what is read from them."""
    try:
        search(dict(read_query(data)), tuple(ResourceKind))
    except ScimError as error:
        check_refusal(error, "invalidValue", "invalidFilter", "invalidPath", "invalidSyntax", "invalidCount")
    try:
        query = read_api_query(data)
        call = Call(cast(Any, None), cast(Any, None), cast(Any, None), {}, query)
        call.texts("events")
        call.page()
        call.moment("range_start")
    except ValidationFailed as error:
        check(all(one.field for one in error.errors), error)


def _headers(data: bytes) -> None:
    """The values of headers, which reach an application as Latin-1, and the path and query of the target."""
    authorization, content_type, etags, path, query = _lines(data, 5)
    names = (b"authorization", b"Content-Type", b"if-match", b"if-match")
    scope = {
        "headers": list(zip(names, (authorization, content_type, etags, content_type), strict=True)),
        "raw_path": path,
        "path": path.decode("latin-1"),
        "query_string": query,
    }
    headers = read_headers(scope)
    token, _ = read_token(headers["authorization"])
    token.encode()
    assert len(token) <= 512
    _etags(headers["if-match"])
    redact_headers(headers)
    request = ScimRequest("GET", False, "x", (), {}, headers, cast(Any, None))
    for read in (lambda: _check_media_type(request.headers), lambda: read_target(scope)):
        try:
            read()
        except ScimError as error:
            check(error.status in (404, 414, 415), repr(error))
    try:
        _segments(scope)
    except BadRequest:
        return


def _moment(data: bytes) -> None:
    """Times as filters and queries carry them."""
    text = text_of(data)
    found = parse_instant(text)
    assert found is None or found.tzinfo is UTC
    try:
        assert read_moment(text, "range_start").tzinfo is UTC
    except ValidationFailed:
        return


def _url(data: bytes) -> None:
    """Addresses of webhooks and names of domains, which come out of JSON and so are text."""
    text = data.decode(errors="replace")

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34"]

    try:
        asyncio.run(AddressPolicy(["127.0.0.1:8080"]).check_url(text, resolve=resolve))
    except AddressRefused as refusal:
        refusal.reason.encode()
    with contextlib.suppress(ValidationFailed):
        check(checked_name(text).isascii(), text)
    redact_url(text)


def _sql(data: bytes) -> None:
    """Filters as SQL of both databases."""
    kind = ResourceKind.GROUP if data[:1] == b"g" else ResourceKind.USER
    try:
        term = parse_filter(text_of(data[1:]), kind)
    except ScimError:
        return
    if term is None:
        return
    for dialect in _DIALECTS:
        place = Place(kind, dialect.name, "https://syncline.example/scim/v2/x", "directory_1")
        compiled = condition(term, place).compile(dialect=dialect)
        for value in compiled.params.values():
            assert not isinstance(value, str) or "\0" not in value


READERS: dict[str, tuple[Run, Sequence[bytes], Sequence[bytes]]] = {
    "signature": (_signature, (*seeds.SIGNATURES, *_signed()), seeds.SIGNATURE_WORDS),
    "cursor": (_cursor, seeds.CURSORS, seeds.CURSOR_WORDS),
    "query": (_query, seeds.QUERIES, seeds.QUERY_WORDS),
    "headers": (_headers, seeds.HEADERS, seeds.HEADER_WORDS),
    "moment": (_moment, seeds.MOMENTS, seeds.MOMENT_WORDS),
    "url": (_url, seeds.URLS, seeds.URL_WORDS),
    "sql": (_sql, seeds.FILTERS, (*seeds.NAMES, *seeds.FILTER_WORDS)),
}
"""Run, inputs to start from, and words, by the name of the target."""
