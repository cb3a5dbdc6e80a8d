"""`syncline sinks`: copy the event log to NATS, Kafka or a file, and look after the copies."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from syncline.cli.operator import environment_id, on_services
from syncline.cli.output import printable
from syncline.core import wire
from syncline.core.errors import FieldError, ValidationFailed
from syncline.net.sinks.base import Credentials
from syncline.net.sinks.kafka import KafkaConfig
from syncline.net.sinks.nats import NatsConfig
from syncline.net.sinks.ndjson import STDOUT, NdjsonConfig
from syncline.services.container import Services
from syncline.services.environments import DEFAULT_NAME
from syncline.services.sinks import NOW, EventSink, From, NewSink

app = typer.Typer(help="Copy the event log to NATS, Kafka or a file.", no_args_is_help=True)
create = typer.Typer(help="Make a sink.", no_args_is_help=True)
app.add_typer(create, name="create")

Environment = Annotated[str, typer.Option("--environment", "-e", help="Name of the environment.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Name of the sink.")]
Events = Annotated[
    list[str] | None,
    typer.Option("--event", help="Only events of this type; may be repeated. Without it all but syncline.*."),
]
Directories = Annotated[
    list[str] | None, typer.Option("--directory", help="Only events of this directory; may be repeated.")
]
Begin = Annotated[
    str, typer.Option("--from", help="start (the oldest event kept), now, or the id of the first event.")
]
User = Annotated[str | None, typer.Option(help="User to authenticate as.")]
PasswordFile = Annotated[
    str | None, typer.Option(help="File that holds the password; - reads it from standard input.")
]
CaFile = Annotated[
    Path | None, typer.Option(help="PEM file of the authorities to trust instead of the system's.")
]


@create.command()
def nats(
    name: Name,
    server: Annotated[list[str], typer.Option(help="nats://host:port or tls://host:port; may be repeated.")],
    prefix: Annotated[str, typer.Option(help="First tokens of every subject.")] = "syncline",
    stream: Annotated[
        str | None, typer.Option(help="Stream that must take the events; otherwise it is a failure.")
    ] = None,
    user: User = None,
    password_file: PasswordFile = None,
    token_file: Annotated[
        str | None, typer.Option(help="File that holds a token; - reads it from standard input.")
    ] = None,
    ca_file: CaFile = None,
    event: Events = None,
    directory: Directories = None,
    begin: Begin = NOW,
    environment: Environment = DEFAULT_NAME,
    as_json: AsJson = False,
) -> None:
    """Publish to a stream of NATS JetStream, with the event's id for de-duplication."""
    config = NatsConfig(tuple(server), prefix, stream, _read(ca_file))
    credentials = Credentials(user, _secret(password_file), _secret(token_file))
    _create(
        NewSink(name, config, credentials, event or (), directory or (), From(begin)), environment, as_json
    )


@create.command()
def kafka(
    name: Name,
    broker: Annotated[list[str], typer.Option(help="host:port of a broker to ask first; may be repeated.")],
    topic: Annotated[str, typer.Option(help="Topic to write to; it must exist.")],
    tls: Annotated[bool, typer.Option("--tls/--no-tls", help="Whether to connect with TLS.")] = True,
    mechanism: Annotated[
        str | None, typer.Option(help="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; without it no authentication.")
    ] = None,
    user: User = None,
    password_file: PasswordFile = None,
    ca_file: CaFile = None,
    max_message_bytes: Annotated[
        int, typer.Option(help="What the topic takes at once (its max.message.bytes).")
    ] = 1_000_000,
    event: Events = None,
    directory: Directories = None,
    begin: Begin = NOW,
    environment: Environment = DEFAULT_NAME,
    as_json: AsJson = False,
) -> None:
    """Write to a topic of a Kafka cluster, keyed by directory."""
    config = KafkaConfig(tuple(broker), topic, tls, mechanism, _read(ca_file), max_message_bytes)
    credentials = Credentials(user, _secret(password_file))
    if (mechanism is None) != (user is None) or (user is None) != (credentials.password is None):
        raise _refused("mechanism", "Give --mechanism, --user and --password-file together, or none of them.")
    _create(
        NewSink(name, config, credentials, event or (), directory or (), From(begin)), environment, as_json
    )


