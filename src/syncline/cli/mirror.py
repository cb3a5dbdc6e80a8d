"""`syncline mirror`: stand before the old service, let Syncline see the same, and compare the answers."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncline.cli.client import FAILED, AsJson, CommandFailed, Url
from syncline.cli.output import Output
from syncline.config import SettingsError, load_client_settings

if TYPE_CHECKING:
    from syncline.core.mirroring import Difference, Ids
    from syncline.net.forward import Forwarded, Forwarder

MAX_WAITING = 1_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_KINDS = 500
MAX_BODY = 16 * 1024 * 1024
_SHUTDOWN_SECONDS = 5

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that the old service has answered, on its way to Syncline."""

    method: str
    # Below the directory's address, with the query.
    below: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    answer: Forwarded

    @property
    def size(self) -> int:
        """How much memory it takes, nearly."""
        return len(self.body) + len(self.answer.body) + 2_000


@dataclass(slots=True)
class Report:
    """How many requests were compared, and in how many ways they differed; bounded, and without values."""

    compared: int = 0
    equal: int = 0
    dropped: int = 0
    unanswered: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def note(self, sentence: str) -> bool:
        """Count a difference and tell whether it is of a kind that was not seen before."""
        known = sentence in self.kinds
        if known or len(self.kinds) < MAX_KINDS:
            self.kinds[sentence] += 1
        return not known

    def shown(self) -> dict[str, Any]:
        """Return the report for a program."""
        return {
            "compared": self.compared,
            "equal": self.equal,
            "different": self.compared - self.equal,
            "not_compared": self.dropped,
            "not_answered": self.unanswered,
            "differences": [
                {"count": count, "difference": sentence} for sentence, count in self.kinds.most_common()
            ],
        }


class Mirror:
    """The ASGI application of the proxy, and the one task that shows Syncline what has passed, in order."""

    def __init__(
        self,
        upstream: Forwarder,
        syncline: Forwarder,
        base: str,
        prefix: str,
        token: str | None,
        output: Output,
    ) -> None:
        """`base` is the directory's path at Syncline, `prefix` the path of the old service."""
        from syncline.core.mirroring import Ids

        self.report = Report()
        self._upstream = upstream
        self._syncline = syncline
        self._base = base
        self._prefix = prefix
        self._token = token
        self._output = output
        self._ids: Ids = Ids()
        self._waiting: asyncio.Queue[Seen] = asyncio.Queue(MAX_WAITING)
        self._bytes = 0

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request with what the old service answers, and nothing else."""
        from syncline.net.forward import ForwardFailed

        if scope["type"] != "http":
            return
        body = await _body(receive)
        if body is None:
            await _answer(send, 413, (), b"")
            return
        target = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        query = scope.get("query_string", b"").decode("latin-1")
        whole = f"{target}?{query}" if query else target
        headers = tuple(scope["headers"])
        try:
            answer = await self._upstream.send(scope["method"], whole, headers, body)
        except ForwardFailed as failure:
            self._output.remark(f"the old service: {failure}")
            await _answer(send, 502, ((b"content-type", b"text/plain"),), b"The upstream does not answer.\n")
            return
        await _answer(send, answer.status, answer.headers, answer.body)
        if target.lower().startswith(self._prefix.lower()):
            self._show(Seen(scope["method"], whole[len(self._prefix) :], headers, body, answer))

    async def run(self) -> None:
        """Show Syncline one request after the other, in the order in which they were answered."""
        while True:
            seen = await self._waiting.get()
            try:
                await self._compare(seen)
            finally:
                self._bytes -= seen.size
                self._waiting.task_done()

    async def settled(self) -> None:
        """Return once everything that has passed is compared."""
        await self._waiting.join()

    def _show(self, seen: Seen) -> None:
        if self._waiting.full() or self._bytes + seen.size > MAX_WAITING_BYTES:
            # The provider does not wait for a comparison.
            self.report.dropped += 1
            return
        self._bytes += seen.size
        self._waiting.put_nowait(seen)

    async def _compare(self, seen: Seen) -> None:
        from syncline.core.mirroring import compare, redacted_path
        from syncline.net.forward import ForwardFailed

        path, _, query = seen.below.partition("?")
        named = redacted_path(path, _unquoted(query))
        body = self._ids.in_text(seen.body.decode("utf-8", "surrogateescape"))
        try:
            answer = await self._syncline.send(
                seen.method,
                self._base + self._ids.in_text(seen.below),
                self._headers(seen),
                body.encode("utf-8", "surrogateescape"),
            )
        except ForwardFailed:
            self.report.unanswered += 1
            self._tell(f"{seen.method} {named}: Syncline does not answer")
            return
        old = (seen.answer.status, _document(seen.answer.body))
        new = (answer.status, _document(answer.body))
        if old[0] < 300 and new[0] < 300:
            self._ids.learn_from(old[1], new[1])
        found: Difference | None = compare(seen.method, named, old, new, self._ids)
        self.report.compared += 1
        if found is None:
            self.report.equal += 1
        else:
            self._tell(found.sentence)

    def _headers(self, seen: Seen) -> list[tuple[bytes, bytes]]:
        dropped = {b"accept-encoding", b"if-match", b"if-none-match"}
        kept = [(name, value) for name, value in seen.headers if name.lower() not in dropped]
        if self._token is None:
            return kept
        kept = [(name, value) for name, value in kept if name.lower() != b"authorization"]
        return [*kept, (b"authorization", f"Bearer {self._token}".encode())]

    def _tell(self, sentence: str) -> None:
        if self.report.note(sentence) and not self._output.as_json:
            self._output.line(sentence)


def mirror(
    upstream: Annotated[str, typer.Option(help="Address of the old SCIM service, up to before /Users.")],
    directory: Annotated[str, typer.Option(help="Id of the directory of Syncline to compare with.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with a bearer token of the directory; without it the provider's is passed on."
        ),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Forward SCIM requests to the old service, and then to Syncline, and report how the answers differ.

    The provider gets the old service's answers, whatever Syncline says. Ends with Ctrl-C, and a report.
    """
    output = Output(as_json=as_json)
    settings = load_client_settings({"url": url})
    key = directory.removeprefix("directory_")
    if not key.isalnum() or not key.isascii():
        raise CommandFailed(f"'{directory[:60]}' is no id of a directory.", 2)
    origin, prefix = _split(upstream)
    token = _token(token_file)
    report = asyncio.run(_run(origin, prefix, settings.url, f"/scim/v2/{key}", token, host, port, output))
    output.close()
    if as_json:
        output.record(report.shown())
    else:
        _summary(report, output)
    raise typer.Exit(FAILED if report.compared != report.equal or report.unanswered else 0)


