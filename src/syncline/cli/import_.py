"""`syncline import`: move in from files, or from a service that speaks the WorkOS API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from syncline.cli import client
from syncline.cli.client import FAILED, UNUSABLE, AsJson, CommandFailed, KeyFile, Url
from syncline.cli.output import Output
from syncline.config import SettingsError

if TYPE_CHECKING:
    from syncline.net.api_client import ApiClient

app = typer.Typer(
    help="Move in from another service: from files, or through an API like that of WorkOS.",
    no_args_is_help=True,
)
Events = Annotated[
    bool,
    typer.Option("--events", help="Announce what is made; without it the import is silent."),
]
Live = Annotated[
    bool, typer.Option("--live", help="Add to directories that their providers push into already as well.")
]
_POLL_SECONDS = 1.0
_TRIES = 10
_LONGEST_WAIT = 30.0
_ENDS = ("complete", "failed", "canceled")
# What is left alone on purpose; any other problem means that something is missing.
_SKIPPED = ("directory_live", "deleted")


@app.command("files")
def files(
    paths: Annotated[list[Path], typer.Argument(help="NDJSON files, or CSV files by their names.")],
    resume: Annotated[
        str | None, typer.Option(help="Id of an import that was interrupted; the same files again.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="File to write what became of each record to, one JSON object a line.")
    ] = None,
    events: Events = False,
    live: Live = False,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Take in the records of files. Safe to repeat, and to go on with after an interruption."""
    from syncline.cli.import_files import chunks, ordered, records

    target = client.find_target(url, api_key_file)
    output = Output(as_json=as_json)
    found = ordered(paths)

    async def work(api: ApiClient) -> dict[str, Any]:
        if resume is not None:
            current = await api.call("GET", f"/imports/{_import_id(resume)}")
        else:
            asked = {"source": "records", "events": _events(events), "live": live}
            current = await api.call("POST", "/imports", asked)
            output.remark(f"import {current['id']}")
        address = f"/imports/{current['id']}"
        with _Report(report, again=resume is not None) as written:
            for first, part in chunks(records(found), int(current["next_record"] or 1)):
                answer = await _patiently(api, f"{address}/records", {"first": first, "records": part})
                current = answer["import"]
                written.note(answer["results"])
                output.progress(int(current["next_record"]) - 1, None, "records")
        finished: dict[str, Any] = await api.call("POST", f"{address}/finish", {})
        return finished

    _end(client.run(target, output, work), output)