@create.command()
def ndjson(
    name: Name,
    path: Annotated[
        str, typer.Option(help="File of the worker's machine to append to; - is its standard output.")
    ],
    event: Events = None,
    directory: Directories = None,
    begin: Begin = NOW,
    environment: Environment = DEFAULT_NAME,
    as_json: AsJson = False,
) -> None:
    """Append one event a line to a file, or print it."""
    config = NdjsonConfig(path if path == STDOUT else str(Path(path).absolute()))
    _create(NewSink(name, config, None, event or (), directory or (), From(begin)), environment, as_json)


@app.command("list")
def list_(environment: Environment = DEFAULT_NAME, as_json: AsJson = False) -> None:
    """List the sinks of an environment."""

    async def work(services: Services) -> list[dict[str, Any]]:
        found = await services.event_sinks.list(await environment_id(services, environment))
        return [_shown(sink) for sink in found]

    _print(on_services(work), as_json)


@app.command()
def show(name: Name, environment: Environment = DEFAULT_NAME, as_json: AsJson = False) -> None:
    """Show where a sink stands, and why it does not go on if it does not."""
    _one(lambda services, id_: services.event_sinks.get(id_, name), environment, as_json)


@app.command()
def pause(name: Name, environment: Environment = DEFAULT_NAME, as_json: AsJson = False) -> None:
    """Send nothing more until the sink is resumed; a batch under way may still arrive."""
    _one(lambda services, id_: services.event_sinks.pause(id_, name), environment, as_json)


@app.command()
def resume(name: Name, environment: Environment = DEFAULT_NAME, as_json: AsJson = False) -> None:
    """Go on where the sink stood, also after an error has stopped it."""
    _one(lambda services, id_: services.event_sinks.resume(id_, name), environment, as_json)


@app.command()
def rewind(
    name: Name,
    begin: Annotated[
        str | None,
        typer.Option("--from", help="start (the oldest event kept), now, or the id of the next event."),
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", help="Id of the last event that is not sent again.")
    ] = None,
    environment: Environment = DEFAULT_NAME,
    as_json: AsJson = False,
) -> None:
    """Move a sink to another place of the log: back to send again, or over an event that cannot be taken."""
    if (begin is None) == (after is None):
        raise _refused("from", "Give either --from or --after.")
    place = From(begin) if begin is not None else From(str(after), exclusive=True)
    _one(lambda services, id_: services.event_sinks.rewind(id_, name, place), environment, as_json)


@app.command()
def delete(name: Name, environment: Environment = DEFAULT_NAME, as_json: AsJson = False) -> None:
    """Delete a sink; what it has sent stays where it is."""
    _one(lambda services, id_: services.event_sinks.delete(id_, name), environment, as_json)


def _create(new: NewSink, environment: str, as_json: bool) -> None:
    _one(lambda services, id_: services.event_sinks.create(id_, new), environment, as_json)


def _one(call: Callable[[Services, str], Awaitable[EventSink]], environment: str, as_json: bool) -> None:
    async def work(services: Services) -> dict[str, Any]:
        return _shown(await call(services, await environment_id(services, environment)))

    _print(on_services(work), as_json)


def _secret(file: str | None) -> str | None:
    """Return a secret from a file, so that no list of processes shows it."""
    if file is None:
        return None
    text = sys.stdin.read() if file == "-" else _read(Path(file))
    if not (text or "").strip():
        raise _refused("password_file", f"{file} is empty.")
    return str(text).strip()


def _read(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _refused("file", f"{file} cannot be read ({error}).") from None


def _refused(field: str, message: str) -> ValidationFailed:
    return ValidationFailed([FieldError(field, f"{field}_invalid")], message)


def _shown(sink: EventSink) -> dict[str, Any]:
    return {
        "id": sink.id,
        "name": sink.name,
        "kind": sink.kind,
        "target": sink.target,
        "state": sink.state,
        "events": list(sink.events),
        "directories": list(sink.directories),
        "position": sink.cursor,
        "behind": sink.behind,
        "published": sink.published,
        "last_published_at": None if sink.last_published_at is None else wire.iso(sink.last_published_at),
        "failing_since": None if sink.failing_since is None else wire.iso(sink.failing_since),
        "error": sink.last_error,
        "missed": None if sink.missed is None else {"first": sink.missed.first, "last": sink.missed.last},
        "created_at": wire.iso(sink.created_at),
    }


def _print(found: dict[str, Any] | list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found))
        return
    for entry in found if isinstance(found, list) else [found]:
        shown = {name: value for name, value in entry.items() if value not in (None, [])}
        typer.echo(printable("  ".join(f"{name}={value}" for name, value in shown.items())))