async def _run(
    origin: str,
    prefix: str,
    syncline_url: str,
    base: str,
    token: str | None,
    host: str,
    port: int,
    output: Output,
) -> Report:
    import uvicorn

    from syncline.net.forward import Forwarder

    old, new = Forwarder(origin), Forwarder(syncline_url)
    made = Mirror(old, new, base, prefix, token, output)
    config = uvicorn.Config(
        made,
        host=host,
        port=port,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[assignment]
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    comparing = asyncio.create_task(made.run(), name="mirror")
    serving = asyncio.create_task(server.serve(), name="proxy")
    output.remark(f"mirroring on http://{host}:{port}{prefix}")
    try:
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
        waiting.cancel()
        await asyncio.wait({asyncio.create_task(made.settled())}, timeout=_SHUTDOWN_SECONDS)
    finally:
        comparing.cancel()
        await asyncio.gather(comparing, return_exceptions=True)
        await old.close()
        await new.close()
    return made.report


def _split(upstream: str) -> tuple[str, str]:
    """Return the origin and the path of the old service's address."""
    scheme, separator, rest = upstream.partition("://")
    host, slash, path = rest.partition("/")
    if not separator or scheme not in ("http", "https") or not host or "@" in host or "?" in path:
        raise CommandFailed("--upstream must be an address that begins with https:// or http://.", 2)
    return f"{scheme}://{host}", f"{slash}{path}".rstrip("/")


def _token(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--token-file cannot be read: {error}") from None


async def _body(receive: Receive) -> bytes | None:
    """Return the body of a request, None for one that is too large."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(chunks)


async def _answer(send: Send, status: int, headers: Any, body: bytes) -> None:
    length = [] if status in (204, 304) else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body})


def _document(body: bytes) -> Any:
    try:
        return json.loads(body) if body.strip() else None
    except (ValueError, RecursionError):
        return None


def _unquoted(query: str) -> str:
    from urllib.parse import unquote_plus

    return unquote_plus(query)


def _summary(report: Report, output: Output) -> None:
    found = report.shown()
    output.line(
        f"{found['compared']} requests compared, {found['equal']} answered alike, "
        f"{found['different']} differently"
    )
    if report.dropped:
        output.line(f"{report.dropped} requests were not compared: they came faster than Syncline answered")
    if report.unanswered:
        output.line(f"{report.unanswered} requests were not answered by Syncline")
    for one in found["differences"]:
        output.line(f"{one['count']:>8}  {one['difference']}")
