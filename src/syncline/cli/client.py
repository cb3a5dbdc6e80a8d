"""What the commands that talk to a running Syncline share: its address, the key, and how they end."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Never, TypeVar

import typer

from syncline.cli.output import Output, printable
from syncline.config import SettingsError, load_client_settings

if TYPE_CHECKING:
    from syncline.net.api_client import ApiClient, ApiRefused

FAILED = 1
UNUSABLE = 2
INTERRUPTED = 130
T = TypeVar("T")

Url = Annotated[
    str | None,
    typer.Option("--url", help="Address of Syncline (SYNCLINE_URL), by default http://127.0.0.1:8000."),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--api-key-file", help="File that holds the API key, instead of SYNCLINE_API_KEY."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


class CommandFailed(Exception):
    """The end of a command: one sentence for the person, and the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Target:
    """Which Syncline and environment a command talks to; `state` is the folder for what it remembers."""

    url: str
    api_key: str
    state: Path
    faults: str = ""

    @property
    def key_mark(self) -> str:
        """A text that tells keys apart and says nothing about them: keys are random."""
        return hashlib.sha256(self.api_key.encode()).hexdigest()[:16]


def find_target(url: str | None, key_file: Path | None) -> Target:
    """Return what the options and the environment name. Raises `SettingsError`."""
    settings = load_client_settings({"url": url})
    if key_file is not None:
        try:
            key = key_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"--api-key-file cannot be read: {error}") from None
    else:
        key = settings.api_key.get_secret_value().strip() if settings.api_key is not None else ""
    if not key:
        raise SettingsError(
            "There is no API key: set SYNCLINE_API_KEY or give --api-key-file. "
            "`syncline keys create` makes one on the server."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError("The API key holds characters that no key has: check where it was copied from.")
    return Target(settings.url, key, settings.state_folder, settings.faults)


def split_types(given: Sequence[str] | None) -> tuple[str, ...]:
    """Return event types of an option that may be repeated and may hold several, comma-separated."""
    return tuple(part.strip() for text in given or () for part in text.split(",") if part.strip())


def read_time(text: str) -> str | None:
    """Return a time as the API reads it, None for a text that is none; without an offset it is local."""
    try:
        found = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def endpoint_path(endpoint_id: str) -> str:
    """Return the path of a webhook endpoint. Raises `CommandFailed` for a text that is no id of one."""
    if (
        not endpoint_id.startswith("we_")
        or not endpoint_id.isascii()
        or not endpoint_id.replace("_", "").isalnum()
    ):
        raise CommandFailed(
            f"'{endpoint_id}' is no id of an endpoint; `syncline webhooks list` shows them.", UNUSABLE
        )
    return f"/webhook_endpoints/{endpoint_id}"


def run(
    target: Target, output: Output, work: Callable[[ApiClient], Awaitable[T]], *, endless: bool = False
) -> T:
    """Run the work of a command with a client; whatever ends it badly is one line and an exit code.

    `endless` is work that only ends by Ctrl-C or SIGTERM, so that this is its good end.
    """
    from syncline.net.api_client import ApiClient, ApiRefused, ApiUnreachable

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None
        if threading.current_thread() is threading.main_thread():
            # Also where whoever started this ignores Ctrl-C, as shells do for what runs in the background.
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        async with ApiClient(target.url, target.api_key) as client:
            return await work(client)

    try:
        return asyncio.run(main())
    except ApiUnreachable as error:
        fail(output, str(error), UNUSABLE)
    except ApiRefused as error:
        fail(output, explain(error), code_of(error))
    except CommandFailed as error:
        fail(output, str(error), error.code)
    except (KeyboardInterrupt, asyncio.CancelledError):
        output.close()
        raise typer.Exit(0 if endless else INTERRUPTED) from None
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has what it wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def fail(output: Output, message: str, code: int) -> Never:
    """Print why the command ends, in one line, and end it."""
    output.close()
    typer.echo("syncline: " + printable(" ".join(message.split())), err=True)
    raise typer.Exit(code)


def explain(error: ApiRefused) -> str:
    """Return what Syncline said, and what to do about it."""
    if error.status == 401:
        return (
            "Syncline does not accept the API key: check SYNCLINE_API_KEY or --api-key-file, "
            "and that the key belongs to this Syncline."
        )
    if error.status == 403:
        return (
            f"The API key may not do this: {error.message} Make a key with the scope that is missing: "
            "`syncline keys create --scope …`."
        )
    if error.status == 422 and "events_unknown" in error.message and "'" not in error.message:
        return "One of the event types does not exist (events_unknown); the event catalog names them all."
    code = f" {error.code}" if error.code else ""
    return f"{error.message} [{error.status}{code}]"


def code_of(error: ApiRefused) -> int:
    """Return the exit code of a refusal: 2 for what was asked in a wrong way, 1 for what failed."""
    return UNUSABLE if error.status in (400, 401, 403, 422) else FAILED