@app.command("workos")
def workos(
    source_url: Annotated[str, typer.Option(help="Address of the service, such as https://api.workos.com.")],
    source_key_file: Annotated[Path, typer.Option(help="File that holds the API key of the service.")],
    directory: Annotated[
        list[str] | None, typer.Option(help="Only this directory of the service; may be repeated.")
    ] = None,
    scim_ids: Annotated[
        str, typer.Option(help="How providers know people: bare (the ULID) or prefixed (the whole id).")
    ] = "bare",
    events: Events = False,
    live: Live = False,
    wait: Annotated[bool, typer.Option(help="Wait for the end and show how far it is.")] = True,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Let Syncline read a service that speaks the WorkOS API, in the background."""
    target = client.find_target(url, api_key_file)
    output = Output(as_json=as_json)
    asked = {
        "source": "workos",
        "base_url": source_url,
        "api_key": _key(source_key_file),
        "directory_ids": directory or None,
        "scim_ids": scim_ids,
        "events": _events(events),
        "live": live,
    }

    async def work(api: ApiClient) -> dict[str, Any]:
        begun: dict[str, Any] = await api.call("POST", "/imports", asked)
        output.remark(f"import {begun['id']}")
        return await _followed(api, begun["id"], output) if wait else begun

    _end(client.run(target, output, work), output)


@app.command("status")
def status(
    import_id: str,
    wait: Annotated[bool, typer.Option(help="Wait for the end.")] = False,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Show an import: how far it is, what came of it, and what was not taken in."""
    target = client.find_target(url, api_key_file)
    output = Output(as_json=as_json)

    async def work(api: ApiClient) -> dict[str, Any]:
        if wait:
            return await _followed(api, _import_id(import_id), output)
        found: dict[str, Any] = await api.call("GET", f"/imports/{_import_id(import_id)}")
        return found

    _end(client.run(target, output, work), output)


@app.command("cancel")
def cancel(import_id: str, url: Url = None, api_key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Stop an import; what is in stays."""
    _act(import_id, "cancel", {}, url, api_key_file, as_json)


@app.command("retry")
def retry(
    import_id: str,
    source_key_file: Annotated[
        Path | None, typer.Option(help="File that holds another API key of the service.")
    ] = None,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Let an import that failed go on where it stopped."""
    body = {} if source_key_file is None else {"api_key": _key(source_key_file)}
    _act(import_id, "retry", body, url, api_key_file, as_json)


def _act(
    import_id: str,
    what: str,
    body: Mapping[str, Any],
    url: str | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    target = client.find_target(url, key_file)
    output = Output(as_json=as_json)

    async def work(api: ApiClient) -> dict[str, Any]:
        done: dict[str, Any] = await api.call("POST", f"/imports/{_import_id(import_id)}/{what}", body)
        return done

    _end(client.run(target, output, work), output)


async def _followed(api: ApiClient, import_id: str, output: Output) -> dict[str, Any]:
    while True:
        current: dict[str, Any] = await api.call("GET", f"/imports/{import_id}")
        if current["state"] in (*_ENDS, "open"):
            return current
        waiting = f", waiting: {current['error']}" if current["error"] else ""
        output.progress(_total(current), None, f"things read, at the {current['stage']}{waiting}")
        await asyncio.sleep(_POLL_SECONDS)


async def _patiently(api: ApiClient, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Make a call that may be repeated until it is answered."""
    from syncline.net.api_client import ApiRefused, ApiUnreachable

    for number in range(1, _TRIES + 1):
        try:
            answer: dict[str, Any] = await api.call("POST", path, body)
            return answer
        except (ApiRefused, ApiUnreachable) as error:
            passing = isinstance(error, ApiUnreachable) or error.may_pass
            if not passing or number == _TRIES:
                raise
            said = error.retry_after if isinstance(error, ApiRefused) else None
            await asyncio.sleep(min(said or 0.5 * 2**number, _LONGEST_WAIT))
    raise AssertionError("unreachable")


class _Report:
    """The file that tells what became of each record; nothing without one."""

    def __init__(self, path: Path | None, *, again: bool) -> None:
        self._path = path
        self._mode = "a" if again else "w"
        self._file: IO[str] | None = None

    def __enter__(self) -> _Report:
        if self._path is not None:
            try:
                self._file = self._path.open(self._mode, encoding="utf-8")
            except OSError as error:
                raise CommandFailed(f"--report cannot be written: {error}", UNUSABLE) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def note(self, results: list[dict[str, Any]]) -> None:
        if self._file is None:
            return
        self._file.writelines(json.dumps(one, separators=(",", ":")) + "\n" for one in results)
        self._file.flush()


def _end(found: dict[str, Any], output: Output) -> None:
    """Print an import and end with an exit code: 1 for one that failed or did not take everything in."""
    output.close()
    refused = sum(counts.get("refused", 0) for counts in found["counts"].values())
    lost = any(problem["code"] not in _SKIPPED for problem in found["problems"])
    if output.as_json:
        output.record(found)
    else:
        output.line(f"{found['id']}  {found['state']}")
        for kind, counts in found["counts"].items():
            output.line(f"  {kind}: " + ", ".join(f"{number} {name}" for name, number in counts.items()))
        for problem in found["problems"][:50]:
            told = f"{problem['type']} {problem['id']}: {problem['message']} ({problem['code']})"
            output.line(f"  {output.styled(told)}")
        if len(found["problems"]) > 50:
            output.line(f"  … and {len(found['problems']) - 50} more; --json shows them")
        if found["error"]:
            output.line(f"  {output.styled(found['error'])}")
    if found["state"] == "failed" or refused or lost:
        raise typer.Exit(FAILED)


def _total(found: Mapping[str, Any]) -> int:
    return sum(sum(counts.values()) for counts in found["counts"].values())


def _events(events: bool) -> str:
    return "created" if events else "none"


def _import_id(text: str) -> str:
    if not text.startswith("import_") or not text.isascii() or not text.replace("_", "").isalnum():
        raise CommandFailed(f"'{text[:60]}' is no id of an import.", UNUSABLE)
    return text


def _key(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--source-key-file cannot be read: {error}") from None
