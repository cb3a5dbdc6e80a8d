"""The ASGI application below /scim/: authentication, routes by raw path, errors in SCIM's own form."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache, partial

from syncline.core.errors import Overloaded, RateLimited
from syncline.core.ids import Prefix, bare
from syncline.core.json import Json
from syncline.core.model import Cause
from syncline.core.scim import discovery, errors, v1
from syncline.core.scim.discovery import Capabilities
from syncline.core.scim.errors import ScimError
from syncline.core.scim.quirks import quirk
from syncline.core.scim.schema import ResourceKind
from syncline.obs.logging import get_logger, is_debugging
from syncline.services.container import Services
from syncline.services.kernel import DatabaseUnavailable
from syncline.services.scim_access import Aliased, Elsewhere
from syncline.services.scim_aliases import RESERVED
from syncline.web.rates import Rates
from syncline.web.scim.aliased import AliasedHandlers
from syncline.web.scim.answers import Answer, error_answer, send_answer
from syncline.web.scim.bulk import BulkStep, run_bulk
from syncline.web.scim.parameters import Projection, projection, search
from syncline.web.scim.request import (
    LARGE_BODY,
    SMALL_BODY,
    AsgiScope,
    Receive,
    ScimRequest,
    Send,
    is_below_v1,
    read_body,
    read_headers,
    read_query,
    read_rest,
    read_target,
)
from syncline.web.scim.resources import Context, ResourceHandlers

_RETRY_AFTER = 1
_logger = get_logger(__name__)
_KINDS = {kind.endpoint[1:]: kind for kind in ResourceKind}
_RESERVED = frozenset(name.encode() for name in RESERVED) | {b""}
Target = tuple[bool, str, tuple[str, ...]]


class ScimApp:
    """Serves SCIM 2.0 at /scim/v2/{directory} and 1.1 at /scim/v1/{directory}."""

    def __init__(self, services: Services, rates: Rates | None = None) -> None:
        self._services = services
        self._rate = (rates or Rates()).scim
        self._resources = ResourceHandlers(services)
        self._aliased = AliasedHandlers(services)
        metrics = services.kernel.metrics
        self._in_flight = metrics.requests_in_flight.labels("scim")
        self._seconds = metrics.request_seconds.labels("scim")
        # Finding a labelled counter takes longer than counting.
        self._answered = lru_cache(maxsize=256)(partial(metrics.requests.labels, "scim"))

    async def serves(self, scope: AsgiScope) -> bool:
        """Tell whether a request beside /scim/ comes by a further path of the directory of its token."""
        raw = _raw_path(scope)
        if raw[1:].partition(b"/")[0].lower() in _RESERVED:
            return False
        try:
            shown = read_headers(scope).get("authorization")
            return await self._services.scim_access.aliased(raw, shown) is not None
        except DatabaseUnavailable:
            return False

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        kernel = self._services.kernel
        begun = time.perf_counter()
        request_id = kernel.ids.new(Prefix.REQUEST)
        is_v1 = is_below_v1(_raw_path(scope))
        self._in_flight.inc()
        try:
            answer = await self._answer(scope, receive, request_id)
        except ScimError as error:
            answer = error_answer(error, is_v1=is_v1)
        except RateLimited as limited:
            answer = error_answer(errors.too_many_requests(limited.retry_after), is_v1=is_v1)
        except (Overloaded, DatabaseUnavailable) as error:
            _logger.warning("scim.unavailable", request_id=request_id, error=str(error))
            answer = error_answer(errors.unavailable(_RETRY_AFTER), is_v1=is_v1)
        except Exception:
            _logger.exception("scim.failed", request_id=request_id)
            answer = error_answer(
                ScimError(500, "The server failed; the request changed nothing."), is_v1=is_v1
            )
        finally:
            self._in_flight.dec()
        await send_answer(send, answer, is_v1=is_v1, request_id=request_id)
        seconds = time.perf_counter() - begun
        self._answered(_known_method(str(scope["method"])), str(answer.status)).inc()
        self._seconds.observe(seconds)
        if is_debugging():
            _logger.debug(
                "scim.request",
                request_id=request_id,
                method=scope["method"],
                status=answer.status,
                seconds=seconds,
            )

    async def _answer(self, scope: AsgiScope, receive: Receive, request_id: str) -> Answer:
        headers = read_headers(scope)
        method, cause = str(scope["method"]).upper(), Cause(request_id)
        access, shown = self._services.scim_access, headers.get("authorization")
        is_v1, directory_text, segments = await self._target(scope, shown)
        pending = access.pending(directory_text, shown) if _is_write(method, segments) else None
        if pending is None:
            try:
                directory = await access.authenticate(directory_text, shown, cause, path=_raw_path(scope))
            except Elsewhere as found:
                # Old addresses may look like ours.
                is_v1, directory_text, segments = _of_alias(found.aliased, _raw_path(scope))
                directory = await access.authenticate(directory_text, shown, cause)
        else:
            directory = pending.directory
        base_url = f"{self._services.kernel.base_url}/scim/{'v1' if is_v1 else 'v2'}/{bare(directory.id)}"
        token = None if pending is None else pending.token
        try:
            self._rate.take(directory.id)
            request = ScimRequest(
                method=method,
                is_v1=is_v1,
                directory=directory_text,
                segments=segments,
                query=read_query(scope.get("query_string", b"")),
                headers=headers,
                receive=receive,
            )
            _refuse_override(request)
            answer = await self._route(request, Context(directory, base_url, is_v1, cause, token))
        except (ScimError, RateLimited):
            if pending is not None:
                # Nobody may have looked at the token: who may not write is told that, and nothing else.
                await access.authenticate(directory_text, shown, cause)
            raise
        if pending is not None:
            access.used(pending)
        return answer

    async def _target(self, scope: AsgiScope, shown: str | None) -> Target:
        try:
            return read_target(scope)
        except ScimError as error:
            found = await self._by_alias(scope, shown) if error.status == 404 else None
            if found is None:
                raise
            return found

    async def _by_alias(self, scope: AsgiScope, shown: str | None) -> Target | None:
        found = await self._services.scim_access.aliased(_raw_path(scope), shown)
        return None if found is None else _of_alias(found, _raw_path(scope))

    def _handlers(self, context: Context) -> ResourceHandlers:
        return self._aliased if context.directory.has_aliases else self._resources

    async def _route(self, request: ScimRequest, context: Context) -> Answer:
        match request.segments:
            case (name,) if name in _KINDS:
                return await self._collection(request, context, _KINDS[name])
            case (name, ".search") if name in _KINDS:
                return await self._searched(request, context, (_KINDS[name],))
            case (name, id_) if name in _KINDS:
                return await self._one(request, context, _KINDS[name], id_)
            case (".search",):
                return await self._searched(request, context, tuple(ResourceKind))
            case ("Bulk",):
                return await self._bulk(request, context)
            case ("Me",):
                raise errors.not_implemented("There is no person behind a directory's token.")
        return self._discovery(request, context)

    async def _collection(self, request: ScimRequest, context: Context, kind: ResourceKind) -> Answer:
        _allow(request, "GET", "POST")
        if request.method == "GET":
            return await self._handlers(context).search(
                context, (kind,), search(dict(request.query), (kind,))
            )
        shown = projection(dict(request.query), kind)
        body = await read_body(request, _limit(kind))
        return await self._handlers(context).create(context, kind, body, shown)

    async def _one(self, request: ScimRequest, context: Context, kind: ResourceKind, id_: str) -> Answer:
        _allow(request, "GET", "PUT", "PATCH", "DELETE")
        shown = projection(dict(request.query), kind)
        if request.method == "GET":
            known = _etags(request.headers.get("if-none-match")) or frozenset()
            return await self._handlers(context).read(context, kind, id_, shown, known)
        if_match = _etags(request.headers.get("if-match"))
        if request.method == "DELETE":
            return await self._handlers(context).delete(context, kind, id_, if_match)
        body = await read_body(request, _limit(kind))
        handlers = self._handlers(context)
        change = handlers.replace if request.method == "PUT" else handlers.patch
        return await change(context, kind, id_, body, shown, if_match)

    async def _searched(
        self, request: ScimRequest, context: Context, kinds: Sequence[ResourceKind]
    ) -> Answer:
        _allow(request, "POST")
        body = await read_body(request, SMALL_BODY)
        wanted = search({key.lower(): value for key, value in body.items()}, kinds)
        return await self._handlers(context).search(context, kinds, wanted)

    async def _bulk(self, request: ScimRequest, context: Context) -> Answer:
        _allow(request, "POST")
        body = await read_body(request, LARGE_BODY)
        handlers = self._handlers(context)

        async def run(step: BulkStep) -> Answer:
            if_match = frozenset({step.version}) if step.version else None
            match step.method:
                case "POST":
                    return await handlers.create(context, step.kind, step.data, Projection())
                case "PUT":
                    return await handlers.replace(
                        context, step.kind, str(step.id), step.data, Projection(), if_match
                    )
                case "PATCH":
                    return await handlers.patch(
                        context, step.kind, str(step.id), step.data, Projection(), if_match
                    )
            return await handlers.delete(context, step.kind, str(step.id), if_match)

        return await run_bulk(body, run, context.base_url)

    @quirk("C-01", "each resource type by its id")
    def _discovery(self, request: ScimRequest, context: Context) -> Answer:
        document = self._document(request, context)
        _allow(request, "GET")
        if "filter" in request.query:
            raise errors.forbidden("Discovery endpoints cannot be filtered.")
        return Answer(200, document)

    def _document(self, request: ScimRequest, context: Context) -> dict[str, Json]:
        base_url = context.base_url
        capabilities = Capabilities(
            basic_authentication=context.directory.settings.get("basic_authentication") is True
        )
        match request.segments:
            case ("ServiceProviderConfig" | "ServiceProviderConfigs",) if context.is_v1:
                return v1.service_provider_config_v1(base_url, capabilities)
            case ("ServiceProviderConfig",):
                return discovery.service_provider_config(base_url, capabilities)
            case ("ResourceTypes",):
                return v1.resource_types_v1(base_url) if context.is_v1 else discovery.resource_types(base_url)
            case ("ResourceTypes", name):
                if context.is_v1:
                    return v1.resource_type_v1(base_url, name)
                return discovery.resource_type(base_url, name)
            case ("Schemas",):
                return v1.schemas_v1(base_url) if context.is_v1 else discovery.schemas(base_url)
            case ("Schemas", name):
                return v1.schema_v1(base_url, name) if context.is_v1 else discovery.schema(base_url, name)
        raise errors.no_such_endpoint()


def _of_alias(found: Aliased, raw: bytes) -> Target:
    return is_below_v1(raw), found.directory, read_rest(found.rest)


def _raw_path(scope: AsgiScope) -> bytes:
    raw: bytes = scope.get("raw_path") or str(scope["path"]).encode()
    return raw.partition(b"?")[0]


def _is_write(method: str, segments: Sequence[str]) -> bool:
    """Tell whether a request, if it comes to anything, comes to one command for the writer."""
    match segments:
        case (name,) if name in _KINDS:
            return method == "POST"
        case (name, id_) if name in _KINDS and id_ != ".search":
            return method in ("PUT", "PATCH", "DELETE")
    return False


def _allow(request: ScimRequest, *methods: str) -> None:
    if request.method not in methods:
        raise errors.method_not_allowed(request.method, methods)


@quirk("S11-7", "a method override is refused")
def _refuse_override(request: ScimRequest) -> None:
    override = request.headers.get("x-http-method-override") or request.headers.get("x-http-method")
    if override is not None and override.strip().upper() != request.method:
        raise errors.method_not_allowed(override.strip().upper(), ("GET", "POST", "PUT", "PATCH", "DELETE"))


def _limit(kind: ResourceKind) -> int:
    return LARGE_BODY if kind is ResourceKind.GROUP else SMALL_BODY


def _etags(header: str | None) -> frozenset[str] | None:
    """Return the entity tags of a header, weak or not; None without the header."""
    if header is None or not header.strip():
        return None
    tags = [tag.strip() for tag in header.split(",") if tag.strip()]
    return frozenset(tag if tag == "*" or tag.startswith("W/") else f"W/{tag}" for tag in tags)


def _known_method(method: str) -> str:
    return method if method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS") else "other"
