"""`syncline webhooks`: make, look at, test, pause and mend webhook endpoints; check a received request."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncline.cli.client import (
    FAILED,
    UNUSABLE,
    AsJson,
    CommandFailed,
    KeyFile,
    Url,
    endpoint_path,
    find_target,
    read_time,
    run,
    split_types,
)
from syncline.cli.output import Output
from syncline.cli.webhooks_print import (
    print_attempts,
    print_count,
    print_deliveries,
    print_endpoint,
    print_made,
)

if TYPE_CHECKING:
    from syncline.net.api_client import ApiClient

app = typer.Typer(help="Make, test and mend webhook endpoints.", no_args_is_help=True)
EndpointId = Annotated[str, typer.Argument(help="Id of the endpoint.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until nothing waits at the endpoint any more.")]
Seconds = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait with --wait.")]


@app.command()
def create(
    endpoint_url: Annotated[str, typer.Argument(help="Address that events are posted to.")],
    events: Annotated[list[str], typer.Option(help="Event types, comma-separated; may be repeated.")],
    format_: Annotated[
        str | None, typer.Option("--format", help="`workos`, the default, or `cloudevents`.")
    ] = None,
    ordering: Annotated[
        str | None, typer.Option(help="`lanes`, the default: in order per directory; `strict` or `none`.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(help="Requests under way at once, 1 by default.")] = None,
    directory: Annotated[
        list[str] | None, typer.Option(help="Only events of this directory; may be repeated.")
    ] = None,
    organization: Annotated[
        list[str] | None, typer.Option(help="Only events of this organization; may be repeated.")
    ] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Make an endpoint that waits.")] = False,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Make an endpoint; it gets what happens from now on. The secret is shown this once."""
    given = {
        "endpoint_url": endpoint_url,
        "events": list(split_types(events)),
        "format": format_,
        "ordering": ordering,
        "concurrency": concurrency,
        "directory_ids": directory or None,
        "organization_ids": organization or None,
        "state": "paused" if paused else None,
    }
    body = {name: value for name, value in given.items() if value is not None}

    async def work(client: ApiClient, output: Output) -> None:
        print_made(output, await client.call("POST", "/webhook_endpoints", body))

    _command(url, api_key_file, as_json, work)


