"""The `syncline` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from syncline import __version__
from syncline.cli.client import CommandFailed
from syncline.cli.consumer import check_receiver as _check_receiver
from syncline.cli.events import app as _events
from syncline.cli.import_ import app as _import
from syncline.cli.listen import listen as _listen
from syncline.cli.mirror import mirror as _mirror
from syncline.cli.reconcile import reconcile as _reconcile
from syncline.cli.trigger import trigger as _trigger
from syncline.cli.webhooks import app as _webhooks
from syncline.config import SettingsError, load_settings
from syncline.core.errors import SynclineError

app = typer.Typer(
    help="Directory sync: SCIM in, one ordered event log, REST and signed webhooks out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Host = Annotated[str | None, typer.Option(help="Address to listen on (SYNCLINE_HOST).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on (SYNCLINE_PORT).")]
Data = Annotated[Path | None, typer.Option(help="Folder of the generated key and the default SQLite file.")]


@app.command()
def up(
    host: Host = None,
    port: Port = None,
    data: Data = None,
    demo: Annotated[bool, typer.Option("--demo", help="Provision a demonstration directory.")] = False,
) -> None:
    """Migrate, then run web and workers in one process."""
    from syncline.cli.serve import run

    settings = load_settings({"host": host, "port": port, "data": data})
    if not demo:
        run(settings, web=True, workers=True, migrate=True)
        return
    from syncline.testing.demo import LOOPBACK, demonstration

    settings = settings.model_copy(update={"log_level": "warning", "log_style": "console"})
    run(
        settings,
        web=True,
        workers=True,
        migrate=True,
        companion=demonstration(settings),
        outbound_allow=LOOPBACK,
    )


@app.command()
def serve(host: Host = None, port: Port = None) -> None:
    """Run the web half only; `syncline migrate` first."""
    from syncline.cli.serve import run

    run(load_settings({"host": host, "port": port}), web=True, workers=False, migrate=False)


@app.command()
def worker() -> None:
    """Run the workers only: sealing, webhooks, retention, domain checks."""
    from syncline.cli.serve import run

    run(load_settings(), web=False, workers=True, migrate=False)


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    from syncline.store.migrate import head_revision, upgrade

    settings = load_settings()
    upgrade(settings.database)
    typer.echo(f"schema {head_revision()}")


@app.command()
def doctor() -> None:
    """Check configuration, database, clock, keys and reachability, and say what to do."""
    from syncline.cli.doctor import examine

    failed = False
    for finding in examine(load_settings()):
        failed = failed or not finding.ok
        typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name}: {finding.text}")
    if failed:
        raise typer.Exit(1)


# Commands that talk to a running Syncline; their modules import what costs time when they are used.
app.command()(_listen)
app.command()(_trigger)
app.command()(_reconcile)
app.command()(_check_receiver)
app.command()(_mirror)
app.add_typer(_events, name="events")
app.add_typer(_import, name="import")
app.add_typer(_webhooks, name="webhooks")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _add_keys() -> None:
    from syncline.cli.backup import backup
    from syncline.cli.erase import erase
    from syncline.cli.keys import app as keys
    from syncline.cli.sinks import app as sinks

    app.command()(backup)
    app.command()(erase)
    app.add_typer(keys, name="keys")
    app.add_typer(sinks, name="sinks")


def _is_known(first: list[str]) -> bool:
    """Tell whether the command named first is there without the modules that load the database."""
    names = {group.name for group in app.registered_groups}
    for command in app.registered_commands:
        names.add(command.name or getattr(command.callback, "__name__", "").replace("_", "-"))
    return bool(names.intersection(first))


def main() -> None:
    """Run the command; what an operator can mend is one line on standard error, never a traceback."""
    if not _is_known(sys.argv[1:2]):
        _add_keys()
    try:
        app()
    except (SettingsError, SynclineError) as error:
        typer.echo(f"syncline: {error}", err=True)
        raise SystemExit(2) from None
    except CommandFailed as error:
        typer.echo(f"syncline: {error}", err=True)
        raise SystemExit(error.code) from None


__all__ = ["app", "main"]
