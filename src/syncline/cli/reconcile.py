"""`syncline reconcile`: compare an app's roster with a directory, and emit what the app has missed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from syncline.cli.client import (
    FAILED,
    UNUSABLE,
    AsJson,
    CommandFailed,
    KeyFile,
    Url,
    find_target,
    read_time,
    run,
)
from syncline.cli.output import Output

if TYPE_CHECKING:
    from syncline.core.rosters import RosterFormat
    from syncline.net.api_client import ApiClient

_PIECE = 512 * 1024
_CHUNK = 64 * 1024
_ROWS = 1_000
_POLL_SECONDS = 0.5
_SHOWN = 20
_MEDIA = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
_CORRECTABLE = ("gone_but_active", "wrong_role", "missing", "stale_profile")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a roster that goes in one call: the line it begins at, and what to send."""

    first: int
    body: bytes | list[Any]
    media: str | None = None


def reconcile(
    directory: Annotated[str, typer.Argument(help="Id of the directory.")],
    file: Annotated[str | None, typer.Option(help="The roster as a file, or - for standard input.")] = None,
    roster_url: Annotated[
        str | None, typer.Option(help="An address that answers Syncline with the roster.")
    ] = None,
    roster_token_file: Annotated[
        Path | None, typer.Option(help="File with the secret that is sent to --roster-url.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="csv, ndjson or json; by default what the name ends with.")
    ] = None,
    taken_at: Annotated[
        str | None,
        typer.Option(help="When the roster was written, by default now; later changes are left out."),
    ] = None,
    correct: Annotated[
        list[str] | None,
        typer.Option(help="Class of findings to emit the missed events for; may be repeated."),
    ] = None,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare your app's roster with a directory.

    Lists who is gone and still active in the app, who has another role or profile, who is missing and who is
    unknown. With --correct the events that the app has missed are emitted into the log, each once. With
    --json the reconciliation comes first, then every finding, one object a line.
    """
    output = Output(as_json=as_json)
    wanted = _classes(correct)
    if (file is None) == (roster_url is None):
        raise CommandFailed("Give the roster with --file or with --roster-url.", UNUSABLE)
    if not directory.replace("_", "").isalnum() or not directory.isascii():
        raise CommandFailed(f"'{directory}' is no id of a directory.", UNUSABLE)
    path = f"/directories/{directory}"
    body: dict[str, Any] = {} if taken_at is None else {"taken_at": _time(taken_at)}
    target = find_target(url, api_key_file)

    async def work(client: ApiClient) -> None:
        if file is not None:
            made = await _uploaded(client, output, path, body, file, format_)
        else:
            body["url"] = roster_url
            if roster_token_file is not None:
                body["bearer_token"] = _secret(roster_token_file)
            made = await client.call("POST", f"{path}/reconcile", body)
        one = f"{path}/reconciliations/{made['id']}"
        done = await _finished(client, output, one)
        if wanted:
            done = await _corrected(client, output, one, wanted)
        await _show(client, output, one, done)

    run(target, output, work)


async def _uploaded(
    client: ApiClient, output: Output, path: str, body: dict[str, Any], file: str, format_: str | None
) -> Any:
    """Send a file in pieces and start the comparison; what is refused leaves nothing behind."""
    from syncline.net.api_client import ApiRefused

    form = _format(file, format_)
    with _opened(file) as source:
        made = await client.call("POST", f"{path}/reconcile", {**body, "upload": True})
        one = f"{path}/reconciliations/{made['id']}"
        try:
            async for piece in _sent(_pieces(source, form)):
                query = {"first_line": piece.first}
                if piece.media is None:
                    added = await client.call("POST", f"{one}/rows", {"users": piece.body}, query=query)
                else:
                    assert isinstance(piece.body, bytes)
                    added = await client.upload(f"{one}/rows", piece.body, piece.media, query=query)
                output.progress(added["rows"], None, "rows sent")
        except (ApiRefused, CommandFailed):
            with suppress(ApiRefused):
                await client.call("DELETE", one)
            raise
    return await client.call("POST", f"{one}/start")


async def _sent(pieces: Iterator[Piece]) -> AsyncIterator[Piece]:
    """Yield pieces; what cannot be read is one sentence."""
    from syncline.core.rosters import RosterUnreadable

    try:
        for piece in pieces:
            yield piece
    except RosterUnreadable as refused:
        raise CommandFailed(f"The roster cannot be read: {refused.problem.text}.", UNUSABLE) from None
    except OSError as error:
        raise CommandFailed(f"The roster cannot be read: {error.strerror}.", UNUSABLE) from None


def _pieces(source: IO[bytes], form: RosterFormat) -> Iterator[Piece]:
    """Yield a file cut between records, so that every line keeps its number."""
    from syncline.core.rosters import Records, RosterFormat

    if form is RosterFormat.JSON:
        yield from _json_pieces(source.read())
        return
    records, header, size = Records(form), "", 0
    kept: list[str] = []
    media = _MEDIA[form]
    first = 1
    for line, record in _records(source, records):
        if form is RosterFormat.CSV and not header:
            if record.strip():
                header = record
                records.delimiter = next((sign for sign in ",;\t" if sign in record), ",")
            continue
        if size and size + len(record) > _PIECE:
            yield Piece(first, _joined(header, kept), media)
            kept, size = [], 0
        if not kept:
            # The header stands before the first record.
            first = line - (1 + header.count("\n") if header else 0)
        kept.append(record)
        size += len(record.encode()) + 1
    if not kept and form is RosterFormat.NDJSON:
        raise CommandFailed(
            "The roster is empty; if the app has nobody, say so with an empty list.", UNUSABLE
        )
    yield Piece(max(first, 1), _joined(header, kept), media)


def _records(source: IO[bytes], records: Any) -> Iterator[tuple[int, str]]:
    while chunk := source.read(_CHUNK):
        yield from records.feed(chunk)
    yield from records.feed(b"", last=True)


def _joined(header: str, records: Sequence[str]) -> bytes:
    return "\n".join([header, *records] if header else records).encode()


def _json_pieces(raw: bytes) -> Iterator[Piece]:
    from syncline.core.errors import MalformedJson
    from syncline.core.json import parse_json

    try:
        body = parse_json(raw)
    except MalformedJson as error:
        raise CommandFailed(f"The roster cannot be read: {error.message}", UNUSABLE) from None
    users = body.get("users") if isinstance(body, dict) else body
    if not isinstance(users, list):
        raise CommandFailed("The roster is a list, or an object with a list `users`.", UNUSABLE)
    for start in range(0, len(users), _ROWS):
        yield Piece(start + 1, users[start : start + _ROWS])


async def _finished(client: ApiClient, output: Output, one: str) -> Any:
    """Wait until everything is compared and return the reconciliation."""
    while True:
        found = await client.call("GET", one)
        if found["state"] == "failed":
            raise CommandFailed(str(found["error"]), FAILED)
        if found["state"] == "complete":
            return found
        progress = found["progress"]
        output.progress(progress["done"], progress["total"], found["state"])
        await asyncio.sleep(_POLL_SECONDS)


async def _corrected(client: ApiClient, output: Output, one: str, wanted: Sequence[str]) -> Any:
    """Ask for corrections, wait until they are complete and return the reconciliation."""
    for name in wanted:
        await client.call("POST", f"{one}/correct", {"class": name})
    while True:
        found = await client.call("GET", one)
        asked = found["corrections"]
        if all(each["state"] == "complete" for each in asked):
            return found
        settled = sum(each["emitted"] + sum(each["skipped"].values()) for each in asked)
        output.progress(settled, sum(found["counts"][name] for name in wanted), "findings settled")
        await asyncio.sleep(_POLL_SECONDS)


async def _show(client: ApiClient, output: Output, one: str, done: Any) -> None:
    output.close()
    if output.as_json:
        output.record(done)
        async for finding in _findings(client, one, None):
            output.record(finding)
        return
    output.line(f"{one.rpartition('/')[2]}  {done['rows']} rows")
    counts = [(name, count) for name, count in done["counts"].items() if count]
    output.table([(name, str(count)) for name, count in counts] or [("no differences", "")])
    for name, count in counts:
        if name == "changed_since":
            continue
        output.line("")
        output.line(output.outcome(name, good=False) if name == "gone_but_active" else name)
        rows: list[tuple[str, ...]] = []
        async for finding in _findings(client, one, name):
            if len(rows) == _SHOWN:
                break
            rows.append(_told(finding))
        output.table(rows)
        if count > len(rows):
            output.line(f"  … and {count - len(rows)} more")
    for each in done["corrections"]:
        skipped = "".join(f", {count} skipped: {why}" for why, count in each["skipped"].items())
        events = "event" if each["emitted"] == 1 else "events"
        output.line(f"{each['class']}: {each['emitted']} {events} emitted{skipped}")


async def _findings(client: ApiClient, one: str, name: str | None) -> AsyncIterator[Any]:
    after: str | None = None
    while True:
        query = {"limit": 100, "after": after, "class": name}
        page = await client.call("GET", f"{one}/findings", query=query)
        for finding in page["data"]:
            yield finding
        after = page["list_metadata"]["after"]
        if after is None:
            return


def _told(finding: Any) -> tuple[str, ...]:
    who = finding["email"] or finding["idp_id"] or finding["directory_user_id"] or ""
    where = f"line {finding['line']}" if finding["line"] is not None else ""
    if finding["lines"]:
        where = "lines " + ", ".join(map(str, finding["lines"]))
    said = "; ".join(
        f"{each['field']}: {each['app']!r} in the app, {each['directory']!r} in the directory"
        for each in finding["differences"]
    )
    return f"  {who}", where, said or (finding["reason"] or ""), finding["outcome"] or ""


def _classes(given: Sequence[str] | None) -> list[str]:
    wanted = list(dict.fromkeys(given or ()))
    for name in wanted:
        if name not in _CORRECTABLE:
            raise CommandFailed(
                f"There is no event for the class '{name}': --correct takes {', '.join(_CORRECTABLE)}.",
                UNUSABLE,
            )
    return wanted


def _time(text: str) -> str:
    found = read_time(text)
    if found is None:
        raise CommandFailed(f"--taken-at takes an RFC 3339 time, not '{text}'.", UNUSABLE)
    return found


def _secret(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"--roster-token-file cannot be read: {error}", UNUSABLE) from None


def _format(file: str, given: str | None) -> RosterFormat:
    from syncline.core.rosters import RosterFormat

    name = given or {".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json"}.get(Path(file).suffix, "csv")
    try:
        return RosterFormat(name)
    except ValueError:
        raise CommandFailed(f"--format takes csv, ndjson or json, not '{name}'.", UNUSABLE) from None


def _opened(file: str) -> IO[bytes]:
    if file == "-":
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise CommandFailed(f"--file cannot be read: {error.strerror}: {file}", UNUSABLE) from None