@app.command("list")
def list_(url: Url = None, api_key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """List the endpoints of the environment, oldest first."""

    async def work(client: ApiClient, output: Output) -> None:
        found = await client.pages("/webhook_endpoints")
        if as_json:
            for endpoint in found:
                output.record(endpoint)
        elif found:
            output.table(
                [
                    (one["id"], one["state"], one["endpoint_url"], f"{len(one['events'])} event types")
                    for one in found
                ]
            )
        else:
            output.remark("There are no endpoints. `syncline webhooks create` makes one.")

    _command(url, api_key_file, as_json, work)


@app.command()
def show(
    endpoint_id: EndpointId, url: Url = None, api_key_file: KeyFile = None, as_json: AsJson = False
) -> None:
    """Show one endpoint and how deliveries to it are going."""

    async def work(client: ApiClient, output: Output) -> None:
        print_endpoint(output, await _endpoint(client, endpoint_id))

    _command(url, api_key_file, as_json, work)


@app.command("test")
def send_test(
    endpoint_id: EndpointId,
    event: Annotated[str | None, typer.Option(help="Event type; by default the endpoint's first.")] = None,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Send one made-up event and show what comes back. Ends with 1 unless it was taken."""

    async def work(client: ApiClient, output: Output) -> None:
        body = {} if event is None else {"event": event}
        attempt = await client.call("POST", f"{endpoint_path(endpoint_id)}/test", body)
        print_attempts(output, [attempt])
        if attempt["outcome"] != "success":
            reason = attempt["error"] or f"The endpoint answered {attempt['status']}."
            raise CommandFailed(f"The test event was not taken: {reason}")

    _command(url, api_key_file, as_json, work)


@app.command()
def attempts(
    endpoint_id: EndpointId,
    outcome: Annotated[
        str | None, typer.Option(help="Only those that ended so: success, failed, timeout, busy or gone.")
    ] = None,
    event_id: Annotated[str | None, typer.Option(help="Only attempts of this event.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, the newest.")] = 20,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """List the last requests to an endpoint and how each ended, newest first."""

    async def work(client: ApiClient, output: Output) -> None:
        query = {"outcome": outcome, "event_id": event_id, "limit": limit}
        page = await client.call("GET", f"{endpoint_path(endpoint_id)}/attempts", query=query)
        print_attempts(output, page["data"])

    _command(url, api_key_file, as_json, work)


@app.command()
def deliveries(
    endpoint_id: EndpointId,
    state: Annotated[
        str | None, typer.Option(help="`waiting` for another attempt, or `dead`: given up.")
    ] = None,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """List the events that an endpoint has not taken, oldest first."""

    async def work(client: ApiClient, output: Output) -> None:
        found = await client.pages(f"{endpoint_path(endpoint_id)}/deliveries", {"state": state})
        print_deliveries(output, found)

    _command(url, api_key_file, as_json, work)


@app.command()
def retry(
    endpoint_id: EndpointId,
    wait: Wait = False,
    timeout: Seconds = 60.0,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Try now what waits at an endpoint, in its order, instead of at the next step of the schedule."""
    from syncline.cli.webhooks_wait import drained

    async def work(client: ApiClient, output: Output) -> None:
        queued = await client.call("POST", f"{endpoint_path(endpoint_id)}/retry", {})
        if wait:
            await drained(client, output, endpoint_id, queued["count"], timeout)
        print_count(output, queued, "tried now" if not wait else "taken")

    _command(url, api_key_file, as_json, work)


@app.command()
def pause(
    endpoint_id: EndpointId, url: Url = None, api_key_file: KeyFile = None, as_json: AsJson = False
) -> None:
    """Send nothing until `enable`; nothing is lost meanwhile."""

    async def work(client: ApiClient, output: Output) -> None:
        print_endpoint(output, await client.call("PATCH", endpoint_path(endpoint_id), {"state": "paused"}))

    _command(url, api_key_file, as_json, work)


@app.command()
def enable(
    endpoint_id: EndpointId,
    from_: Annotated[
        str, typer.Option("--from", help="`stopped`, `now`, the id of the first event to send, or a time.")
    ] = "stopped",
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Start an endpoint that is paused, disabled or gone; by default it goes on where it stopped."""
    point = from_ if from_ in ("stopped", "now") or from_.startswith("event_") else read_time(from_)
    if point is None:
        raise CommandFailed(
            f"--from takes `stopped`, `now`, an RFC 3339 time or the id of an event, not '{from_}'.", UNUSABLE
        )

    async def work(client: ApiClient, output: Output) -> None:
        body = {"state": "active", "resume_from": point}
        print_endpoint(output, await client.call("PATCH", endpoint_path(endpoint_id), body))

    _command(url, api_key_file, as_json, work)


@app.command()
def rotate(
    endpoint_id: EndpointId,
    overlap: Annotated[int, typer.Option(help="Seconds for which the former secret signs on.")] = 86_400,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a new signing secret, shown this once; the former ones sign on during the overlap."""

    async def work(client: ApiClient, output: Output) -> None:
        body = {"overlap_seconds": overlap}
        print_made(output, await client.call("POST", f"{endpoint_path(endpoint_id)}/rotate_secret", body))

    _command(url, api_key_file, as_json, work)


@app.command()
def delete(
    endpoint_id: EndpointId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
    api_key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Delete an endpoint with everything that waits for it."""
    if not yes and not sys.stdin.isatty():
        raise CommandFailed("Say --yes to delete without being asked.", UNUSABLE)
    if not yes and not typer.confirm(f"Delete {endpoint_id} and what waits for it?", err=True):
        raise typer.Exit(FAILED)

    async def work(client: ApiClient, output: Output) -> None:
        await client.call("DELETE", endpoint_path(endpoint_id))
        if as_json:
            output.record({"id": endpoint_id, "deleted": True})
        else:
            output.line(f"{endpoint_id} is deleted.")

    _command(url, api_key_file, as_json, work)


@app.command()
def verify(
    secret: Annotated[list[str], typer.Option(help="Secret of the endpoint; may be repeated.")],
    body: Annotated[Path, typer.Option(help="File with the body as it was received, or - for stdin.")],
    signature: Annotated[str | None, typer.Option(help="Value of the header WorkOS-Signature.")] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="'Name: value' of any header; may be repeated.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Check as of this time, by default now.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check the signature of a received request, without any server, and say what is wrong with it.

    Takes both header families: `WorkOS-Signature`, and `webhook-id`, `webhook-timestamp` and
    `webhook-signature`. Ends with 1 unless every family that is given is right.
    """
    from syncline.cli.webhooks_verify import findings, read_received

    output = Output(as_json=as_json)
    found = list(findings(read_received(body, signature, header or (), at), secret))
    if not found:
        raise CommandFailed(
            "There is no signature: give --signature, or the headers webhook-id, webhook-timestamp and "
            "webhook-signature with --header.",
            UNUSABLE,
        )
    for one in found:
        is_right = one.problem is None
        if as_json:
            output.record({"family": one.family, "ok": is_right, "problem": one.problem, "text": one.text})
        else:
            output.line(
                f"{output.outcome('ok  ' if is_right else 'FAIL', good=is_right)}  {one.family}: {one.text}"
            )
    if any(one.problem is not None for one in found):
        raise typer.Exit(FAILED)


def _command(
    url: str | None,
    key_file: Path | None,
    as_json: bool,
    work: Callable[[ApiClient, Output], Awaitable[None]],
) -> None:
    output = Output(as_json=as_json)
    run(find_target(url, key_file), output, lambda client: work(client, output))


async def _endpoint(client: ApiClient, endpoint_id: str) -> dict[str, Any]:
    found: dict[str, Any] = await client.call("GET", endpoint_path(endpoint_id))
    return found
